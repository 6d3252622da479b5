import test from 'ava';
import {bench, guardedBench, occupy} from '../../helpers/cli.js';
import {stopProcess} from '../../helpers/proc-state.js';

test('owner and epoch must be the ones in force', async t => {
  const made = bench(t);
  const {started, finish} = await occupy(made);
  const {epoch} = await made.json<{epoch: number}>('explain', made.name);
  const reason = ['--reason', 'drill'];
  for (const [pid, at] of [
    [started.pid + 1, epoch],
    [started.pid, epoch - 1],
    ['unknown', epoch],
  ]) {
    const {code, stderr} = await made.run([
      'break-glass',
      made.name,
      '--owner',
      String(pid),
      '--epoch',
      String(at),
      ...reason,
    ]);
    t.is(code, 1);
    t.true(stderr.includes(`pid ${started.pid}`) && stderr.includes(String(epoch)));
  }
  t.is((await finish()).code, 0);
});

test('there is nothing to break on a free lock', async t => {
  const made = await guardedBench(t);
  const {code, stderr} = await made.run([
    'break-glass',
    made.name,
    '--owner',
    'unknown',
    '--epoch',
    '1',
    '--reason',
    'drill',
  ]);
  t.is(code, 1);
  t.true(stderr.includes('nothing to break'));
});

test('a frozen owner loses the lock, and is fenced when it wakes', async t => {
  const made = bench(t);
  const {started, shell, finish} = await occupy(made);
  stopProcess(shell);
  stopProcess(started.pid);
  const {epoch} = await made.json<{epoch: number}>('explain', made.name);
  const named = ['--owner', String(started.pid), '--epoch', String(epoch), '--reason', 'hangs in a debugger'];
  const {code, stdout, stderr} = await made.run(['break-glass', made.name, ...named, '--json']);
  t.is(code, 0, stderr);
  const steps = stdout
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as {step: string; certificate?: object});
  t.true(steps.some(({step}) => step === 'takeover'));
  t.like(steps.at(-1), {step: 'all-clear', certificate: {forced: true, reason: 'hangs in a debugger'}});
  t.like(await made.json('explain', made.name), {state: 'FREE'});

  process.kill(shell, 'SIGCONT');
  started.child.kill('SIGCONT');
  const woken = await finish();
  t.is(woken.code, 2);
  t.true(woken.stderr.includes('is ours no more'));
});
