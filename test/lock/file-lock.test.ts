/** Does a program get, keep and give back a lock on any file? */
import {spawnSync} from 'node:child_process';
import {existsSync, mkdirSync, readdirSync, renameSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import test from 'ava';
import {type FileLock, lock, tryLock} from '../../lib/lock/file-lock.js';
import {scratch} from '../helpers/scratch.js';

test('a lock is held until it is released, and taken is a value', async t => {
  const path = join(scratch(t).directory, 'file');
  const held = await lock(path);
  t.is(tryLock(path), undefined);
  held.release();
  held.release();
  t.true(held.released);
  using again = tryLock(path);
  t.not(again, undefined);
});

test('await using releases at the end of the block', async t => {
  const path = join(scratch(t).directory, 'file');
  {
    await using _held = await lock(path);
    t.is(tryLock(path), undefined);
  }
  using again = tryLock(path);
  t.not(again, undefined);
});

test('shared locks go together, and one of them is upgraded only when it is alone', async t => {
  const path = join(scratch(t).directory, 'file');
  const one = await lock(path, {mode: 'shared'});
  const two = await lock(path, {mode: 'shared'});
  t.false(one.tryUpgrade());
  two.release();
  t.true(one.tryUpgrade());
  t.is(one.mode, 'exclusive');
  one.downgrade();
  using three = tryLock(path, {mode: 'shared'});
  t.not(three, undefined);
  one.release();
});

test('a released lock can not be used', async t => {
  const held = await lock(join(scratch(t).directory, 'file'));
  held.release();
  t.throws(() => held.downgrade(), {code: 'ERR_RELEASED'});
});

test('ranges exclude only each other', async t => {
  const path = join(scratch(t).directory, 'file');
  using _one = await lock(path, {range: {start: 0, length: 10}});
  using two = tryLock(path, {range: {start: 10, length: 10}});
  t.not(two, undefined);
  t.is(tryLock(path, {range: {start: 9, length: 1}}), undefined);
});

test('a wait that is aborted rejects with the reason of its signal', async t => {
  const path = join(scratch(t).directory, 'file');
  using _held = await lock(path);
  const error = await t.throwsAsync(lock(path, {signal: AbortSignal.timeout(50)}), {
    any: true,
    instanceOf: DOMException,
  });
  t.is((error as DOMException).name, 'TimeoutError');
});

test('a file that was replaced while we waited is locked anew, under its path', async t => {
  const {directory} = scratch(t);
  const path = join(directory, 'file');
  const old = await lock(path);
  const waiting = lock(path);
  writeFileSync(join(directory, 'next'), '');
  renameSync(join(directory, 'next'), path);
  old.release();
  using _fresh = await waiting;
  t.is(tryLock(path), undefined, 'the new file is the one that is locked');
});

test('a hundred waiters get in one by one, in their order', async t => {
  const path = join(scratch(t).directory, 'file');
  const first = await lock(path);
  let inside = 0;
  const order: number[] = [];
  const waits = Array.from({length: 100}, async (_, index) => {
    await using _held = await lock(path);
    t.is(++inside, 1);
    await new Promise(resolve => setImmediate(resolve));
    inside--;
    order.push(index);
  });
  first.release();
  await Promise.all(waits);
  t.deepEqual(
    order,
    order.toSorted((a, b) => a - b),
  );
});

const WRONG: [string, object, RegExp][] = [
  ['a kind that is none', {kind: 'x'}, /kind is/],
  ['a mode that is none', {mode: 'x'}, /mode is/],
  ['a negative range', {range: {start: -1, length: 0}}, /range/],
  ['a broken range', {range: {start: 0.5, length: 1}}, /range/],
  ['a range for flock', {kind: 'flock', range: {start: 1, length: 1}}, /whole files/],
];

for (const [what, options, message] of WRONG) {
  test(`${what} is refused, and no file is made`, async t => {
    const path = join(scratch(t).directory, 'file');
    await t.throwsAsync(lock(path, options), {code: 'ERR_ARGUMENT', message});
    t.false(existsSync(path));
  });
}

test('what the kernel refuses has its code and path', async t => {
  const {directory} = scratch(t);
  mkdirSync(join(directory, 'folder'));
  await t.throwsAsync(lock(join(directory, 'folder')), {code: 'EISDIR'});
  await t.throwsAsync(lock(join(directory, 'missing', 'file')), {code: 'ENOENT', message: /missing\/file/});
  await t.throwsAsync(lock(join(directory, 'file'), {create: false}), {code: 'ENOENT'});
});

function dropLock(path: string, before: number): {stdout: string; stderr: string} {
  const program = fileURLToPath(new URL('../fixtures/drop-lock.js', import.meta.url));
  return spawnSync(process.execPath, ['--expose-gc', program, path, `${before}`], {encoding: 'utf8'});
}

test('a lock object that is dropped stays locked, and a warning says where it was acquired', t => {
  const {stderr, stdout} = dropLock(join(scratch(t).directory, 'file'), 0);
  t.regex(stderr, /LOCKSMITH_DROPPED/);
  t.regex(stderr, /was dropped without being released/);
  t.regex(stderr, /acquired here:\n[^]*drop-lock/);
  t.is(stdout.trim(), 'still locked');
});

test('of a process that locks very often the place is not noted each time, but the warning always comes', t => {
  const {stderr, stdout} = dropLock(join(scratch(t).directory, 'file'), 1500);
  t.regex(stderr, /LOCKSMITH_DROPPED/);
  t.regex(stderr, /at a place that was not noted/);
  t.is(stdout.trim(), 'still locked');
});

test('a path that can not be one is refused as the kernel refuses it', t => {
  t.throws(() => tryLock('x'.repeat(5000)), {code: 'ENAMETOOLONG'});
  // Cut off before a character that does not fit, what is left would be a path.
  const {directory} = scratch(t);
  for (const slash of ['/', '//']) {
    const path = `${directory}${slash}${'./'.repeat(2000 - directory.length / 2)}${'ä'.repeat(200)}`;
    t.throws(() => tryLock(path), {code: 'ENAMETOOLONG'});
  }
  t.deepEqual(readdirSync(directory), ['etc']);
  t.throws(() => tryLock(''), {code: 'ENOENT'});
});

test('locks of all kinds are taken and given back', async t => {
  for (const kind of ['ofd', 'flock', 'posix'] as const) {
    const path = join(scratch(t).directory, kind);
    const held: FileLock = await lock(path, {kind});
    t.is(held.kind, kind);
    held.release();
    using again = tryLock(path, {kind});
    t.not(again, undefined);
  }
});
