import {execFile, spawn} from 'node:child_process';
import {once} from 'node:events';
import {constants} from 'node:os';
import {join} from 'node:path';
import {promisify} from 'node:util';
import test from 'ava';
import {native} from '../../lib/os/native.js';
import {kernelIs} from '../helpers/here.js';
import {ERRNO, exclusive, fixture, ofd, open, readable, Remote, scratch} from '../helpers/native.js';
import {startUncollected} from '../helpers/program.js';

const {SIGKILL} = constants.signals;

test('a pidfd becomes readable when its process has ended, reaped or not', async t => {
  const remote = await Remote.start(t);
  const pidfd = native.pidfdOpen(remote.pid);
  t.is(native.isReadable(pidfd), 0);
  t.is(native.pidfdSignal(pidfd, 0), 0);
  t.is(native.pidfdSignal(pidfd, SIGKILL), 0);
  t.is(await readable(pidfd), 0);
  t.is(native.isReadable(pidfd), 1);
  if (remote.child.signalCode === null) await once(remote.child, 'exit');
  t.is(native.pidfdSignal(pidfd, 0), -ERRNO.ESRCH);
  t.is(native.pidfdOpen(remote.pid), -ERRNO.ESRCH);
  t.is(native.close(pidfd), 0);
});

test('the inode of a pidfd tells processes apart (Linux >= 6.9), and is 0n before', async t => {
  const remote = await Remote.start(t);
  const [one, two, ours] = [remote.pid, remote.pid, process.pid].map(pid => native.pidfdOpen(pid));
  const inodes = [one, two, ours].map(fd => native.pidfdInode(fd ?? -1));
  t.is(inodes[0], inodes[1]);
  if (kernelIs(6, 9)) t.not(inodes[0], inodes[2]);
  else t.is(inodes[0], 0n);
  t.is(native.pidfdInode(-1), -ERRNO.EBADF);
  for (const fd of [one, two, ours]) t.is(native.close(fd ?? -1), 0);
});

test('a pidfd tells how its process ended once it was collected, not before (Linux >= 6.15)', async t => {
  const told = kernelIs(6, 15);
  const pidfd = native.pidfdOpen(await startUncollected(t));
  const early = native.pidfdExitStatus(pidfd);
  t.true(told ? early === -ERRNO.ENODATA : [-ERRNO.ENOTTY, -ERRNO.EINVAL, -ERRNO.ENODATA].includes(early));
  t.is(native.pidfdSignal(pidfd, SIGKILL), 0);
  t.is(await readable(pidfd), 0);
  t.is(native.pidfdExitStatus(pidfd), early, 'a zombie');
  native.close(pidfd);

  const remote = await Remote.start(t);
  const held = native.pidfdOpen(remote.pid);
  await remote.kill();
  t.is(native.pidfdExitStatus(held), told ? SIGKILL : early);
  native.close(held);
  t.is(native.pidfdExitStatus(-1), -ERRNO.EBADF);
  t.is(native.pidfdExitStatus(open(t, join(scratch(t), 'file'))), -ERRNO.ENOTTY, 'no pidfd');
});

test("a copy of another process's descriptor shares its lock, which outlives it", async t => {
  const path = join(scratch(t), 'file');
  const remote = await Remote.start(t);
  const theirs = await remote.open(path);
  t.is(await remote.call('setLock', theirs, ofd, exclusive, 0, 0), 0);
  const pidfd = native.pidfdOpen(remote.pid);
  const copy = native.pidfdGetfd(pidfd, theirs);
  if (copy === -ERRNO.EPERM) {
    t.log('not permitted to copy descriptors here (ptrace rights)');
    t.pass();
    return;
  }
  t.true(copy >= 0);
  const other = open(t, path);
  await remote.kill();
  t.is(native.setLock(other, ofd, exclusive, 0, 0), -ERRNO.EAGAIN);
  t.is(native.close(copy), 0);
  t.is(native.setLock(other, ofd, exclusive, 0, 0), 0);
  t.is(native.pidfdGetfd(pidfd, theirs), -ERRNO.ESRCH);
  t.is(native.close(pidfd), 0);
});

test("an unref'ed watch does not keep a process alive", async t => {
  const script = `
    import {native} from ${JSON.stringify(new URL('../../lib/os/native.js', import.meta.url).href)};
    native.watch(native.pidfdOpen(process.ppid), () => undefined).unref();`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {timeout: 10_000});
  t.deepEqual(await once(child, 'exit'), [0, null]);
});

test('watches are refused on what cannot be polled, and twice on one descriptor', t => {
  const pidfd = native.pidfdOpen(process.pid);
  const watch = native.watch(pidfd, () => undefined);
  if (typeof watch === 'number') return t.fail();
  t.is(
    native.watch(pidfd, () => undefined),
    -ERRNO.EEXIST,
  );
  watch.close();
  watch.close();
  t.is(native.close(pidfd), 0);
  t.is(
    native.watch(open(t, join(scratch(t), 'file')), () => undefined),
    -ERRNO.EPERM,
  );
  t.is(native.isReadable(1_000_000), -ERRNO.EBADF);
});

test('a question that a signal interrupts is asked again', async t => {
  const profile = ['--cpu-prof', '--cpu-prof-interval', '50', '--cpu-prof-dir', scratch(t)];
  const {stdout} = await promisify(execFile)(process.execPath, [...profile, fixture('profiled')]);
  t.is(stdout, '0\n');
});
