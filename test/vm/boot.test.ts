/** Is the machine that the module's tests run in what they take it for? */
import {readFileSync, statSync} from 'node:fs';
import test from 'ava';
import {native} from '../../lib/os/native.js';

test('the module is loaded', t => {
  t.regex(readFileSync('/proc/modules', 'utf8'), /^locksmith .* Live /m);
});

test('/sys/locks is there', t => {
  t.true(statSync('/sys/locks').isDirectory());
});

test('the addon loads and makes system calls', t => {
  const fd = native.pidfdOpen(process.pid);
  t.true(fd >= 0, String(fd));
  native.close(fd);
});

test('we are root, and there are accounts that are not', t => {
  t.is(process.getuid?.(), 0);
  const accounts = readFileSync('/etc/passwd', 'utf8');
  for (const name of ['alice:x:1000', 'bob:x:1001', 'nobody:x:65534']) t.true(accounts.includes(name), name);
  t.regex(readFileSync('/etc/group', 'utf8'), /^locksmith:x:990:/m);
});
