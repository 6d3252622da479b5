import {execFileSync} from 'node:child_process';
import {existsSync, readFileSync, rmSync, statSync, writeFileSync} from 'node:fs';
import {readFile, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {native, NEWS, ORDER, type RawNews, type RawSupervisor} from '../../lib/os/native.js';
import {waitForExit} from '../../lib/os/process.js';
import {stopProcess} from '../helpers/proc-state.js';
import {
  ERRNO,
  exclusive,
  ofd,
  open,
  openTimes,
  readable,
  Remote,
  scratch,
  unlock,
  wait,
} from '../helpers/native.js';

const LONG = 600_000;
/** A deadline that the test lets pass, after all that it does before. */
const SOON = 2000;

/** What a supervisor can stop and restore, as the addon takes it. */
interface Columns {
  readonly shapes: Int32Array;
  readonly words: readonly string[];
}

const NOTHING: Columns = {shapes: new Int32Array(), words: []};

/** Pairs of shell commands: each has a time in milliseconds. */
function commands(...pairs: (readonly [stop: string, resume: string, within: number])[]): Columns {
  const shapes = pairs.flatMap(([, , within]) => [within, 3, 1, within, 3, 1]);
  const run = (text: string) => ['/bin/sh', '-c', text, 'PATH=/usr/bin:/bin'];
  return {
    shapes: Int32Array.from(shapes),
    words: pairs.flatMap(([stop, resume]) => [...run(stop), ...run(resume)]),
  };
}

/** A file where 1 means stopped. */
function switches(...paths: string[]): Columns {
  return {
    shapes: Int32Array.from(paths.flatMap(() => [0, 1, 1, 0, 1, 1])),
    words: paths.flatMap(path => [path, '1', path, '0']),
  };
}

function start(
  gate: number,
  milliseconds: number,
  {shapes, words}: Columns = NOTHING,
  {fences = [], turn = -1}: {fences?: string[]; turn?: number} = {},
): RawSupervisor {
  const raw = native.startHoldSupervisor(gate, turn, milliseconds, fences, shapes, words);
  if (typeof raw === 'number') throw new Error(`startHoldSupervisor: ${raw}`);
  return raw;
}

/** The next news; undefined when it has ended. */
async function news(channel: number): Promise<RawNews | undefined> {
  for (;;) {
    const told = native.receiveNews(channel);
    if (typeof told !== 'number') return told;
    if (told !== -ERRNO.EAGAIN) throw new Error(`receiveNews: ${told}`);
    await readable(channel);
  }
}

async function allNews(channel: number): Promise<RawNews[]> {
  const all: RawNews[] = [];
  for (let told = await news(channel); told; told = await news(channel)) all.push(told);
  return all;
}

/** Ends one as its holder does, and gives what it told. */
async function release({channel, pidfd}: RawSupervisor): Promise<RawNews[]> {
  native.sendOrder(channel, ORDER.release, 0);
  const all = await allNews(channel);
  await end({channel, pidfd});
  return all;
}

async function end({channel, pidfd}: Pick<RawSupervisor, 'channel' | 'pidfd'>): Promise<void> {
  await readable(pidfd);
  native.reapHoldSupervisor(pidfd);
  native.close(channel);
  native.close(pidfd);
}

/** A supervisor of another process's gate, with nothing to stop. */
function startIn(remote: Remote, gate: number, milliseconds: number): Promise<RawSupervisor> {
  return remote.call('startHoldSupervisor', gate, -1, milliseconds, [], {empty: 'Int32Array'}, []);
}

/** A process that holds a gate with a supervisor on it, and our own descriptor of that gate. */
async function holdIn(t: ExecutionContext, milliseconds: number) {
  const path = join(scratch(t), 'gate');
  const remote = await Remote.start(t);
  const theirs = await remote.open(path);
  t.is(await remote.call('setLock', theirs, ofd, exclusive, 0, 0), 0);
  const supervisor = await startIn(remote, theirs, milliseconds);
  const pidfd = native.pidfdOpen(supervisor.pid);
  t.true(pidfd >= 0);
  t.teardown(() => native.close(pidfd));
  return {remote, supervisor, theirs, pidfd, gate: open(t, path)};
}

/** A gate that we hold, and another descriptor of it. */
function heldGate(t: ExecutionContext): [gate: number, other: number] {
  const [gate, other] = openTimes(t, 2);
  t.is(native.setLock(gate, ofd, exclusive, 0, 0), 0);
  return [gate, other];
}

test('the gate opens at the deadline though its holder is stopped, who learns it when it goes on', async t => {
  const begin = performance.now();
  const {remote, supervisor, theirs, pidfd, gate} = await holdIn(t, 300);
  remote.child.kill('SIGSTOP');
  t.is(await wait(gate, ofd).result, 0);
  t.true(performance.now() - begin >= 300);
  await readable(pidfd);
  remote.child.kill('SIGCONT');
  t.like(await remote.call('receiveNews', supervisor.channel), {kind: NEWS.over, status: 0});
  t.is(await remote.call('setLock', theirs, ofd, exclusive, 0, 0), -ERRNO.EAGAIN);
  t.is(await remote.call('reapHoldSupervisor', supervisor.pidfd), 0);
  t.false(existsSync(`/proc/${supervisor.pid}`), 'no zombie');
});

test('one that is released ends at once, and has opened the gate', async t => {
  const [gate, other] = heldGate(t);
  const supervisor = start(gate, LONG);
  t.is(native.receiveNews(supervisor.channel), -ERRNO.EAGAIN);
  t.is(native.reapHoldSupervisor(supervisor.pidfd), -ERRNO.EAGAIN);
  t.is(native.setLock(other, ofd, exclusive, 0, 0), -ERRNO.EAGAIN);
  t.deepEqual(await release(supervisor), []);
  t.false(existsSync(`/proc/${supervisor.pid}`), 'no zombie');
  t.is(native.setLock(other, ofd, exclusive, 0, 0), 0);
});

test('the gate opens at once when its holder is killed', async t => {
  const {remote, pidfd, gate} = await holdIn(t, LONG);
  const pending = wait(gate, ofd);
  await remote.kill();
  t.is(await pending.result, 0);
  t.is(await readable(pidfd), 0);
});

test('it keeps no other lock and no other descriptor of its holder', async t => {
  const {remote, supervisor} = await holdIn(t, LONG);
  const path = join(scratch(t), 'other');
  const theirs = await remote.open(path);
  t.is(await remote.call('setLock', theirs, ofd, exclusive, 0, 0), 0);
  const second = await startIn(remote, theirs, LONG);
  for (const pid of [supervisor.pid, second.pid]) {
    t.is(readFileSync(`/proc/${pid}/comm`, 'utf8'), 'locksmith-hold\n');
    t.false(existsSync(`/proc/${pid}/fd/3`));
  }
  t.true(existsSync(`/proc/${second.pid}/fd/0`));
  const {ino} = statSync(path);
  t.notRegex(readFileSync(`/proc/${supervisor.pid}/fdinfo/0`, 'utf8'), new RegExp(`^ino:\\t${ino}$`, 'm'));
});

test('it ignores the signals of a terminal, which end others of its group', async t => {
  const {supervisor, pidfd} = await holdIn(t, LONG);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.kill(supervisor.pid, signal);
  const pending = /^ShdPnd:\t(\w+)$/m.exec(readFileSync(`/proc/${supervisor.pid}/status`, 'utf8'))?.[1];
  t.is(pending, '0000000000004003', 'blocked, and pending for ever');
  t.is(native.isReadable(pidfd), 0);
  t.regex(
    readFileSync(`/proc/${supervisor.pid}/stat`, 'utf8'),
    new RegExp(`^${supervisor.pid} \\(.*\\) \\S+ \\d+ ${supervisor.pid} `),
  );
});

test('where it may, it is the last to be killed for want of memory, and what it runs is not', async t => {
  const [gate] = heldGate(t);
  const file = join(scratch(t), 'score');
  const supervisor = start(gate, LONG, commands([`cat /proc/self/oom_score_adj > ${file}`, 'true', LONG]));
  // CAP_SYS_RESOURCE, which root may lack in a container (capabilities(7)).
  const allowed =
    (BigInt(`0x${/^CapEff:\t(\w+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]}`) >> 24n) & 1n;
  const ours = readFileSync('/proc/self/oom_score_adj', 'utf8');
  t.is(readFileSync(`/proc/${supervisor.pid}/oom_score_adj`, 'utf8'), allowed ? '-1000\n' : ours);
  native.sendOrder(supervisor.channel, ORDER.stop, 0);
  t.deepEqual(await news(supervisor.channel), {kind: NEWS.stopped, index: 0, status: 0});
  t.is(readFileSync(file, 'utf8'), ours);
  await release(supervisor);
});

test('it restores what it was ordered to stop, nothing else, in reverse order', async t => {
  const [gate] = heldGate(t);
  const log = join(scratch(t), 'log');
  const pair = (n: number) => [`echo stop ${n} >> ${log}`, `echo resume ${n} >> ${log}`, LONG] as const;
  const supervisor = start(gate, LONG, commands(pair(0), pair(1), pair(2), pair(3)));
  for (const index of [0, 1]) {
    native.sendOrder(supervisor.channel, ORDER.stop, index);
    t.deepEqual(await news(supervisor.channel), {kind: NEWS.stopped, index, status: 0});
  }
  native.sendOrder(supervisor.channel, ORDER.adopt, 3);
  const told = await release(supervisor);
  t.deepEqual(
    told.map(({kind, index, status}) => [kind, index, status]),
    [3, 1, 0].map(index => [NEWS.restored, index, 0]),
  );
  t.is(readFileSync(log, 'utf8'), 'stop 0\nstop 1\nresume 3\nresume 1\nresume 0\n');
});

test('a program that takes too long is killed with all that it started, and the next is restored regardless', async t => {
  const [gate] = heldGate(t);
  const directory = scratch(t);
  const [file, pids] = [join(directory, 'resumed'), join(directory, 'pids')];
  const hangs = `sleep 1000 & echo $$ $! > ${pids}; wait`;
  const supervisor = start(gate, LONG, commands(['true', `touch ${file}`, LONG], ['true', hangs, 300]));
  for (const index of [0, 1]) {
    native.sendOrder(supervisor.channel, ORDER.stop, index);
    await news(supervisor.channel);
  }
  t.deepEqual(await release(supervisor), [
    {kind: NEWS.restored, index: 1, status: -ERRNO.ETIMEDOUT},
    {kind: NEWS.restored, index: 0, status: 0},
  ]);
  t.true(existsSync(file));
  for (const pid of readFileSync(pids, 'utf8').trim().split(' ')) await waitForExit(Number(pid));
});

test('a restore that hangs does not keep the gate shut beyond the deadline', async t => {
  const [gate, other] = heldGate(t);
  const go = join(scratch(t), 'go');
  execFileSync('mkfifo', [go]);
  const supervisor = start(gate, SOON, commands(['true', `read line < ${go}`, LONG]));
  native.sendOrder(supervisor.channel, ORDER.stop, 0);
  await news(supervisor.channel);
  t.is(await wait(other, ofd).result, 0);
  t.is(native.isReadable(supervisor.pidfd), 0, 'the restore still runs');
  await writeFile(go, 'go\n');
  t.deepEqual(await allNews(supervisor.channel), [
    {kind: NEWS.over, index: 0, status: 0},
    {kind: NEWS.restored, index: 0, status: 0},
  ]);
  await end(supervisor);
});

test('when its holder is gone before the deadline, the gate waits for the restores', async t => {
  const [gate, other] = heldGate(t);
  const directory = scratch(t);
  const [began, go] = [join(directory, 'began'), join(directory, 'go')];
  execFileSync('mkfifo', [began, go]);
  const columns = commands(['true', `echo began > ${began}; read line < ${go}`, LONG]);
  const supervisor = start(gate, LONG, columns);
  native.sendOrder(supervisor.channel, ORDER.stop, 0);
  await news(supervisor.channel);
  native.close(supervisor.channel);
  await readFile(began);
  t.is(native.setLock(other, ofd, exclusive, 0, 0), -ERRNO.EAGAIN);
  await writeFile(go, 'go\n');
  t.is(await wait(other, ofd).result, 0);
  await readable(supervisor.pidfd);
  native.reapHoldSupervisor(supervisor.pidfd);
  native.close(supervisor.pidfd);
});

test('an order that it finds together with the end of its holder is carried out and undone', async t => {
  const [gate, other] = heldGate(t);
  const log = join(scratch(t), 'log');
  const supervisor = start(
    gate,
    LONG,
    commands([`echo stop >> ${log}; sleep 1000`, `echo resume >> ${log}`, LONG]),
  );
  stopProcess(supervisor.pid);
  native.sendOrder(supervisor.channel, ORDER.stop, 0);
  native.close(supervisor.channel);
  process.kill(supervisor.pid, 'SIGCONT');
  t.is(await wait(other, ofd).result, 0);
  t.regex(readFileSync(log, 'utf8'), /^(stop\n)?resume\n$/, 'its program may be killed before it can say so');
  await readable(supervisor.pidfd);
  native.reapHoldSupervisor(supervisor.pidfd);
  native.close(supervisor.pidfd);
});

test('at the deadline: fences, then restores, then the gate; the lock on the turn goes last', async t => {
  const [gate, other] = heldGate(t);
  const directory = scratch(t);
  const [turn, otherTurn] = openTimes(t, 2);
  native.setLock(turn, ofd, exclusive, 0, 0);
  const fence = join(directory, 'scratch');
  const frozen = join(directory, 'freeze');
  writeFileSync(fence, '');
  writeFileSync(frozen, '0');
  const busy = join(directory, 'busy');
  writeFileSync(busy, '');
  const untilDone = `while test -e ${busy}; do sleep 0.01; done`;
  const slow = commands(['true', `test ! -e ${fence} && ${untilDone}`, LONG]);
  const quick = switches(frozen);
  const both = {
    shapes: Int32Array.from([...quick.shapes, ...slow.shapes]),
    words: [...quick.words, ...slow.words],
  };
  const supervisor = start(gate, SOON, both, {fences: [join(directory, 'none'), fence], turn});
  for (const index of [0, 1]) {
    native.sendOrder(supervisor.channel, ORDER.stop, index);
    await news(supervisor.channel);
  }
  t.is(readFileSync(frozen, 'utf8'), '1');
  t.is(await wait(other, ofd).result, 0);
  t.false(existsSync(fence), 'gone before the gate opened');
  t.is(readFileSync(frozen, 'utf8'), '0', 'restored before the gate opened');
  t.is(native.setLock(otherTurn, ofd, exclusive, 0, 0), -ERRNO.EAGAIN, 'a restore still runs');
  rmSync(busy);
  t.is(await wait(otherTurn, ofd).result, 0);
  const told = await allNews(supervisor.channel);
  t.deepEqual(
    told.map(({kind, status}) => [kind, status]),
    [
      [NEWS.over, 0],
      [NEWS.restored, 0],
      [NEWS.restored, 0],
    ],
  );
  await end(supervisor);
});

test('a fence that can not be removed is told, and keeps neither the others nor the gate', async t => {
  const [gate, other] = heldGate(t);
  const directory = scratch(t);
  const fence = join(directory, 'scratch');
  writeFileSync(fence, '');
  const supervisor = start(gate, 100, NOTHING, {fences: [directory, fence]});
  t.is(await wait(other, ofd).result, 0);
  t.false(existsSync(fence));
  const told = await allNews(supervisor.channel);
  t.deepEqual(
    told.map(({kind, status}) => [kind, status]),
    [
      [NEWS.over, 0],
      [NEWS.over, -ERRNO.EISDIR],
    ],
  );
  await end(supervisor);
});

test('a release removes no fence: the next holder may be using it', async t => {
  const [gate] = heldGate(t);
  const fence = join(scratch(t), 'scratch');
  writeFileSync(fence, '');
  await release(start(gate, LONG, NOTHING, {fences: [fence]}));
  t.true(existsSync(fence));
});

test('what could not be written was not stopped, and is not restored', async t => {
  const [gate] = heldGate(t);
  const directory = scratch(t);
  const supervisor = start(gate, LONG, switches(join(directory, 'none', 'freeze')));
  native.sendOrder(supervisor.channel, ORDER.stop, 0);
  t.deepEqual(await news(supervisor.channel), {kind: NEWS.stopped, index: 0, status: -ERRNO.ENOENT});
  t.deepEqual(await release(supervisor), []);
});

test('a program gets no descriptor, no blocked signal, and a session of its own', async t => {
  const [gate, other] = heldGate(t);
  const file = join(scratch(t), 'seen');
  const look = `ls -l /proc/self/fd | grep -c -v /dev/null > ${file}; grep -E '^Sig(Blk|Ign)' /proc/self/status >> ${file}; ps -o sid= -p $$ >> ${file}; echo $$ >> ${file}; sleep 1000 & echo $! >> ${file}`;
  const supervisor = start(gate, LONG, commands([look, 'exit 3', LONG]));
  native.sendOrder(supervisor.channel, ORDER.stop, 0);
  t.deepEqual(await news(supervisor.channel), {kind: NEWS.stopped, index: 0, status: 0});
  const [strange, blocked, ignored, session, pid, left] = readFileSync(file, 'utf8').trim().split('\n');
  t.teardown(() => process.kill(Number(left), 'SIGKILL'));
  // The line "total", the directory that ls reads, and the file where grep is not ls's.
  t.true(Number(strange) <= 3, strange);
  t.regex(blocked ?? '', /\t0+$/);
  t.regex(ignored ?? '', /\t0+$/);
  t.is(session?.trim(), pid);
  const told = await release(supervisor);
  t.deepEqual(told, [{kind: NEWS.restored, index: 0, status: 3 << 8}]);
  t.is(native.setLock(other, ofd, exclusive, 0, 0), 0, 'what a command leaves behind keeps no gate shut');
});

test('a program has no signal blocked; shells would hide it', async t => {
  const [gate] = heldGate(t);
  const look = ['/bin/grep', '-Eq', '^SigBlk:\\s0+$', '/proc/self/status'];
  const supervisor = start(gate, LONG, {
    shapes: Int32Array.from([LONG, 4, 0, LONG, 4, 0]),
    words: [...look, ...look],
  });
  native.sendOrder(supervisor.channel, ORDER.stop, 0);
  t.deepEqual(await news(supervisor.channel), {kind: NEWS.stopped, index: 0, status: 0});
  await release(supervisor);
});

test('a program that is not there, or is none, is told of', async t => {
  const [gate] = heldGate(t);
  const none = {shapes: Int32Array.from([LONG, 1, 0, LONG, 1, 0]), words: ['/none', '/etc/passwd']};
  const supervisor = start(gate, LONG, none);
  native.sendOrder(supervisor.channel, ORDER.stop, 0);
  t.deepEqual(await news(supervisor.channel), {kind: NEWS.stopped, index: 0, status: 127 << 8});
  t.deepEqual(await release(supervisor), [{kind: NEWS.restored, index: 0, status: 126 << 8}]);
});

test('an order for something that it does not know changes nothing', async t => {
  const [gate] = heldGate(t);
  const supervisor = start(gate, LONG);
  for (const index of [-1, 0, 1_000_000]) t.is(native.sendOrder(supervisor.channel, ORDER.stop, index), 0);
  t.deepEqual(await release(supervisor), []);
});

test('what cannot be a supervisor is refused', t => {
  const begin = (gate: number, milliseconds: number, shapes: number[], words: string[]) => () =>
    native.startHoldSupervisor(gate, -1, milliseconds, [], Int32Array.from(shapes), words);
  t.is(begin(1_000_000, LONG, [], [])(), -ERRNO.EBADF);
  t.throws(begin(0, 0, [], []), {message: 'milliseconds must be at least 1'});
  const [shapes, words] = [
    [0, 1, 1, 0, 1, 1],
    ['/a', '1', '/a', '0'],
  ] as const;
  for (const [wrong, given] of [
    [shapes.slice(1), words],
    [shapes, words.slice(1)],
    [shapes, [...words, 'more']],
    [[0, 2, 0, 0, 1, 1], words],
    [[-1, 1, 1, 0, 1, 1], words],
    [[5, 0, 2, 0, 1, 1], words],
  ] as const)
    t.throws(begin(0, LONG, [...wrong], [...given]), {message: 'shapes must be those of the words'});
  t.throws(begin(0, LONG, [...shapes], ['/a\0', '1', '/a', '0']), {
    message: 'words must be without a NUL byte',
  });
  t.is(native.reapHoldSupervisor(1_000_000), -ERRNO.EBADF);
  t.is(native.sendOrder(1_000_000, ORDER.release, 0), -ERRNO.EBADF);
  t.is(native.receiveNews(1_000_000), -ERRNO.EBADF);
});

test('it is told of a holder that gives back nothing but ends', async t => {
  const [gate, other] = heldGate(t);
  const {channel, pidfd} = start(gate, LONG);
  native.close(channel);
  await readable(pidfd);
  t.is(native.reapHoldSupervisor(pidfd), 0);
  native.close(pidfd);
  t.is(native.setLock(other, ofd, exclusive, 0, 0), 0);
  native.setLock(other, ofd, unlock, 0, 0);
});
