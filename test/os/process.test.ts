/** Is one incarnation of a process told from another, and its end an event? */
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {readdirSync} from 'node:fs';
import test, {type ExecutionContext} from 'ava';
import {native} from '../../lib/os/native.js';
import {
  describeProcess,
  endProcess,
  examineProcess,
  isSame,
  ourselves,
  type Presence,
  waitForExit,
} from '../../lib/os/process.js';
import {readSystem} from '../../lib/os/system.js';
import {asRoot, testWith} from '../helpers/here.js';
import {stopProcess} from '../helpers/proc-state.js';
import {observe, startUncollected} from '../helpers/program.js';

const system = readSystem();

function child(t: ExecutionContext) {
  const started = spawn('cat', {stdio: ['pipe', 'ignore', 'ignore']});
  t.teardown(() => started.kill('SIGKILL'));
  return started;
}

test('we run, under our own identity', t => {
  const presence = examineProcess(system, process.pid);
  t.is(presence.kind, 'running');
  t.is(presence.kind === 'running' && presence.facts.identity, ourselves(system).identity);
});

test('two processes have two identities', async t => {
  const [a, b] = [child(t), child(t)];
  await Promise.all([once(a, 'spawn'), once(b, 'spawn')]);
  const identities = [a, b].map(({pid}) => {
    const presence = examineProcess(system, pid ?? 0);
    return presence.kind === 'running' ? presence.facts.identity : '';
  });
  t.not(identities[0], identities[1]);
});

test('a process that ended is absent, and its end is an event', async t => {
  const one = child(t);
  await once(one, 'spawn');
  const exit = once(one, 'exit');
  const end = waitForExit(one.pid ?? 0);
  one.kill('SIGKILL');
  await end;
  await exit;
  t.is(examineProcess(system, one.pid ?? 0).kind, 'absent');
});

test('a zombie has ended, under the identity that it had', async t => {
  const pid = await startUncollected(t);
  t.is(examineProcess(system, pid).kind, 'running');
  process.kill(pid, 'SIGKILL');
  await waitForExit(pid);
  const ended = examineProcess(system, pid);
  t.is(ended.kind, 'ended');
  t.deepEqual(ended.kind === 'ended' && ended.ending, {signal: 'SIGKILL', coreDumped: false});
  t.is(describeProcess(system, pid), `pid ${pid} (sleep)`);
});

test('a stopped process is frozen, and says by what', async t => {
  const one = child(t);
  await once(one, 'spawn');
  stopProcess(one.pid ?? 0);
  const presence = examineProcess(system, one.pid ?? 0);
  t.regex((presence.kind === 'running' && presence.facts.frozen) || '', /stopped by a signal/);
});

test('the id of a thread is no process', t => {
  const threads = readdirSync('/proc/self/task').map(Number);
  const other = threads.find(id => id !== process.pid) ?? 0;
  t.is(examineProcess(system, other).kind, 'thread');
});

test('identities are compared only with their like', t => {
  const facts = {identity: 'pidfd:7', started: 'start:5@time:[1]'};
  t.true(isSame('pidfd:7', facts));
  t.false(isSame('pidfd:8', facts));
  t.true(isSame('start:5@time:[1]', facts));
  t.false(isSame('start:6@time:[1]', facts));
  t.is(isSame('start:6@time:[2]', facts), undefined);
  t.is(isSame('start:6', facts), undefined);
  t.is(isSame('pidfd:7', {identity: 'start:5', started: 'start:5'}), undefined);
  t.is(isSame('start:5', {identity: 'pidfd:7', started: undefined}), undefined);
  t.is(isSame('other:5', facts), undefined);
});

test('a pid that nobody has is described without a name', async t => {
  const one = child(t);
  await once(one, 'spawn');
  const exit = once(one, 'exit');
  one.kill('SIGKILL');
  await exit;
  t.is(describeProcess(system, one.pid ?? 0), `pid ${one.pid}`);
  t.regex(describeProcess(system, process.pid), /^pid \d+ \(.+\)$/);
});

interface Seen {
  readonly presence: Presence;
  readonly name: string;
  readonly watched: readonly unknown[];
}

testWith(
  asRoot,
  'a /proc of another pid namespace is asked by the number that it has for the process',
  async t => {
    const {presence, name} = await observe<Seen>(t, {}, 'unshare', '--pid', '--fork', '--kill-child');
    if (presence.kind !== 'running') return t.fail(presence.kind);
    t.is(presence.facts.pid, 1);
    const us = examineProcess(system, process.pid);
    const command = us.kind === 'running' ? us.facts.command : '';
    t.is(presence.facts.command, command);
    t.is(name, `pid 1 (${command})`);
  },
);

testWith(
  asRoot,
  'whoever may not look into /proc knows by the pidfd that a process lives, and which',
  async t => {
    const one = child(t);
    await once(one, 'spawn');
    const hidden = ['unshare', '-m', 'sh', '-c', 'mount -t proc -o hidepid=2 proc /proc && exec "$@"', 'sh'];
    const ours = examineProcess(system, one.pid ?? 0);
    if (ours.kind !== 'running') return t.fail(ours.kind);
    const {identity, started} = ours.facts;
    const seen = await observe<Seen>(t, {uid: 65_534, pid: one.pid, watch: [identity, started]}, ...hidden);
    if (seen.presence.kind !== 'running') return t.fail(seen.presence.kind);
    // By its start time, which it may not read, it can't tell whether it is that process.
    t.deepEqual(seen.watched, [identity.startsWith('pidfd:') ? 'watched' : 'unknown', 'unknown']);
    t.is(seen.presence.facts.identity, ours.facts.identity);
    t.is(seen.presence.facts.command, '?');
    t.deepEqual(seen.presence.facts.remarks, ['this user can not see its state in /proc']);
    t.is(seen.name, `pid ${one.pid}`);
  },
);

test('a wait for an end can be aborted', async t => {
  const reason = new Error('enough');
  const end = new AbortController();
  const wait = waitForExit(process.ppid, {signal: end.signal});
  end.abort(reason);
  t.is(await t.throwsAsync(wait), reason);
});

test('a signal goes to the incarnation that the pidfd names', async t => {
  const one = child(t);
  await once(one, 'spawn');
  const exit = once(one, 'exit');
  const pidfd = native.pidfdOpen(one.pid ?? 0);
  t.is(native.pidfdSignal(pidfd, 9), 0);
  t.deepEqual(await exit, [null, 'SIGKILL']);
  t.is(native.isReadable(pidfd), 1);
  t.true(native.pidfdSignal(pidfd, 0) < 0);
  native.close(pidfd);
});

test('wrong arguments are TypeErrors that name them', t => {
  const loose = native as unknown as Record<string, (...args: unknown[]) => unknown>;
  t.throws(() => loose['pidfdOpen']?.('x'), {instanceOf: TypeError, message: /pid must be a safe integer/});
  t.throws(() => loose['open']?.(7, 0, 0), {instanceOf: TypeError, message: /path/});
  t.throws(() => loose['open']?.('a\0b', 0, 0), {instanceOf: TypeError, message: /NUL/});
  t.throws(() => loose['setLock']?.(1, 9, 0, 0, 0), {instanceOf: TypeError, message: /kind/});
  t.throws(() => loose['setWholeLock']?.('x', 0), {
    instanceOf: TypeError,
    message: /fd must be a safe integer/,
  });
  t.throws(() => loose['setWholeLock']?.(2 ** 40, 0), {
    instanceOf: TypeError,
    message: /fd must be a 32-bit/,
  });
  t.throws(() => loose['setWholeLock']?.(1, 9), {instanceOf: TypeError, message: /what/});
  t.throws(() => loose['setWholeLock']?.(1), {instanceOf: TypeError, message: /what/});
  t.throws(() => loose['lockPath']?.(7, 0, 0, 0, 0), {
    instanceOf: TypeError,
    message: /path must be a string/,
  });
  t.throws(() => loose['lockPath']?.('a\0b', 0, 0, 0, 0), {instanceOf: TypeError, message: /NUL/});
  t.throws(() => loose['lockPath']?.('a', 0, 0, 0.5, 0), {instanceOf: TypeError, message: /start/});
  t.throws(() => loose['unlockAndClose']?.(Number.NaN, 2, 0, 0), {instanceOf: TypeError, message: /fd/});
  t.is(native.close(99_999), -9, 'a descriptor that is not ours is not closed');
});

test('only the incarnation that was named is ended; of one that can not be told nothing is done', async t => {
  const cat = child(t);
  await once(cat, 'spawn');
  const pid = cat.pid ?? 0;
  const presence = examineProcess(system, pid);
  const {identity, started = ''} = presence.kind === 'running' ? presence.facts : {identity: ''};
  t.true(await endProcess(system, pid, 'pidfd:1'), 'the one that was named is gone');
  t.true(await endProcess(system, pid, started.replace(/\d+/, '1')));
  t.false(await endProcess(system, pid, 'start:1@time:[1]'), 'a start time of another time namespace');
  t.is(examineProcess(system, pid).kind, 'running');
  const end = once(cat, 'exit');
  t.true(await endProcess(system, pid, identity));
  t.is((await end)[1], 'SIGKILL');
  t.true(await endProcess(system, pid, identity), 'again');
});
