import {chmodSync, mkdirSync, readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import test from 'ava';
import {bench, type Bench, guardedBench, NAME, occupy, orphan} from '../../helpers/cli.js';

/** Writes policy files; `FILE` stands for the configuration of the bench. */
function policy(made: Bench, files: Readonly<Record<string, string>>): void {
  mkdirSync(made.policy, {recursive: true, mode: 0o755});
  for (const [name, text] of Object.entries(files))
    writeFileSync(join(made.policy, name), text.replaceAll('FILE', made.file), {mode: 0o644});
}

const GUARDING = `locks:\n  ${NAME}: {file: FILE}\n`;
const BROKEN = 'locks:\n  aim: {hold: 90, vaildate: x}\n';

test('check tells every fault with its place and key, and ends with 1', async t => {
  const made = bench(t);
  policy(made, {'aim.yaml': BROKEN});
  const {code, stdout} = await made.run(['policy', 'check']);
  t.is(code, 1);
  const file = join(made.policy, 'aim.yaml');
  t.deepEqual(stdout.trimEnd().split('\n'), [
    `1 file in ${made.policy}, 0 locks or patterns: 2 faults`,
    `${file}:2:15: locks.aim.hold: expected a time with its unit: 90s, 500ms, 2m, 1h`,
    `${file}:2:19: locks.aim.vaildate: unknown key; did you mean validate?`,
  ]);
  const json = await made.json<{ok: boolean; problems: object[]}>('policy', 'check');
  t.like(json, {ok: false, files: [file], locks: []});
  t.like(json.problems[0], {file, line: 2, column: 15, key: 'locks.aim.hold'});
});

test('check without fault ends with 0; people whom nobody knows are a warning', async t => {
  const made = bench(t);
  t.like(await made.run(['policy', 'check']), {code: 0, stderr: ''});
  policy(made, {
    'aim.yaml': 'locks:\n  aim: {break-glass: [root, no-such-user, "@no-such-group"]}\n  b*: {}\n',
  });
  const {code, stdout, stderr} = await made.run(['policy', 'check']);
  t.is(code, 0);
  t.is(stdout, `1 file in ${made.policy}, 2 locks or patterns: no fault\n`);
  t.regex(
    stderr,
    /aim\.yaml:2: locks\.aim\.break-glass: nobody here knows no-such-user\n.*knows @no-such-group\n$/,
  );
});

test('check of FILEs looks at these alone', async t => {
  const made = bench(t);
  policy(made, {'bad.yaml': BROKEN});
  const fine = join(made.directory, 'fine.yaml');
  writeFileSync(fine, GUARDING.replace('FILE', '/etc/aim.conf'), {mode: 0o644});
  t.is((await made.run(['policy', 'check', fine])).code, 0);
  t.is((await made.run(['policy', 'check', fine, join(made.policy, 'bad.yaml')])).code, 1);
  t.is((await made.run(['policy', 'check', join(made.directory, 'missing.yaml')])).code, 1);
});

test('show says what applies to a lock, and from which line', async t => {
  const made = bench(t);
  policy(made, {'10.yaml': 'locks:\n  aim*: {hold: 5s}\n', '20.yaml': GUARDING});
  const {code, stdout} = await made.run(['policy', 'show', NAME]);
  t.is(code, 0);
  t.regex(stdout, /^aim_lock_config, which is not there yet\n/);
  t.regex(stdout, new RegExp(`^  file +${made.policy}/20\\.yaml:2 +${made.file}$`, 'm'));
  t.regex(stdout, new RegExp(`^  hold +${made.policy}/10\\.yaml:2 +5 s$`, 'm'));
  t.regex(stdout, /^ {2}recover +\(default\) +manual$/m);
  t.like(await made.json('policy', 'show', made.file), {name: NAME, settings: {hold: 5000, file: made.file}});
});

test('usage of policy is strict', async t => {
  const made = bench(t);
  for (const args of [['policy'], ['policy', 'list'], ['policy', 'show'], ['policy', 'show', 'a', 'b']])
    t.is((await made.run(args)).code, 64, args.join(' '));
  t.is((await made.run(['policy', 'check', '--policy', join(made.directory, 'missing')])).code, 1);
});

test('a NAME that was never opened is usable where the policy gives it a file', async t => {
  const made = bench(t);
  t.is((await made.run(['update', NAME], {input: 'new\n'})).code, 2);
  policy(made, {'aim.yaml': GUARDING});
  t.is((await made.run(['update', NAME], {input: 'new\n'})).code, 0);
  t.is(readFileSync(made.file, 'utf8'), 'new\n');
});

test('a FILE gets the name that the policy gives it', async t => {
  const made = bench(t);
  policy(made, {'aim.yaml': 'locks:\n  tuning: {file: FILE}\n'});
  t.is((await made.run(['update', made.file], {input: 'new\n'})).code, 0);
  t.like(await made.json('explain', 'tuning'), {file: made.file});
});

test('a policy that contradicts a lock is told with both paths, and can be gone without', async t => {
  const made = await guardedBench(t);
  policy(made, {'aim.yaml': `locks:\n  ${NAME}: {file: /etc/other.conf}\n`});
  for (const args of [
    ['update', NAME],
    ['run', made.file, '--', 'true'],
    ['recover', NAME],
    ['hold', NAME, '--for', '1ms'],
  ]) {
    const {code, stderr} = await made.run(args);
    t.is(code, 2, args.join(' '));
    t.true(stderr.includes('/etc/other.conf') && stderr.includes(made.file), stderr);
    t.true(stderr.includes('aim.yaml:2') && stderr.includes('--no-policy'), stderr);
  }
  t.is((await made.run(['recover', NAME, '--no-policy'])).code, 0);
  policy(made, {'aim.yaml': 'locks:\n  tuning: {file: FILE}\n'});
  const {code, stderr} = await made.run(['update', made.file], {input: 'new\n'});
  t.is(code, 2);
  t.true(stderr.includes('to the lock tuning') && stderr.includes(NAME), stderr);
  const fresh = bench(t);
  policy(fresh, {'aim.yaml': 'locks:\n  tuning: {file: FILE}\n'});
  t.is((await fresh.run(['update', fresh.file, '--name', 'mine'], {input: 'new\n'})).code, 2);
  t.is((await fresh.run(['ls'])).stdout.split('\n').length, 2, 'no lock was made');
});

test('whatever needs a policy that has a fault is refused, says how many, and how to go without', async t => {
  const made = await guardedBench(t);
  policy(made, {'aim.yaml': BROKEN});
  for (const args of [
    ['recover', NAME],
    ['break-glass', NAME, '--owner', 'unknown', '--epoch', '1', '--reason', 'drill'],
    ['hold', NAME, '--for', '1ms'],
    ['update', NAME],
    ['run', NAME, '--', 'true'],
    ['bit', NAME, '0'],
    ['policy', 'show', NAME],
  ]) {
    const {code, stderr} = await made.run(args);
    t.is(code, 2, args.join(' '));
    t.regex(stderr, /aim\.yaml:2:15: locks\.aim\.hold: .*, and 1 more$/m);
    t.true(stderr.includes('--no-policy') && stderr.includes('policy check'));
  }
  for (const args of [
    ['recover', NAME],
    ['update', NAME],
    ['run', NAME, '--', 'true'],
    ['bit', NAME, '0'],
  ])
    t.is((await made.run([...args.slice(0, 2), '--no-policy', ...args.slice(2)])).code, 0, args.join(' '));
  for (const args of [['explain', NAME], ['ls'], ['bit', NAME], ['log']])
    t.is((await made.run(args)).code, 0);
});

test('a policy that others may write to is refused: its commands would run as root', async t => {
  const made = await guardedBench(t);
  policy(made, {'aim.yaml': GUARDING});
  chmodSync(join(made.policy, 'aim.yaml'), 0o666);
  const {code, stderr} = await made.run(['recover', NAME]);
  t.is(code, 2);
  t.true(stderr.includes('others may write to it'));
});

test('the hold lasts as the policy says, unless a time is given by hand', async t => {
  const made = await guardedBench(t);
  policy(made, {'aim.yaml': 'locks:\n  aim*: {hold: 250ms}\n'});
  const {code, stdout} = await made.run(['hold', NAME, '--json']);
  t.is(code, 0);
  const [first = ''] = stdout.split('\n');
  t.true((JSON.parse(first) as {remaining: number}).remaining <= 250);
  const held = made.start('hold', NAME, '--for', '60s', '--json');
  t.true((JSON.parse(await held.line()) as {remaining: number}).remaining > 250);
  held.child.kill('SIGINT');
  await held.ended;
  const {finish} = await occupy(made, '-s');
  t.regex((await made.run(['hold', NAME])).stderr, /within 250 ms/);
  await finish();
});

test('a recovery validates as the policy says, unless told otherwise by hand', async t => {
  const made = bench(t);
  policy(made, {'aim.yaml': 'locks:\n  "*": {validate: grep -q new "$1"}\n'});
  await orphan(made);
  for (const args of [
    ['recover', NAME],
    ['bit', NAME, '0'],
    ['run', NAME, '--on-orphan', 'recover', '--', 'true'],
  ])
    t.is((await made.run(args)).code, 2, args.join(' '));
  const {epoch, owner} = await made.json<{epoch: number; owner: {pid: number}}>('explain', NAME);
  const named = ['--owner', String(owner.pid), '--epoch', String(epoch), '--reason', 'drill'];
  const forced = await made.run(['break-glass', NAME, ...named]);
  t.is(forced.code, 2);
  t.true(forced.stderr.includes('grep -q new'), forced.stderr);
  t.is((await made.run(['recover', NAME, '--validate', 'grep -q old'])).code, 0);
});

test('an update validates as the policy says', async t => {
  const made = bench(t);
  policy(made, {'aim.yaml': 'locks:\n  "*": {validate: grep -q new "$1"}\n'});
  t.is((await made.run(['update', made.file], {input: 'bad\n'})).code, 2);
  t.is((await made.run(['update', made.file], {input: 'new\n'})).code, 0);
  t.is((await made.run(['update', made.file, '--validate', 'true'], {input: 'bad\n'})).code, 0);
});

test('doctor looks at the policy, too', async t => {
  const made = await guardedBench(t);
  t.regex((await made.run(['doctor'])).stdout, /^ok +policy +0 files in .*, without fault$/m);
  policy(made, {'aim.yaml': BROKEN});
  const {code, stdout} = await made.run(['doctor']);
  t.is(code, 2);
  t.regex(
    stdout,
    /^fail +policy +.*aim\.yaml:2:15: locks\.aim\.hold: .*\n +-> locksmith policy check: 2 in all/m,
  );
});
