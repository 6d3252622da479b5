import {spawn} from 'node:child_process';
import {once} from 'node:events';
import test, {type ExecutionContext} from 'ava';
import {activityOf, selfWaking, waitsForEver} from '../../../bench/measure/activity.js';

test('a thread waits for ever in a call whose time limit is none', t => {
  t.true(waitsForEver('281 0xd 0x7ffc 0x400 0xffffffff 0x0 0x8 0x7f57 0x7f58\n', 'x64'), 'epoll_pwait, -1');
  t.true(waitsForEver('202 0x815b 0x189 0x0 0x0 0x0 0xffffffff 0x7f57 0x7f58\n', 'x64'), 'futex, NULL');
  t.true(waitsForEver('72 0x5 0x26 0x7ffc 0x0 0x0 0x0 0x7f57 0x7f58\n', 'x64'), 'fcntl');
  t.true(waitsForEver('22 0xd 0x7ffc 0x400 0xffffffffffffffff 0x0 0x8 0x7f57 0x7f58\n', 'arm64'));
});

test('a thread with a time limit does not, nor does one of which nothing is known', t => {
  t.false(waitsForEver('281 0xd 0x7ffc 0x400 0x1ed9 0x0 0x8 0x7f57 0x7f58\n', 'x64'), 'epoll_pwait, 7.9 s');
  t.false(waitsForEver('202 0x815b 0x189 0x0 0x7ffc 0x0 0xffffffff 0x7f57 0x7f58\n', 'x64'), 'futex, a time');
  t.false(waitsForEver('230 0x0 0x0 0x7ffc 0x7ffc 0x0 0x0 0x7f57 0x7f58\n', 'x64'), 'clock_nanosleep');
  t.false(waitsForEver('running\n', 'x64'));
  t.false(waitsForEver('-1 0x7f57 0x7f58\n', 'x64'), 'not in a call');
  t.false(
    waitsForEver('281 0xd 0x7ffc 0x400 0xffffffff 0x0 0x8 0x7f57 0x7f58\n', 'riscv64'),
    'unknown numbers',
  );
});

/** A program that says "ready" and then waits for its input; it answers each line. */
async function start(t: ExecutionContext, code: string): Promise<(line: string) => Promise<void>> {
  const program = `${code}; process.stdin.on('data', () => process.stdout.write('done')); process.stdout.write('ready')`;
  const child = spawn(process.execPath, ['--no-memory-reducer', '-e', program], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  t.context = child.pid;
  t.teardown(() => child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  return async line => {
    child.stdin.write(line);
    await once(child.stdout, 'data');
  };
}

/** Some threads come to rest only after the program has said that it is ready: looks until they have, or for ever. */
async function untilAtRest(pid: number): Promise<void> {
  while (selfWaking(pid) > 0) await new Promise(resolve => setImmediate(resolve));
}

test('a process that has nothing to do waits for ever with all its threads', async t => {
  const ask = await start(t, '');
  const pid = t.context as number;
  await untilAtRest(pid);
  const before = activityOf(pid);
  await ask('x');
  // The kernel counts a wait when it begins.
  await untilAtRest(pid);
  const after = activityOf(pid);
  t.true(after.wakeUps > before.wakeUps, 'it was woken to answer');
  t.true(after.busy > before.busy, 'that took it time');
});

test('a timer is seen, also one that would not keep the process alive', async t => {
  await start(t, 'setTimeout(() => undefined, 1e6).unref()');
  t.true(selfWaking(t.context as number) > 0);
});
