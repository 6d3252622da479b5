/** Does a wait block nothing, end at once when it is aborted, and never leave a lock behind? */
import {spawnSync} from 'node:child_process';
import {once} from 'node:events';
import {constants} from 'node:fs';
import {readFileSync} from 'node:fs';
import {readFile} from 'node:fs/promises';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {Worker} from 'node:worker_threads';
import test, {type ExecutionContext} from 'ava';
import {LockFile} from '../../lib/os/lock-file.js';
import {type Conflict, LOCK_KIND, LOCK_TYPE, native} from '../../lib/os/native.js';
import {errnoOf} from '../../lib/os/system-error.js';
import {
  ERRNO,
  exclusive,
  flock,
  ofd,
  open as openFd,
  openTimes,
  posix,
  Remote,
  shared,
  unlock,
  wait as startWait,
} from '../helpers/native.js';
import {compileProgram} from '../helpers/compile.js';
import {scratch} from '../helpers/scratch.js';

function open(path: string): LockFile {
  return LockFile.open(path, {flags: constants.O_RDWR | constants.O_CREAT});
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

async function timeReads(path: string, count: number): Promise<number> {
  const times: number[] = [];
  for (let index = 0; index < count; index++) {
    const start = performance.now();
    await readFile(path);
    times.push(performance.now() - start);
  }
  return median(times);
}

test.serial('1,000 waits on different files at once leave fs.readFile as fast as it was', async t => {
  const {directory, file} = scratch(t);
  const before = await timeReads(file, 200);
  const held = Array.from({length: 1000}, (_, index) => open(join(directory, `${index}`)));
  for (const lock of held) lock.try('exclusive');
  const waiters = held.map(({path}) => open(path));
  const waits = waiters.map(waiter => waiter.wait('exclusive'));
  const during = await timeReads(file, 200);
  t.log(`median read ${before.toFixed(3)} ms before, ${during.toFixed(3)} ms with 1,000 waits`);
  // A pool of four blocked threads would make it endless; ten times, and 5 ms against noise, is far from that.
  t.true(during < before * 10 + 5);
  for (const lock of held) lock.close();
  await Promise.all(waits);
  t.true(waiters.every(waiter => waiter.test('exclusive') === undefined));
  for (const waiter of waiters) waiter.close();
});

test('an aborted wait rejects with the reason of its signal and holds nothing', async t => {
  const path = join(scratch(t).directory, 'file');
  using held = open(path);
  using waiter = open(path);
  held.try('exclusive');
  const end = new AbortController();
  const reason = new Error('enough');
  const wait = waiter.wait('exclusive', {signal: end.signal});
  end.abort(reason);
  t.is(await t.throwsAsync(wait), reason);
  held.unlock();
  using other = open(path);
  t.true(other.try('exclusive'));
});

test('a wait with a signal that is aborted already does not begin', async t => {
  using file = open(join(scratch(t).directory, 'file'));
  const reason = new Error('too late');
  t.is(await t.throwsAsync(file.wait('exclusive', {signal: AbortSignal.abort(reason)})), reason);
});

/** One race: the lock is given back and the wait aborted at about the same moment. */
async function race(
  held: LockFile,
  waiter: LockFile,
  observer: LockFile,
  abort: (wait: () => void) => void,
): Promise<string> {
  held.try('exclusive');
  const ended = new Promise<number>(resolve => {
    const wait = native.waitLock(waiter.fd, LOCK_KIND.ofd, LOCK_TYPE.exclusive, 0, 0, resolve);
    if (typeof wait === 'number') throw new Error(`no wait: ${wait}`);
    abort(() => wait.abort());
    held.unlock();
  });
  const result = await ended;
  const locked = observer.test('exclusive') !== undefined;
  waiter.unlock();
  if (result === 0) return locked ? 'granted' : 'granted, but not held';
  if (result !== -errnoOf('ECANCELED')) return `unexpected result ${result}`;
  return locked ? 'aborted, but a lock was left behind' : 'aborted';
}

test('10,000 races of a release and an abort: the lock is held exactly when the wait says so', async t => {
  const path = join(scratch(t).directory, 'file');
  using held = open(path);
  using waiter = open(path);
  using observer = open(path);
  const counts: Record<string, number> = {};
  // Before the release, right after it, a turn of the event loop later, and in a tight spin of some microseconds.
  const moments: ((abort: () => void) => void)[] = [
    abort => abort(),
    abort => queueMicrotask(abort),
    abort => setImmediate(abort),
    abort =>
      queueMicrotask(() => {
        for (const end = performance.now() + Math.random() * 0.2; performance.now() < end; );
        abort();
      }),
  ];
  for (let round = 0; round < 10_000; round++) {
    const outcome = await race(held, waiter, observer, moments[round % moments.length] ?? (abort => abort()));
    counts[outcome] = (counts[outcome] ?? 0) + 1;
  }
  t.log(counts);
  t.deepEqual(Object.keys(counts).toSorted(), ['aborted', 'granted']);
  t.true(Math.min(...Object.values(counts)) > 20, 'both happen often');
});

test('waiters of one process are served in the order they came', async t => {
  const path = join(scratch(t).directory, 'file');
  const held = open(path);
  held.try('exclusive');
  const order: number[] = [];
  const waits = Array.from({length: 20}, async (_, index) => {
    using waiter = open(path);
    await waiter.wait('exclusive');
    order.push(index);
  });
  held.close();
  await Promise.all(waits);
  t.deepEqual(
    order,
    [...order].toSorted((a, b) => a - b),
  );
});

test('a waiter that gives up lets the next one through', async t => {
  const path = join(scratch(t).directory, 'file');
  using held = open(path);
  held.try('exclusive');
  const end = new AbortController();
  using first = open(path);
  using second = open(path);
  using third = open(path);
  const waits = [
    first.wait('exclusive'),
    second.wait('exclusive', {signal: end.signal}),
    third.wait('exclusive'),
  ];
  end.abort(new Error('gone'));
  await t.throwsAsync(waits[1] ?? Promise.resolve(), {message: 'gone'});
  held.unlock();
  await waits[0];
  first.unlock();
  await waits[2];
  t.pass();
});

function program(t: ExecutionContext, how: string): {status: number | null; stderr: string; took: number} {
  const start = performance.now();
  const {status, stderr} = spawnSync(
    process.execPath,
    [
      fileURLToPath(new URL('../fixtures/pending-wait.js', import.meta.url)),
      how,
      join(scratch(t).directory, 'file'),
    ],
    {
      encoding: 'utf8',
      env: {...process.env, UV_THREADPOOL_SIZE: '1'},
      timeout: 60_000,
    },
  );
  return {status, stderr, took: performance.now() - start};
}

test('process.exit is not held up by a pending wait', t => {
  t.is(program(t, 'exit').status, 7);
});

test('an uncaught exception is not held up by a pending wait', t => {
  const {status, stderr} = program(t, 'throw');
  t.is(status, 1);
  t.regex(stderr, /on purpose/);
});

test('with eight waits and one thread in libuv’s pool, files are still read', t => {
  t.is(program(t, 'read').status, 0);
});

test('an exception of a callback is an uncaught exception', t => {
  const {status, stderr} = program(t, 'callback');
  t.is(status, 1);
  t.regex(stderr, /from the callback/);
});

test('a worker that ends gives back its locks, and its pending waits do not hold it up', async t => {
  const path = join(scratch(t).directory, 'file');
  const taken = `${path}.taken`;
  using held = open(taken);
  held.try('exclusive');
  const worker = new Worker(new URL('../fixtures/lock-in-worker.js', import.meta.url), {
    workerData: {path, taken},
  });
  await once(worker, 'message');
  using other = open(path);
  t.false(other.try('exclusive'), 'the worker has it');
  await worker.terminate();
  t.true(other.try('exclusive'), 'it went with the worker');
});

/** Threads that wait in the kernel for this file. */
function countWaiting(inode: bigint): number {
  const rows = native.parseLocks(readFileSync('/proc/locks'));
  return typeof rows === 'number' ? rows : rows.filter(row => row.depth > 0 && row.inode === inode).length;
}

async function untilWaiting(fd: number): Promise<void> {
  const info = await readFile(`/proc/self/fdinfo/${fd}`, 'utf8');
  const inode = BigInt(/^ino:\s+(\d+)$/m.exec(info)?.[1] ?? 0);
  while (countWaiting(inode) === 0) await new Promise(setImmediate);
}

for (const [name, kind] of Object.entries(LOCK_KIND))
  test(`${name}: a wait is granted when the holder gives back`, async t => {
    const path = join(scratch(t).directory, 'file');
    const remote = await Remote.start(t);
    const theirs = await remote.open(path);
    const fd = openFd(t, path);
    t.is(await remote.call('setLock', theirs, kind, exclusive, 0, 0), 0);
    const pending = startWait(fd, kind);
    await untilWaiting(fd);
    t.is(await remote.call('setLock', theirs, kind, unlock, 0, 0), 0);
    t.is(await pending.result, 0);
    t.is(await remote.call('setLock', theirs, kind, exclusive, 0, 0), -ERRNO.EAGAIN);
    pending.abort();
    t.is(await remote.call('setLock', theirs, kind, exclusive, 0, 0), -ERRNO.EAGAIN, 'abort came too late');
  });

for (const [name, kind] of Object.entries({ofd, flock}))
  test.serial(`${name}: a wait that is aborted as it begins always ends`, async t => {
    const [holder, fd] = openTimes(t, 2);
    t.is(native.setLock(holder, kind, exclusive, 0, 0), 0);
    for (let round = 0; round < 3000; round++) {
      const pending = startWait(fd, kind);
      spin(Math.random() * 100);
      pending.abort();
      pending.abort();
      if ((await pending.result) !== -ERRNO.ECANCELED) t.fail(`round ${round}`);
    }
    t.pass();
  });

function spin(microseconds: number): void {
  const end = performance.now() + microseconds / 1000;
  while (performance.now() < end);
}

test.serial(
  'posix: abort against the release of another process: held after 0, free after ECANCELED',
  async t => {
    const path = join(scratch(t).directory, 'file');
    const remote = await Remote.start(t);
    const theirs = await remote.open(path);
    const fd = openFd(t, path);
    const counts = {granted: 0, canceled: 0};
    for (let round = 0; round < 500; round++) {
      if ((await remote.call('setLock', theirs, posix, exclusive, 0, 0)) !== 0)
        t.fail(`round ${round}: not free`);
      const pending = startWait(fd, posix);
      const released = remote.call('setLock', theirs, posix, unlock, 0, 0);
      spin(Math.random() * 200);
      pending.abort();
      const [result] = await Promise.all([pending.result, released]);
      const conflict = await remote.call<Conflict | null>('getLock', theirs, posix, exclusive, 0, 0);
      counts[result === 0 ? 'granted' : 'canceled']++;
      if (result !== 0 && result !== -ERRNO.ECANCELED) t.fail(`round ${round}: ${result}`);
      if (conflict?.pid !== (result === 0 ? process.pid : undefined)) t.fail(`round ${round}: ${result}`);
      native.setLock(fd, posix, unlock, 0, 0);
    }
    t.log(`${counts.granted} granted, ${counts.canceled} canceled`);
    t.pass();
  },
);

test.serial('an abort that comes too late does not end the next wait of that thread', async t => {
  const signaller = join(scratch(t).directory, 'signal-threads');
  compileProgram(
    fileURLToPath(new URL('../../../test/fixtures/signal-threads.c', import.meta.url)),
    signaller,
  );
  const [holder, fd] = openTimes(t, 2);
  const wait = async () => {
    t.is(native.setLock(holder, ofd, exclusive, 0, 0), 0);
    const {result} = startWait(fd, ofd);
    native.setLock(holder, ofd, unlock, 0, 0);
    const ended = await result;
    native.setLock(fd, ofd, unlock, 0, 0);
    return ended;
  };
  t.is(await wait(), 0);
  // As late as can be: to threads that only wait for more work.
  t.is(spawnSync(signaller, [String(process.pid)]).status, 0);
  for (let round = 0; round < 10; round++) t.is(await wait(), 0);
});

function threads(): number {
  return Number(/^Threads:\s+(\d+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]);
}

test.serial('waits that follow each other use one thread, and a burst of them leaves a few', async t => {
  const {directory} = scratch(t);
  // Such threads as Node starts when they are first needed.
  await Promise.all(Array.from({length: 8}, async () => readFile('/proc/self/stat')));
  const [holder, fd] = openTimes(t, 2);
  const one = async () => {
    native.setLock(holder, ofd, exclusive, 0, 0);
    const {result} = startWait(fd, ofd);
    const most = threads();
    native.setLock(holder, ofd, unlock, 0, 0);
    t.is(await result, 0);
    native.setLock(fd, ofd, unlock, 0, 0);
    return most;
  };
  const first = await one();
  let most = 0;
  for (let round = 0; round < 500; round++) most = Math.max(most, await one());
  t.true(most <= first, `${most} threads, at first ${first}`);
  const held = Array.from({length: 200}, (_, index) => open(join(directory, `${index}`)));
  for (const lock of held) lock.try('exclusive');
  const waiters = held.map(({path}) => open(path));
  const waits = waiters.map(waiter => waiter.wait('exclusive'));
  while (threads() < first + 190) await new Promise(setImmediate);
  const serve = async (from: number, to: number) => {
    for (const lock of held.slice(from, to)) lock.close();
    await Promise.all(waits.slice(from, to));
  };
  await serve(0, 100);
  t.true(threads() >= first + 190, 'nobody leaves while as many are at work');
  await serve(100, 199);
  // Their ends are no event.
  while (threads() > first + 20) await new Promise(setImmediate);
  await serve(199, 200);
  while (threads() > first + 3) await new Promise(setImmediate);
  for (const waiter of waiters) waiter.close();
});

test.serial('other events get their turn while many waits end at once', async t => {
  const count = 500;
  const {directory} = scratch(t);
  const held = Array.from({length: count}, (_, index) => openFd(t, join(directory, `${index}`)));
  for (const fd of held) native.setLock(fd, ofd, exclusive, 0, 0);
  const waits = held.map((_, index) => startWait(openFd(t, join(directory, `${index}`)), ofd));
  const all = waits.map(async ({result}) => {
    t.is(await result, 0);
    spin(100);
  });
  for (const fd of held) native.setLock(fd, ofd, unlock, 0, 0);
  // All are granted before the first is told of it.
  const probes = held.map((_, index) => openFd(t, join(directory, `${index}`)));
  while (probes.some(fd => native.getLock(fd, ofd, exclusive, 0, 0) === undefined));
  let turns = 0;
  let next: NodeJS.Immediate;
  const turn = () => {
    turns++;
    next = setImmediate(turn);
  };
  turn();
  await Promise.all(all).finally(() => clearImmediate(next));
  t.log(`${turns} turns`);
  t.true(turns > count / 20);
});

test('an aborted conversion gives back the shared lock as well', async t => {
  const [one, two] = openTimes(t, 2);
  t.is(native.setLock(one, ofd, shared, 0, 0), 0);
  t.is(native.setLock(two, ofd, shared, 0, 0), 0);
  const pending = startWait(one, ofd);
  await untilWaiting(one);
  pending.abort();
  t.is(await pending.result, -ERRNO.ECANCELED);
  t.is(native.setLock(two, ofd, exclusive, 0, 0), 0);
});

test('two processes that wait for each other in POSIX locks: one is told EDEADLK', async t => {
  const path = join(scratch(t).directory, 'file');
  const remote = await Remote.start(t);
  const theirs = await remote.open(path);
  const fd = openFd(t, path);
  t.is(native.setLock(fd, posix, exclusive, 0, 1), 0);
  t.is(await remote.call('setLock', theirs, posix, exclusive, 1, 1), 0);
  const granted = remote.call('waitLock', theirs, posix, exclusive, 0, 1);
  await untilWaiting(fd);
  t.is(await startWait(fd, posix).result, -ERRNO.EDEADLK);
  t.is(native.setLock(fd, posix, unlock, 0, 1), 0);
  t.is(await granted, 0);
});
