import {existsSync, readFileSync, statSync} from 'node:fs';
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {type HoldTimer, native} from '../../lib/os/native.js';
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

/** A process that holds a gate with a timer on it, and our own descriptor of that gate. */
async function holdIn(t: ExecutionContext, milliseconds: number) {
  const path = join(scratch(t), 'gate');
  const remote = await Remote.start(t);
  const theirs = await remote.open(path);
  t.is(await remote.call('setLock', theirs, ofd, exclusive, 0, 0), 0);
  const timer = await remote.call<HoldTimer>('startHoldTimer', theirs, milliseconds);
  const pidfd = native.pidfdOpen(timer.pid);
  t.true(pidfd >= 0);
  t.teardown(() => native.close(pidfd));
  return {remote, timer, theirs, pidfd, gate: open(t, path)};
}

test('the gate opens at the deadline though its holder is stopped, who learns it when it goes on', async t => {
  const begin = performance.now();
  const {remote, timer, theirs, pidfd, gate} = await holdIn(t, 300);
  remote.child.kill('SIGSTOP');
  t.is(await wait(gate, ofd).result, 0);
  t.true(performance.now() - begin >= 300);
  await readable(pidfd);
  remote.child.kill('SIGCONT');
  t.is(await remote.call('isReadable', timer.channel), 1);
  t.is(await remote.call('setLock', theirs, ofd, exclusive, 0, 0), -ERRNO.EAGAIN);
  t.is(await remote.call('reapHoldTimer', timer.pidfd), 0);
  t.false(existsSync(`/proc/${timer.pid}`), 'no zombie');
});

test('a timer that is released ends at once and leaves the gate to its holder', async t => {
  const [gate, other] = openTimes(t, 2);
  t.is(native.setLock(gate, ofd, exclusive, 0, 0), 0);
  const timer = native.startHoldTimer(gate, LONG);
  if (typeof timer === 'number') return t.fail(String(timer));
  t.is(native.isReadable(timer.channel), 0);
  t.is(native.reapHoldTimer(timer.pidfd), -ERRNO.EAGAIN);
  t.is(native.close(timer.channel), 0);
  await readable(timer.pidfd);
  t.is(native.setLock(other, ofd, exclusive, 0, 0), -ERRNO.EAGAIN);
  t.is(native.reapHoldTimer(timer.pidfd), 0);
  t.false(existsSync(`/proc/${timer.pid}`), 'no zombie');
  t.is(native.close(timer.pidfd), 0);
  t.is(native.setLock(gate, ofd, unlock, 0, 0), 0);
  t.is(native.setLock(other, ofd, exclusive, 0, 0), 0);
});

test('the gate opens at once when its holder is killed', async t => {
  const {remote, pidfd, gate} = await holdIn(t, LONG);
  const pending = wait(gate, ofd);
  await remote.kill();
  t.is(await pending.result, 0);
  t.is(await readable(pidfd), 0);
});

test('the timer keeps no other lock and no other descriptor of its holder', async t => {
  const {remote, timer} = await holdIn(t, LONG);
  const path = join(scratch(t), 'other');
  const theirs = await remote.open(path);
  t.is(await remote.call('setLock', theirs, ofd, exclusive, 0, 0), 0);
  const second = await remote.call<HoldTimer>('startHoldTimer', theirs, LONG);
  for (const pid of [timer.pid, second.pid]) {
    t.is(readFileSync(`/proc/${pid}/comm`, 'utf8'), 'locksmith-hold\n');
    t.false(existsSync(`/proc/${pid}/fd/3`));
  }
  t.true(existsSync(`/proc/${second.pid}/fd/0`));
  const {ino} = statSync(path);
  t.notRegex(readFileSync(`/proc/${timer.pid}/fdinfo/0`, 'utf8'), new RegExp(`^ino:\\t${ino}$`, 'm'));
});

test('the timer ignores the signals of a terminal, which end others of its group', async t => {
  const {timer, pidfd} = await holdIn(t, LONG);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.kill(timer.pid, signal);
  const pending = /^ShdPnd:\t(\w+)$/m.exec(readFileSync(`/proc/${timer.pid}/status`, 'utf8'))?.[1];
  t.is(pending, '0000000000004003', 'blocked, and pending for ever');
  t.is(native.isReadable(pidfd), 0);
  t.regex(
    readFileSync(`/proc/${timer.pid}/stat`, 'utf8'),
    new RegExp(`^${timer.pid} \\(.*\\) \\S+ \\d+ ${timer.pid} `),
  );
});

test('what cannot be a timer is refused', t => {
  t.is(native.startHoldTimer(1_000_000, LONG), -ERRNO.EBADF);
  t.throws(() => native.startHoldTimer(0, 0), {message: 'milliseconds must be at least 1'});
  t.is(native.reapHoldTimer(1_000_000), -ERRNO.EBADF);
});
