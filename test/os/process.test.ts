/** Is one incarnation of a process told from another, and its end an event? */
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {readdirSync, readFileSync} from 'node:fs';
import test from 'ava';
import {native} from '../../lib/os/native.js';
import {examineProcess, ourselves, waitForExit} from '../../lib/os/process.js';
import {readSystem} from '../../lib/os/system.js';

const system = readSystem();

function child() {
  return spawn('cat', {stdio: ['pipe', 'ignore', 'ignore']});
}

test('we run, under our own identity', t => {
  const presence = examineProcess(system, process.pid);
  t.is(presence.kind, 'running');
  t.is(presence.kind === 'running' && presence.facts.identity, ourselves(system).identity);
});

test('two processes have two identities', async t => {
  const [a, b] = [child(), child()];
  await Promise.all([once(a, 'spawn'), once(b, 'spawn')]);
  const identities = [a, b].map(({pid}) => {
    const presence = examineProcess(system, pid ?? 0);
    return presence.kind === 'running' ? presence.facts.identity : '';
  });
  t.not(identities[0], identities[1]);
  a.kill();
  b.kill();
});

test('a process that ended is absent, and its end is an event', async t => {
  const one = child();
  await once(one, 'spawn');
  const exit = once(one, 'exit');
  const end = waitForExit(one.pid ?? 0);
  one.kill('SIGKILL');
  await end;
  await exit;
  t.is(examineProcess(system, one.pid ?? 0).kind, 'absent');
});

test('a zombie has ended, under the identity that it had', async t => {
  // Once the shell has become cat, which echoes, nobody collects the child.
  const parent = spawn('sh', ['-c', 'sleep 1000 & exec cat'], {stdio: ['pipe', 'pipe', 'ignore']});
  parent.stdin.write('up\n');
  await once(parent.stdout, 'data');
  const [pid = 0] = readFileSync(`/proc/${parent.pid}/task/${parent.pid}/children`, 'utf8')
    .trim()
    .split(' ')
    .map(Number);
  t.is(examineProcess(system, pid).kind, 'running');
  process.kill(pid, 'SIGKILL');
  await waitForExit(pid);
  t.is(examineProcess(system, pid).kind, 'ended');
  parent.kill('SIGKILL');
});

test('a stopped process is frozen, and says by what', async t => {
  const one = child();
  await once(one, 'spawn');
  one.kill('SIGSTOP');
  let presence = examineProcess(system, one.pid ?? 0);
  while (presence.kind === 'running' && presence.facts.frozen === undefined)
    presence = examineProcess(system, one.pid ?? 0);
  t.regex((presence.kind === 'running' && presence.facts.frozen) || '', /stopped by a signal/);
  one.kill('SIGKILL');
});

test('the id of a thread is no process', t => {
  const threads = readdirSync('/proc/self/task').map(Number);
  const other = threads.find(id => id !== process.pid) ?? 0;
  t.is(examineProcess(system, other).kind, 'thread');
});

test('a wait for an end can be aborted', async t => {
  const reason = new Error('enough');
  const end = new AbortController();
  const wait = waitForExit(process.ppid, {signal: end.signal});
  end.abort(reason);
  t.is(await t.throwsAsync(wait), reason);
});

test('a signal goes to the incarnation that the pidfd names', async t => {
  const one = child();
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
  t.is(native.close(99_999), -9, 'a descriptor that is not ours is not closed');
});
