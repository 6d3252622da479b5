/** Do lock bits change by comparison only, and do replaced files fence old descriptors? */
import {mkdirSync, openSync, readFileSync, writeFileSync, writeSync} from 'node:fs';
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {type LockBit, openLockBit} from '../../lib/os/lock-bit.js';
import {LockFile} from '../../lib/os/lock-file.js';
import {native} from '../../lib/os/native.js';
import {errnoOf} from '../../lib/os/system-error.js';
import {scratch} from '../helpers/scratch.js';

function bit(t: ExecutionContext, value = '0\n', epoch = '7\n'): {bit: LockBit; directory: string} {
  const directory = join(scratch(t).directory, 'bit');
  mkdirSync(directory);
  writeFileSync(join(directory, 'conf_locked'), value);
  writeFileSync(join(directory, 'epoch'), epoch);
  return {bit: openLockBit(directory), directory};
}

test('test-and-set sets a clear bit of the expected epoch', t => {
  const {bit: soft, directory} = bit(t);
  t.is(soft.kind, 'soft');
  t.is(soft.set(7, 8), 8);
  t.is(soft.read(), 1);
  t.is(soft.epoch(), 8);
  t.is(readFileSync(join(directory, 'conf_locked'), 'utf8'), '1\n');
});

test('test-and-set refuses a set bit and another epoch', t => {
  const {bit: soft} = bit(t);
  t.throws(() => soft.set(6, 8), {code: 'ESTALE'});
  soft.set(7, 8);
  t.throws(() => soft.set(8, 9), {code: 'EBUSY'});
  t.is(soft.epoch(), 8);
});

test('compare-and-clear clears its own epoch only', t => {
  const {bit: soft} = bit(t, '1\n');
  t.throws(() => soft.clear(6), {code: 'ESTALE'});
  t.is(soft.read(), 1);
  soft.clear(7);
  t.is(soft.read(), 0);
  t.throws(() => soft.clear(7), {code: 'EALREADY'});
});

test('a handover raises the epoch while the bit stays set, for its own epoch only', t => {
  const {bit: soft} = bit(t, '1\n');
  t.throws(() => soft.handover(6, 9), {code: 'ESTALE'});
  t.is(soft.handover(7, 9), 9);
  t.is(soft.read(), 1);
  t.is(soft.epoch(), 9);
});

test('a handover fences descriptors that were opened before', t => {
  const {bit: soft, directory} = bit(t, '1\n');
  const old = ['conf_locked', 'epoch'].map(file => openSync(join(directory, file), 'r+'));
  soft.handover(7, 9);
  for (const fd of old) writeSync(fd, '0\n', 0);
  t.is(soft.read(), 1);
  t.is(soft.epoch(), 9);
});

test('a bit that somebody else is just changing is busy', t => {
  const {bit: soft} = bit(t);
  using other = LockFile.open(soft.path);
  other.try('exclusive');
  t.throws(() => soft.set(7, 8), {code: 'EBUSY'});
  t.is(soft.read(), 0);
});

test('an epoch never falls', t => {
  const {bit: soft} = bit(t, '0\n', '1000\n');
  t.throws(() => soft.set(1000, 1000), {code: 'EINVAL'});
  t.throws(() => soft.set(1000, 5), {code: 'EINVAL'});
  t.throws(() => soft.handover(1000, 5), {code: 'EINVAL'});
  t.is(soft.epoch(), 1000);
});

for (const [value, epoch] of [
  ['', '7\n'],
  ['2\n', '7\n'],
  ['10\n', '7\n'],
  ['0\n\n', '7\n'],
  ['0\n', ''],
  ['0\n', '7'],
  ['0\n', '-7\n'],
  ['0\n', '7\n8\n'],
  ['0\n', '99999999999999999999\n'],
]) {
  test(`a bit ${JSON.stringify(value)} with epoch ${JSON.stringify(epoch)} is refused, and left as it is`, t => {
    const {bit: soft, directory} = bit(t, value, epoch);
    t.throws(() => soft.set(7, 8), {code: 'EBADMSG'});
    t.is(readFileSync(join(directory, 'conf_locked'), 'utf8'), value ?? '');
    t.is(readFileSync(join(directory, 'epoch'), 'utf8'), epoch ?? '');
  });
}

test('an attribute is written whole; what the kernel refuses has its errno', t => {
  const {directory} = bit(t);
  t.is(native.writeAttribute(join(directory, 'conf_locked'), '1\n'), 0);
  t.is(native.writeAttribute('/dev/full', '1\n'), -errnoOf('ENOSPC'));
  t.is(native.writeAttribute(join(directory, 'missing'), '1\n'), -errnoOf('ENOENT'));
});
