import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {join} from 'node:path';
import {createInterface} from 'node:readline';
import test from 'ava';
import {native} from '../../lib/os/native.js';
import {compile, ERRNO, scratch} from '../helpers/native.js';

for (const title of ['path', 'abstract name'])
  test(`a message reaches the manager's socket by its ${title}`, async t => {
    const address = title === 'path' ? join(scratch(t), 'notify') : `@locksmith-test-${process.pid}`;
    const receiver = spawn(compile(t, 'datagram-receiver'), [address], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    t.teardown(() => receiver.kill('SIGKILL'));
    const lines = createInterface({input: receiver.stdout});
    t.deepEqual(await once(lines, 'line'), ['ready']);
    const message = once(lines, 'line');
    t.is(native.notify(address, 'READY=1'), 0);
    t.deepEqual(await message, ['READY=1']);
  });

test("an address that is empty, too long or nobody's is refused", t => {
  t.is(native.notify('', 'READY=1'), -ERRNO.EINVAL);
  t.is(native.notify(`/${'x'.repeat(107)}`, 'READY=1'), -ERRNO.ENAMETOOLONG);
  t.is(native.notify(join(scratch(t), 'none'), 'READY=1'), -ERRNO.ENOENT);
  t.is(native.notify(`@locksmith-nobody-${process.pid}`, 'READY=1'), -ERRNO.ECONNREFUSED);
});
