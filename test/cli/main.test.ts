import {once} from 'node:events';
import {chmodSync} from 'node:fs';
import test from 'ava';
import {bench, guardedBench} from '../helpers/cli.js';

const COMMANDS = [
  'demo',
  'ls',
  'explain',
  'watch',
  'run',
  'update',
  'hold',
  'recover',
  'break-glass',
  'daemon',
  'fleet',
  'bit',
  'log',
  'policy',
  'doctor',
];

test('help begins with an example, lists every command and ends with the exit statuses', async t => {
  const {code, stdout, stderr} = await bench(t).run(['--help']);
  t.is(code, 0);
  t.is(stderr, '');
  t.true(stdout.startsWith('Examples:\n  locksmith explain'));
  for (const command of COMMANDS) t.regex(stdout, new RegExp(`^  ${command} `, 'm'));
  for (const variable of [
    'LOCKSMITH_RUN',
    'LOCKSMITH_STATE',
    'LOCKSMITH_BITS',
    'LOCKSMITH_POLICY',
    'LOCKSMITH_FLEET',
  ])
    t.true(stdout.includes(variable));
  t.regex(stdout, /Exit status:\n {2}0 [^]*\n {2}77 /);
});

for (const command of COMMANDS) {
  test(`help of ${command} begins with an example and has --json and the exit statuses`, async t => {
    const {code, stdout} = await bench(t).run([command, '--help']);
    t.is(code, 0);
    t.regex(stdout, new RegExp(`^Examples?:\\n  (\\S+ \\| )?locksmith ${command}`));
    t.true(stdout.includes('--json'));
    t.regex(stdout, /Exit status:\n {2}\S+ /);
  });
}

test('wrong usage is told on stderr and ends with 64', async t => {
  const made = await guardedBench(t);
  const wrong = [
    [],
    ['no-such-command'],
    ['ls', '--no-such-option'],
    ['explain'],
    ['explain', 'a', 'b'],
    ['ls', '-o', 'NAME,NOPE'],
    ['run', made.name],
    ['run', made.name, '-w', 'soon', '--', 'true'],
    ['run', made.name, '-E', '256', '--', 'true'],
    ['hold', made.name, '--for', 'ever'],
    ['hold', made.name, '--for', '0s'],
    ['bit', made.name, '2'],
    ['break-glass', made.name],
    ['break-glass', made.name, '--owner', '1', '--epoch', 'one', '--reason', 'x'],
    ['explain', '.hidden'],
    ['explain', 'a..b'],
    ['explain', 'x'.repeat(64)],
    ['explain', ''],
  ];
  for (const args of wrong) {
    const {code, stdout, stderr} = await made.run(args);
    t.is(code, 64, args.join(' '));
    t.is(stdout, '');
    t.not(stderr, '');
  }
});

test('a name that is nearly right is suggested, and ends with 2', async t => {
  const {code, stderr} = await (await guardedBench(t)).run(['explain', 'aim_lock_confg']);
  t.is(code, 2);
  t.regex(stderr, /^locksmith: no lock is called aim_lock_confg; did you mean aim_lock_config\?$/m);
});

test('with --json a failure is one line of JSON on stderr', async t => {
  const {code, stdout, stderr} = await (await guardedBench(t)).run(['explain', 'nope', '--json']);
  t.is(code, 2);
  t.is(stdout, '');
  const {error} = JSON.parse(stderr) as {error: Record<string, unknown>};
  t.is(error['code'], 'ERR_UNKNOWN_LOCK');
  t.is(error['lock'], 'nope');
  t.is(typeof error['message'], 'string');
  t.is(typeof error['advice'], 'string');
});

test('a state directory that everyone may write to is refused with 77', async t => {
  const made = await guardedBench(t);
  chmodSync(made.roots.run, 0o777);
  for (const args of [
    ['ls'],
    ['explain', made.name],
    ['recover', made.name],
    ['run', made.file, '--', 'true'],
  ]) {
    const {code, stderr} = await made.run(args);
    t.is(code, 77, args.join(' '));
    t.true(stderr.includes('LOCKSMITH_RUN'));
  }
});

test('a reader that closes the pipe is no failure', async t => {
  const made = await guardedBench(t);
  const {child} = made.start('explain', made.name);
  child.stdout.destroy();
  await once(child, 'close');
  t.is(child.exitCode, 0);
});
