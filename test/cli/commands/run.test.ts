import test from 'ava';
import {bench, guardedBench, HOT, occupy, orphan} from '../../helpers/cli.js';

test('the status of the program is the status of run: its own, a signal, or that it could not be run', async t => {
  const made = await guardedBench(t);
  const cases: [string[], number][] = [
    [['sh', '-c', 'exit 7'], 7],
    [['sh', '-c', 'kill -TERM $$'], 143],
    [['/no/such/program'], 127],
    [['/etc/passwd'], 126],
  ];
  for (const [command, status] of cases)
    t.is((await made.run(['run', made.name, '--', ...command])).code, status, command.join(' '));
  t.like(await made.json('explain', made.name), {state: 'FREE'});
});

test('the program finds name, file and epoch in its environment, and its own options untouched', async t => {
  const made = await guardedBench(t);
  const script = 'echo $LOCKSMITH_NAME $LOCKSMITH_FILE $LOCKSMITH_EPOCH "$@"';
  const {stdout} = await made.run([
    'run',
    made.name,
    '--',
    'sh',
    '-c',
    script,
    'sh',
    '--json',
    '-n',
    '--help',
  ]);
  t.regex(stdout, new RegExp(`^aim_lock_config ${made.file} \\d+ --json -n --help\\n$`));
});

test('-n refuses at once and -w after its time, both with HOT, who, and status 1', async t => {
  const made = bench(t);
  const {started, finish} = await occupy(made, '--purpose', 'nightly tuning');
  for (const options of [['-n'], ['-w', '0.2'], ['-s'], ['-s', '-n']]) {
    const {code, stdout, stderr} = await made.run(['run', made.name, ...options, '--', 'echo', 'ran']);
    t.is(code, 1, options.join(' '));
    t.is(stdout, '');
    t.is(stderr.split('\n')[0], HOT);
    t.true(
      stderr.includes(`pid ${started.pid}`) && stderr.includes('nightly tuning') && stderr.includes('ALIVE'),
    );
    t.regex(stderr, /^ {2}next: wait for it: locksmith run aim_lock_config/m);
  }
  await finish();
});

test('-E gives the status of a lock that is not to be had, and only of that', async t => {
  const made = bench(t);
  const {finish} = await occupy(made);
  t.is((await made.run(['run', made.name, '-n', '-E', '9', '--', 'true'])).code, 9);
  t.is((await made.run(['run', 'nope', '-n', '-E', '9', '--', 'true'])).code, 2);
  await finish();
  t.is((await made.run(['run', made.name, '-n', '-E', '9', '--', 'false'])).code, 1);
});

test('without -n a run waits for its turn', async t => {
  const made = bench(t);
  const {finish} = await occupy(made);
  const second = made.start('run', made.name, '--', 'echo', 'ran');
  await second.says('waiting for aim_lock_config');
  await finish();
  t.like(await second.ended, {code: 0, stdout: 'ran\n'});
});

test('a wait that is interrupted ends with 128 + the signal, and leaves nothing', async t => {
  const made = bench(t);
  const {finish} = await occupy(made);
  const second = made.start('run', made.name, '--', 'true');
  await second.says('waiting for aim_lock_config');
  second.child.kill('SIGTERM');
  t.is((await second.ended).code, 143);
  await finish();
  t.like(await made.json('explain', made.name), {state: 'FREE', waiters: []});
});

test('a signal is passed on to the program, and the lock is given back after it', async t => {
  const made = bench(t);
  const {started} = await occupy(made);
  started.child.kill('SIGTERM');
  t.is((await started.ended).code, 143);
  t.like(await made.json('explain', made.name), {state: 'FREE'});
});

test('the program keeps the file locked when the wrapper is killed, and leaves a dead owner behind', async t => {
  const made = bench(t);
  const {started, shell, end} = await occupy(made);
  await started.kill();
  const alive = await made.json<{state: string; holders: {pid: number}[]}>('explain', made.name);
  t.is(alive.state, 'ALIVE');
  t.deepEqual(
    alive.holders.map(({pid}) => pid),
    [shell],
  );
  await end();
  t.like(await made.json('explain', made.name), {state: 'DEAD'});
});

test('what the program leaves running keeps the lock, and run waits for it', async t => {
  const made = await guardedBench(t);
  const started = made.start('run', made.name, '--', 'sh', '-c', 'exec 9<&0; (read line <&9) & echo $!');
  const heir = Number(await started.line());
  await started.says(`pid ${heir} (sh) still keeps aim_lock_config locked`);
  t.is((await made.run(['run', made.name, '-n', '--', 'true'])).code, 1);
  t.is((await started.finish()).code, 0);
  t.is((await made.run(['run', made.name, '-n', '--', 'true'])).code, 0);
});

test('-s runs many at once', async t => {
  const made = await guardedBench(t);
  const first = await occupy(made, '-s');
  const second = await occupy(made, '-s', '-n');
  t.is((await first.finish()).code, 0);
  t.is((await second.finish()).code, 0);
});

test('a cycle lasts as long as its program, also when the wrapper is killed', async t => {
  const made = await guardedBench(t);
  const {started, shell, end} = await occupy(made, '-s');
  await started.kill();
  const {code, stderr} = await made.run(['hold', made.name, '--for', '200ms']);
  t.is(code, 1);
  t.true(stderr.includes(`pid ${shell}`));
  await end();
});

test('an orphan is HOT; --on-orphan recover takes it back and goes on', async t => {
  const made = bench(t);
  const pid = await orphan(made);
  const {code, stderr} = await made.run(['run', made.name, '--', 'true']);
  t.is(code, 1);
  t.is(stderr.split('\n')[0], HOT);
  t.true(
    stderr.includes(`pid ${pid}`) &&
      stderr.includes('DEAD') &&
      stderr.includes('locksmith recover aim_lock_config'),
  );
  t.is((await made.run(['run', made.name, '--on-orphan', 'recover', '--', 'true'])).code, 0);
});

test('--on-orphan wait goes on when somebody has recovered it', async t => {
  const made = bench(t);
  await orphan(made);
  const waiting = made.start('run', made.name, '--on-orphan', 'wait', '--', 'echo', 'ran');
  await waiting.says('waiting for aim_lock_config');
  t.is((await made.run(['recover', made.name])).code, 0);
  t.like(await waiting.ended, {code: 0, stdout: 'ran\n'});
});
