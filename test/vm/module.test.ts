/** Does the module come, go and count as it should, whatever goes on meanwhile? */
import {execFileSync} from 'node:child_process';
import {closeSync, existsSync, openSync, readFileSync, writeFileSync} from 'node:fs';
import test, {type ExecutionContext} from 'ava';
import {errnoName} from '../../lib/os/system-error.js';
import {Actor} from './helpers/actor.js';
import {create, get, getAgain, Lock, makeLock, outcomeOf, put, remove} from './helpers/locks.js';
import {runProgram} from './helpers/program.js';

const FILE = '/vm/locksmith.ko';
const REFERENCES = '/sys/module/locksmith/refcnt';
const EPOCH_BASE = '/sys/module/locksmith/parameters/epoch_base';
/** The last epoch that there is. */
const LAST = Number.MAX_SAFE_INTEGER;

const named = (errno: number) => (errno === 0 ? 'ok' : errnoName(errno));
const load = async (parameters = '') =>
  named(await runProgram<number>('module', 'load', FILE, ...(parameters === '' ? [] : [parameters])));

/** Unloads it; when the test has ended it is loaded again. */
async function unload(t: ExecutionContext): Promise<string> {
  const outcome = named(await runProgram<number>('module', 'unload'));
  if (outcome === 'ok') {
    t.teardown(async () => {
      if (!existsSync('/sys/locks')) await load();
    });
  }
  return outcome;
}

/** Unloads and loads it. */
async function reload(t: ExecutionContext): Promise<void> {
  t.is(await unload(t), 'ok');
  t.is(await load(), 'ok');
}

/** Sets and clears the bit; gives its epoch. */
function nextEpoch(t: ExecutionContext, lock: Lock): number {
  t.is(lock.put('conf_locked', '1'), 'ok');
  const {epoch} = lock;
  t.is(lock.put('release', epoch), 'ok');
  return epoch;
}

test.serial('a bit that is set keeps the module, whether its owner lives or not', async t => {
  const lock = makeLock(t);
  t.is(get(REFERENCES), '0');
  const owner = await Actor.start(t);
  t.is(await owner.put(lock.at('conf_locked'), '1'), 'ok');
  t.is(get(REFERENCES), '1');
  t.is(await unload(t), 'EAGAIN');
  t.is(await owner.put(lock.at('handover'), lock.epoch), 'ok');
  t.is(lock.put('conf_locked', '1'), 'EBUSY');
  t.is(get(REFERENCES), '1');
  await owner.kill();
  t.is(await unload(t), 'EAGAIN');
  t.is(lock.put('handover', lock.epoch), 'ok');
  t.is(get(REFERENCES), '1');
  t.is(await unload(t), 'EAGAIN');
  t.is(lock.put('conf_locked', '0'), 'ok');
  t.is(get(REFERENCES), '0');
  await reload(t);
  t.false(existsSync(lock.directory), 'locks whose bits are clear go with the module');
});

test.serial('the module goes while somebody sleeps in a poll and files are open', async t => {
  const lock = makeLock(t);
  const poller = await Actor.start(t);
  const {woken} = await poller.sleepOn(lock.at('conf_locked'));
  const fd = openSync(lock.at('owner'), 'r');
  t.teardown(() => closeSync(fd));
  t.is(getAgain(fd), 'none');
  t.is(await unload(t), 'ok');
  t.false(existsSync('/sys/locks'));
  t.is(await woken, 'ENODEV');
  t.is(
    outcomeOf(() => getAgain(fd)),
    'ENODEV',
  );
  t.is(await load(), 'ok');
  t.is(create(lock.name), 'ok');
  t.is(
    outcomeOf(() => getAgain(fd)),
    'ENODEV',
    'it was another one of that name',
  );
});

test.serial('one counter gives the epochs of all locks', t => {
  const [a, b] = [makeLock(t), makeLock(t)];
  const epochs = Array.from({length: 20}, (_, i) => nextEpoch(t, i % 3 === 0 ? a : b));
  t.deepEqual(
    epochs,
    epochs.map((_, i) => (epochs[0] ?? 0) + i),
  );
  t.is(get(EPOCH_BASE), String(epochs.at(-1)));
});

test.serial('a lock that is removed and made again begins at 0 and goes on above', t => {
  const lock = makeLock(t);
  const epoch = nextEpoch(t, lock);
  t.is(remove(lock.name), 'ok');
  t.is(create(lock.name), 'ok');
  t.is(lock.epoch, 0);
  t.true(nextEpoch(t, lock) > epoch);
});

test.serial('the first epoch comes from the clock, so that it is above those of the last load', async t => {
  const before = nextEpoch(t, makeLock(t));
  const began = Date.now() / 1000;
  await reload(t);
  const epoch = nextEpoch(t, makeLock(t));
  t.true(epoch > before, `${epoch} after ${before}`);
  const ended = Date.now() / 1000;
  t.true(epoch > Math.floor(began) * 2 ** 20 && epoch <= Math.ceil(ended) * 2 ** 20, String(epoch));
});

test.serial('with epoch_base, epochs go on above it even when the clock was set back', async t => {
  const before = nextEpoch(t, makeLock(t));
  const began = [Date.now(), process.hrtime.bigint()] as const;
  t.teardown(() => {
    const passed = Number((process.hrtime.bigint() - began[1]) / 1_000_000n);
    execFileSync('date', ['-s', `@${Math.floor((began[0] + passed) / 1000)}`]);
  });
  t.is(await unload(t), 'ok');
  execFileSync('date', ['-s', '@1000000000']);
  t.is(await load(`epoch_base=${before}`), 'ok');
  t.is(nextEpoch(t, makeLock(t)), before + 1);
});

test.serial('epoch_base raises what comes, never lowers it, and takes numbers up to 2^53 - 1', async t => {
  const lock = makeLock(t);
  const first = nextEpoch(t, lock);
  t.is(put(EPOCH_BASE, String(first + 1000)), 'ok');
  t.is(lock.epoch, first, 'the epochs that are given out stay');
  t.is(nextEpoch(t, lock), first + 1001);
  for (const [i, lower] of [first + 1001, first, 1, 0].entries()) {
    t.is(put(EPOCH_BASE, String(lower)), 'ok');
    t.is(nextEpoch(t, lock), first + 1002 + i);
  }
  for (const bad of ['x', '-1', '1x', ' 1', '1 1', '0x10']) t.is(put(EPOCH_BASE, bad), 'EINVAL', bad);
  for (const large of [String(2 ** 53), '18446744073709551615', '18446744073709551616'])
    t.is(put(EPOCH_BASE, large), 'ERANGE', large);
  t.is(get(EPOCH_BASE), String(first + 1005));
  t.is(remove(lock.name), 'ok');
  t.is(await unload(t), 'ok');
  t.is(await load('epoch_base=x'), 'EINVAL');
  t.is(await load(`epoch_base=${2 ** 53}`), 'ERANGE');
});

test.serial('when the epochs are used up, bits can be cleared but not taken', async t => {
  const [lock, other] = [makeLock(t), makeLock(t)];
  // A later load begins at the clock again.
  t.is(put(EPOCH_BASE, String(LAST - 1)), 'ok');
  t.is(lock.put('conf_locked', '1'), 'ok');
  t.is(lock.epoch, LAST);
  t.is(other.put('conf_locked', '1'), 'EOVERFLOW');
  t.is(other.put('force', '0'), 'EOVERFLOW');
  t.deepEqual(other.state, {bit: '0', owner: 'none', epoch: 0});
  const before = lock.state;
  t.is(lock.put('handover', LAST), 'EOVERFLOW');
  t.is(lock.put('force', LAST), 'EOVERFLOW');
  t.deepEqual(lock.state, before);
  t.is(lock.put('release', LAST), 'ok');
  t.is(lock.put('conf_locked', '1'), 'EOVERFLOW');
  t.is(get(REFERENCES), '0');
  await reload(t);
  t.true(nextEpoch(t, makeLock(t)) < LAST);
});

/** How many objects of a slab cache are in use. */
function objectsOf(cache: string): number {
  // Gives back what processors keep for themselves, which counts as used.
  writeFileSync(`/sys/kernel/slab/${cache}/shrink`, '1');
  const [, used] = new RegExp(`^${cache} +(\\d+)`, 'm').exec(readFileSync('/proc/slabinfo', 'utf8')) ?? [];
  return Number(used);
}

/** Waits until a cache has at most so many: objects are freed when their grace period is over. */
async function shrinksTo(cache: string, count: number): Promise<number> {
  const end = Date.now() + 15_000;
  let used = objectsOf(cache);
  while (used > count && Date.now() < end) {
    await new Promise(resolve => setImmediate(resolve));
    used = objectsOf(cache);
  }
  return used;
}

test.serial('owners that come, die and are followed by others leave nothing behind', async t => {
  const lock = makeLock(t);
  const before = objectsOf('pid');
  await runProgram('handovers', lock.directory, 500);
  await runProgram('deaths', lock.directory, 'owner', 20);
  const after = await shrinksTo('pid', before + 50);
  t.log(JSON.stringify({before, after}));
  t.true(after <= before + 50);
  t.is(get(REFERENCES), '0');
});

test.serial('1,000 locks are made, used and removed, and leave nothing behind', async t => {
  const before = objectsOf('locksmith_lock');
  for (const step of ['create', 'use', 'remove']) {
    const done = await runProgram('many', step, 1_000);
    t.like(done, {done: 1_000, errno: 0}, step);
    if (step === 'create') t.true(objectsOf('locksmith_lock') >= before + 1_000);
  }
  t.is(await shrinksTo('locksmith_lock', before), before);
  t.is(get(REFERENCES), '0');
});

test.serial('the module is loaded and unloaded 100 times, and gives no epoch twice', async t => {
  const cycled = await runProgram('module', 'cycle', FILE, 100);
  t.log(JSON.stringify(cycled));
  t.is(cycled['loads'], 100);
});

test.serial('the module comes and goes while others create, set, remove and are killed', async t => {
  const churned = await runProgram('module', 'churn', FILE, 25);
  t.log(JSON.stringify(churned));
  t.is(churned['loads'], 25);
  t.is(get(REFERENCES), '0');
});
