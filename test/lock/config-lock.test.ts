/** Does a configuration have one owner at a time, under a name that guards one file, in roots that can be trusted? */
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import {join} from 'node:path';
import test from 'ava';
import type {LockError} from '../../lib/errors.js';
import {BLOCK, nextEpoch, reserveEpoch} from '../../lib/lock/epoch.js';
import {checkName, nameOf, resolveRoots} from '../../lib/lock/layout.js';
import {decodeRecord, encodeRecord, type OwnerRecord, replaceRecord} from '../../lib/lock/owner-record.js';
import {readSystem} from '../../lib/os/system.js';
import {findConfigLock, type GuardedConfig, openConfigLock} from '../../lib/recovery/guarded-config.js';
import {openedBelow} from '../helpers/descriptors.js';
import {testAsRoot} from '../helpers/here.js';
import {actor} from '../helpers/actor.js';
import {NEW, OLD, openScratch, scratch} from '../helpers/scratch.js';
import {tinyFileSystem} from '../helpers/tiny-fs.js';

const freeRecord = ({name, bit}: GuardedConfig): OwnerRecord => ({
  v: 1,
  state: 'free',
  lock: name,
  epoch: bit.epoch(),
});

function takeBit({bit}: GuardedConfig): void {
  bit.handover(bit.epoch(), bit.epoch() + 1, {forced: true, confirm: () => undefined});
}

test('an owner has the bit, the record and a growing epoch, from acquire to release', async t => {
  const config = await openScratch(scratch(t));
  const first = await config.acquire({purpose: 'one'});
  t.is(config.bit.read(), 1);
  t.is(config.bit.epoch(), first.epoch);
  t.like(config.readRecord(), {state: 'owned', epoch: first.epoch});
  t.is(await config.tryAcquire(), undefined);
  await first.release();
  await first.release();
  t.is(config.bit.read(), 0);
  t.like(config.readRecord(), {state: 'free', epoch: first.epoch});
  const second = await config.acquire();
  t.is(second.epoch, first.epoch + 1);
  await second.release();
  t.throws(() => second.checkFence(), {code: 'ERR_RELEASED'});
});

test('a reader is told HOT, with the owner, while somebody owns the file', async t => {
  const config = await openScratch(scratch(t));
  t.is((await config.read()).toString(), OLD);
  await using _own = await config.acquire({purpose: 'tuning'});
  const error = await t.throwsAsync<LockError>(config.read(), {
    code: 'ERR_HOT',
    message: 'aim_lock_config.conf: HOT',
  });
  t.like(error.owner, {pid: process.pid, purpose: 'tuning'});
});

test('an acquirer waits for a hold to end, holding nothing', async t => {
  const config = await openScratch(scratch(t));
  const hold = await config.hold({for: 60_000});
  const waiting = config.acquire();
  t.is(await config.tryAcquire(), undefined);
  await hold.release();
  await (await waiting).release();
});

test('an acquirer that gives up holds nothing', async t => {
  const config = await openScratch(scratch(t));
  const own = await config.acquire();
  await t.throwsAsync(config.acquire({signal: AbortSignal.timeout(50)}), {
    any: true,
    instanceOf: DOMException,
  });
  await own.release();
  await (await config.acquire()).release();
});

test('a file that is renamed over while it is locked stays locked: the guard never moves', async t => {
  const place = scratch(t);
  const config = await openScratch(place);
  const own = await config.acquire();
  writeFileSync(`${place.file}.new`, NEW);
  renameSync(`${place.file}.new`, place.file);
  t.is(await (await openScratch(place)).tryAcquire(), undefined);
  await own.release();
});

test('an acquirer may wait until somebody has recovered an orphan', async t => {
  const place = scratch(t);
  const config = await openScratch(place);
  const owner = await actor(t, place);
  await owner.do('acquire');
  await owner.kill();
  const waiting = config.acquire({onOrphan: 'wait'});
  const {epochs} = await config.recover();
  const own = await waiting;
  t.true(own.epoch > epochs.after);
  await own.release();
});

test('who waits for the recovery of an orphan keeps nobody from failing at it or recovering it', async t => {
  const place = scratch(t);
  const config = await openScratch(place);
  const owner = await actor(t, place);
  await owner.do('acquire');
  await owner.kill();
  const turn = async (onOrphan: 'wait' | 'recover') => {
    await using owned = await config.acquire({onOrphan});
    return owned.epoch;
  };
  const waiting = [1, 2].map(async () => turn('wait'));
  await t.throwsAsync(config.acquire(), {code: 'ERR_ORPHANED'});
  const recovered = await turn('recover');
  const [first, second] = await Promise.all(waiting);
  t.true(Number(first) < Number(second), 'those who wait keep their order');
  t.is(new Set([first, second, recovered]).size, 3);
});

test('a place in the queue of a process can be given up', async t => {
  const config = await openScratch(scratch(t));
  const own = await config.acquire();
  const first = config.acquire();
  const end = new AbortController();
  const second = config.acquire({signal: end.signal});
  const third = config.acquire();
  end.abort(new Error('enough'));
  await t.throwsAsync(second, {message: 'enough'});
  await t.throwsAsync(config.acquire({signal: end.signal}), {message: 'enough'});
  await own.release();
  await (await first).release();
  await (await third).release();
  t.is(config.bit.read(), 0);
});

for (const [what, text] of [
  ['empty', ''],
  ['torn', encodeRecord({v: 1, state: 'free', lock: 'aim_lock_config', epoch: 1}).slice(0, 40)],
  ['longer than a page', `${encodeRecord({v: 1, state: 'free', lock: 'x', epoch: 1})}x`],
  ['of a future version', encodeRecord({v: 9, state: 'free', lock: 'x', epoch: 1} as never)],
] as const) {
  test(`a lock whose record is ${what} is not acquired, even with its bit clear`, async t => {
    const config = await openScratch(scratch(t));
    writeFileSync(config.paths.owner, text);
    await t.throwsAsync(config.acquire(), {code: 'ERR_OWNER_UNKNOWN'});
    t.is((await config.examine()).state, 'UNKNOWN');
    t.is(readFileSync(config.paths.owner, 'utf8'), text);
  });
}

for (const [bit, code, message] of [
  [0, 'ERR_OWNER_UNKNOWN', /it is missing/],
  [1, 'ERR_ORPHANED', /nobody is on record as its owner/],
] as const) {
  test(`a lock whose record is missing and whose bit is ${bit} is not acquired, and nothing stays open`, async t => {
    const config = await openScratch(scratch(t));
    writeFileSync(config.bit.path, `${bit}\n`);
    rmSync(config.paths.owner);
    await t.throwsAsync(config.acquire(), {code, message});
    await t.throwsAsync(config.tryAcquire(), {code, message});
    t.is(config.bit.read(), bit);
    t.deepEqual(openedBelow(config.roots.run), []);
  });
}

test('an owner whose record does not fit does not become one, and leaves everything as it was', async t => {
  const place = scratch(t);
  const config = await openConfigLock(place.file, {
    ...place.roots,
    system: {...readSystem(), node: 'n'.repeat(4_000)},
  });
  const before = {record: readFileSync(config.paths.owner), epoch: config.bit.epoch()};
  await t.throwsAsync(config.acquire(), {code: 'ERR_ARGUMENT', message: /does not fit/});
  t.deepEqual({record: readFileSync(config.paths.owner), epoch: config.bit.epoch()}, before);
  t.is(config.bit.read(), 0);
  t.deepEqual(openedBelow(config.roots.run), []);
  await (await (await openScratch(place)).acquire()).release();
});

// Whoever takes a lock by force is met here between the two things that he changes: either one alone tells its owner.
for (const [what, take] of [
  [
    'record',
    (config: GuardedConfig) => replaceRecord(config.paths.owner, freeRecord(config), () => undefined),
  ],
  ['bit', (config: GuardedConfig) => takeBit(config)],
] as const) {
  test(`an owner whose ${what} was replaced is fenced, and clears nothing`, async t => {
    const config = await openScratch(scratch(t));
    const owned = await config.acquire();
    owned.checkFence();
    take(config);
    t.throws(() => owned.checkFence(), {code: 'ERR_FENCED'});
    await t.throwsAsync(owned.release(), {code: 'ERR_FENCED'});
    t.is(config.bit.read(), 1);
    t.deepEqual(openedBelow(config.roots.run), []);
  });
}

test('whoever is an owner has five files open, and none afterwards', async t => {
  const config = await openScratch(scratch(t));
  const owned = await config.acquire();
  t.is(openedBelow(config.roots.run).length, 5);
  await owned.release();
  t.deepEqual(openedBelow(config.roots.run), []);
});

test('a record that can not be read is an error that names it, and no record', async t => {
  const config = await openScratch(scratch(t));
  rmSync(config.paths.owner);
  mkdirSync(config.paths.owner);
  t.throws(() => config.readRecord(), {code: 'EISDIR', message: /owner/});
});

test('records are read as they were written, whatever is in them', t => {
  const record = {v: 1, state: 'free', lock: 'ä"\\ sum', epoch: 5} as const;
  t.deepEqual(decodeRecord(encodeRecord(record)), record);
  t.is(Buffer.byteLength(encodeRecord(record)), 4096);
});

for (const name of ['', '.', '..', '.hidden', 'a/b', 'a\0b', 'a..b', '-a', 'ä', 'x'.repeat(64)]) {
  test(`${JSON.stringify(name)} is no name`, async t => {
    t.throws(() => checkName(name), {code: 'ERR_NAME_INVALID'});
    const place = scratch(t);
    await t.throwsAsync(openConfigLock(place.file, {...place.roots, name}), {code: 'ERR_NAME_INVALID'});
    t.throws(() => findConfigLock(name, place.roots), {code: 'ERR_NAME_INVALID'});
  });
}

test('names of 63 characters are names, and a file gives its own without the last extension', t => {
  t.is(checkName('x'.repeat(63)), 'x'.repeat(63));
  t.is(nameOf('/etc/aim/aim_lock_config.conf'), 'aim_lock_config');
  t.is(nameOf('/etc/hosts'), 'hosts');
  t.is(nameOf('a.b.c'), 'a.b');
});

test('two files that ask for one name are both named, and so is a file that asks for two', async t => {
  const place = scratch(t);
  await openScratch(place);
  const other = join(place.directory, 'aim_lock_config.conf');
  writeFileSync(other, '');
  const error = await t.throwsAsync<LockError>(openConfigLock(other, place.roots), {
    code: 'ERR_NAME_TAKEN',
  });
  t.true(error.message.includes(place.file) && error.message.includes(other));
  await t.throwsAsync(openConfigLock(place.file, {...place.roots, name: 'second'}), {
    code: 'ERR_FILE_TAKEN',
    message: /aim_lock_config/,
  });
});

test('a configuration that is missing, a directory or a link is refused, and no lock is made', async t => {
  const {directory, file, roots} = scratch(t);
  symlinkSync(file, join(directory, 'link.conf'));
  mkdirSync(join(directory, 'folder'));
  await t.throwsAsync(openConfigLock(join(directory, 'missing.conf'), roots), {
    code: 'ERR_CONFIG_MISSING',
    message: /missing\.conf/,
  });
  await t.throwsAsync(openConfigLock(join(directory, 'folder'), roots), {code: 'ERR_CONFIG_NOT_FILE'});
  const error = await t.throwsAsync<LockError>(openConfigLock(join(directory, 'link.conf'), roots), {
    code: 'ERR_CONFIG_SYMLINK',
  });
  t.true(error.message.includes(file));
  t.false(existsSync(roots.run));
});

test('a root that everybody may write to, or that is no directory, is refused', async t => {
  for (const root of ['run', 'state', 'bits'] as const) {
    const {file, roots, directory} = scratch(t);
    const bad = join(directory, `bad-${root}`);
    mkdirSync(bad);
    chmodSync(bad, 0o777);
    await t.throwsAsync(openConfigLock(file, {...roots, [root]: bad}), {
      code: 'ERR_ROOT_UNSAFE',
      message: /everyone may write/,
    });
    const plain = join(directory, `plain-${root}`);
    writeFileSync(plain, '');
    await t.throwsAsync(openConfigLock(file, {...roots, [root]: plain}), {code: 'ERR_ROOT_UNSAFE'});
  }
});

testAsRoot('a root that belongs to somebody else is refused, also to look', async t => {
  const place = scratch(t);
  await openScratch(place);
  const other = readSystem({uid: 4242});
  chownSync(place.roots.run, 4243, 0);
  await t.throwsAsync(openConfigLock(place.file, {...place.roots, system: other}), {
    code: 'ERR_ROOT_UNSAFE',
    message: /uid 4243/,
  });
  t.throws(() => findConfigLock('aim_lock_config', {...place.roots, system: other}), {
    code: 'ERR_ROOT_UNSAFE',
  });
});

testAsRoot('a full disk refuses the acquisition, and the lock is as it was', async t => {
  const place = scratch(t);
  const run = tinyFileSystem.mount(t, '1m');
  const config = await openConfigLock(place.file, {...place.roots, run, bits: join(run, 'bits')});
  const first = await config.acquire();
  await first.release();
  t.throws(() => writeFileSync(join(run, 'full'), Buffer.alloc(4 << 20)), {code: 'ENOSPC'});
  const second = await config.acquire();
  t.is(second.epoch, first.epoch + 1, 'what was written once needs no new space');
  await second.release();
  t.is((await config.examine()).state, 'FREE');
});

testAsRoot('a full disk makes no half lock', async t => {
  const place = scratch(t);
  const run = tinyFileSystem.mount(t, '64k');
  t.throws(() => writeFileSync(join(run, 'full'), Buffer.alloc(1 << 20)), {code: 'ENOSPC'});
  const roots = {...place.roots, run, bits: join(run, 'bits')};
  await t.throwsAsync(openConfigLock(place.file, roots), {code: 'ENOSPC'});
  t.is(findConfigLock('aim_lock_config', roots), undefined);
  writeFileSync(join(run, 'full'), '');
  await (await (await openConfigLock(place.file, roots)).acquire()).release();
});

test('epochs grow over a clock that was set back, over a lock that is made anew, and from block to block', async t => {
  const {directory} = scratch(t);
  const at = (seconds: number) => readSystem({now: () => seconds * 1000});
  const first = await reserveEpoch(at(1000), directory);
  t.is(first, 1000 * BLOCK);
  t.is(await reserveEpoch(at(500), directory), 1001 * BLOCK);
  t.is(await reserveEpoch(at(5000), directory), 5000 * BLOCK);
  t.is(await nextEpoch(at(5000), directory, first), first + 1);
  t.is(await nextEpoch(at(5000), directory, first + BLOCK - 1), 5001 * BLOCK);
});

test('a high-water mark that can not be read gives no epoch', async t => {
  const {directory} = scratch(t);
  for (const text of ['', 'x\n', '-1\n', '99999999999999999\n']) {
    writeFileSync(join(directory, 'epoch'), text);
    await t.throwsAsync(reserveEpoch(readSystem(), directory), {code: 'ERR_EPOCH_CORRUPT'});
  }
});

test('roots come from options, else from the environment, else from who we are', t => {
  const root = readSystem({uid: 0, env: {}});
  t.deepEqual(resolveRoots(root), {
    bits: '/run/locksmith/bits',
    run: '/run/locksmith',
    state: '/var/lib/locksmith',
  });
  const user = readSystem({uid: 7, env: {XDG_RUNTIME_DIR: '/run/user/7', HOME: '/home/u'}});
  t.deepEqual(resolveRoots(user), {
    bits: '/run/user/7/locksmith/bits',
    run: '/run/user/7/locksmith',
    state: '/home/u/.local/state/locksmith',
  });
  const set = readSystem({env: {LOCKSMITH_RUN: '/a', LOCKSMITH_STATE: '/b', LOCKSMITH_BITS: '/c'}});
  t.deepEqual(resolveRoots(set), {bits: '/c', run: '/a', state: '/b'});
  t.is(resolveRoots(set, {run: '/z'}).run, '/z');
});
