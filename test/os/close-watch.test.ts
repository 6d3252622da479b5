import {closeSync, openSync, readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import test from 'ava';
import {native} from '../../lib/os/native.js';
import {ERRNO, readable, scratch} from '../helpers/native.js';

test('a writer that closes the file wakes the watch, a reader does not', async t => {
  const path = join(scratch(t), 'file');
  writeFileSync(path, 'text');
  const watch = native.openCloseWatch(path);
  t.is(native.isReadable(watch), 0);
  readFileSync(path);
  t.is(native.isReadable(watch), 0);
  const writer = openSync(path, 'r+');
  t.is(native.isReadable(watch), 0);
  closeSync(writer);
  t.is(await readable(watch), 0);
  t.is(native.drainCloseWatch(watch), 0);
  t.is(native.isReadable(watch), 0);
  t.is(native.drainCloseWatch(watch), 0, 'nothing pending');
  t.is(native.close(watch), 0);
});

test('a watch calls back again until it is drained', async t => {
  const path = join(scratch(t), 'file');
  writeFileSync(path, '');
  const fd = native.openCloseWatch(path);
  const calls = await new Promise<number>(resolve => {
    let count = 0;
    const watch = native.watch(fd, () => {
      if (++count < 3) return;
      native.drainCloseWatch(fd);
      if (typeof watch !== 'number') watch.close();
      resolve(count);
    });
    closeSync(openSync(path, 'w'));
  });
  t.is(calls, 3);
  t.is(native.isReadable(fd), 0);
  t.is(native.close(fd), 0);
});

test('there is no watch without a file', t => {
  t.is(native.openCloseWatch(join(scratch(t), 'none')), -ERRNO.ENOENT);
  t.is(native.drainCloseWatch(1_000_000), -ERRNO.EBADF);
});
