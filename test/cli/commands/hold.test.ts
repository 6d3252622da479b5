import test from 'ava';
import {bench, guardedBench, occupy} from '../../helpers/cli.js';

test('a hold is acknowledged, keeps everybody out, and ends at Ctrl-C', async t => {
  const made = await guardedBench(t);
  const hold = made.start('hold', made.name, '--for', '60s');
  t.regex(
    await hold.line(),
    /^HOLD aim_lock_config: acknowledged after .* ends by itself in (60|5\d(\.\d)?) s$/,
  );
  for (const options of [['-n'], ['-s', '-n'], ['-w', '0.1']]) {
    const {code, stderr} = await made.run(['run', made.name, ...options, '--', 'true']);
    t.is(code, 1, options.join(' '));
    t.regex(stderr, new RegExp(`on hold by pid.* ${hold.pid}`));
  }
  t.is((await made.run(['update', made.name, '-n'], {input: 'x'})).code, 75);
  hold.child.kill('SIGINT');
  t.like(await hold.ended, {code: 0});
  t.is((await made.run(['run', made.name, '-n', '--', 'true'])).code, 0);
});

test('a hold ends by itself', async t => {
  const made = await guardedBench(t);
  const {code, stdout} = await made.run(['hold', made.name, '--for', '200ms', '--json']);
  t.is(code, 0);
  const [first, last] = stdout
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as Record<string, unknown>);
  t.like(first, {hold: 'acknowledged', name: made.name});
  t.like(last, {hold: 'ended', how: 'by itself'});
});

test('a hold is refused when somebody does not come, and names him', async t => {
  const made = bench(t);
  const {started, shell, finish} = await occupy(made);
  const {code, stderr} = await made.run(['hold', made.name, '--for', '200ms']);
  t.is(code, 1);
  t.true(stderr.includes(`pid ${started.pid}`) && stderr.includes(`pid ${shell}`));
  await finish();
});

test('a hold around a program lasts as long as that, and has its status', async t => {
  const made = await guardedBench(t);
  const hold = made.start('hold', made.name, '--', 'sh', '-c', 'echo in; read line; exit 3');
  t.true((await hold.line()).startsWith('HOLD'));
  t.is(await hold.line(), 'in');
  t.is((await made.run(['run', made.name, '-n', '--', 'true'])).code, 1);
  t.is((await hold.finish()).code, 3);
  t.is((await made.run(['run', made.name, '-n', '--', 'true'])).code, 0);
});

test('a program that outlasts its hold ends with 75', async t => {
  const made = await guardedBench(t);
  const hold = made.start('hold', made.name, '--for', '200ms', '--', 'sh', '-c', 'read line');
  await hold.says('the hold on aim_lock_config has ended, and sh still runs');
  t.is((await hold.finish()).code, 75);
});
