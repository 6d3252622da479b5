import {execFileSync, spawnSync} from 'node:child_process';
import {closeSync, openSync} from 'node:fs';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import test from 'ava';
import {tryLock} from '../../../lib/index.js';
import {LOCK_KIND, LOCK_TYPE, native} from '../../../lib/os/native.js';
import {bench, guardedBench, occupy, orphan} from '../../helpers/cli.js';
import {stopProcess} from '../../helpers/proc-state.js';

const FIELDS = [
  'name',
  'file',
  'hot',
  'state',
  'epoch',
  'owner',
  'bit',
  'holders',
  'suspects',
  'waiters',
  'evidence',
  'complete',
  'missing',
  'next',
];
const OWNER_FIELDS = ['node', 'pid', 'bootId', 'identity', 'exe', 'uid', 'purpose', 'since'];

test('a free lock is FREE, in words and in all fields', async t => {
  const made = await guardedBench(t);
  const {code, stdout} = await made.run(['explain', made.name]);
  t.is(code, 0);
  t.regex(stdout, /^aim_lock_config \(aim_lock_config\.conf\) is free\.$/m);
  const report = await made.json('explain', made.name);
  t.deepEqual(Object.keys(report), FIELDS);
  t.like(report, {state: 'FREE', hot: false, owner: null, holders: [], waiters: [], next: []});
  t.like(report['bit'], {kind: 'soft', value: 0});
});

test('a living owner is ALIVE, with his pid, his purpose and his program among the holders', async t => {
  const made = bench(t);
  const {started, shell, finish} = await occupy(made, '--purpose', 'nightly tuning');
  const report = await made.json<{
    state: string;
    hot: boolean;
    owner: Record<string, unknown>;
    holders: {pid: number}[];
  }>('explain', made.file);
  t.like(report, {state: 'ALIVE', hot: true});
  t.deepEqual(Object.keys(report.owner), OWNER_FIELDS);
  t.like(report.owner, {pid: started.pid, purpose: 'nightly tuning'});
  t.deepEqual(new Set(report.holders.map(({pid}) => pid)), new Set([started.pid, shell]));
  t.is((await finish()).code, 0);
});

test('a stopped owner is FROZEN', async t => {
  const made = bench(t);
  const {started, finish} = await occupy(made);
  stopProcess(started.pid);
  const {stdout} = await made.run(['explain', made.name]);
  t.regex(stdout, /^ {2}state +FROZEN$/m);
  t.regex(stdout, new RegExp(`kill -CONT ${started.pid}`));
  started.child.kill('SIGCONT');
  await finish();
});

test('a killed owner is DEAD, and recover is what comes next', async t => {
  const made = bench(t);
  const pid = await orphan(made);
  const {code, stdout} = await made.run(['explain', made.file]);
  t.is(code, 0);
  t.regex(stdout, new RegExp(`left in the middle by pid ${pid} .* proven dead`));
  t.true(stdout.trimEnd().endsWith('locksmith recover aim_lock_config'));
});

test('any file of the system can be explained: free, or locked by flock or OFD locks', async t => {
  const made = bench(t);
  const plain = await made.json('explain', made.file);
  t.deepEqual(Object.keys(plain), FIELDS);
  t.like(plain, {name: null, state: 'FREE', bit: null, epoch: null, owner: null, hot: false});
  for (const kind of ['flock', 'ofd', 'posix'] as const) {
    const held = tryLock(made.file, {kind});
    const report = await made.json<{state: string; holders: {pid: number; kind: string}[]}>(
      'explain',
      made.file,
    );
    t.is(report.state, 'ALIVE', kind);
    t.like(report.holders[0], {pid: process.pid, kind});
    held?.release();
  }
});

test('a name that is not UTF-8 is explained by the bytes that were typed', async t => {
  const made = bench(t);
  const name = Buffer.concat([Buffer.from(`${made.directory}/caf`), Buffer.from([0xe9])]);
  const fd = openSync(name, 'w+');
  t.teardown(() => closeSync(fd));
  t.is(native.setLock(fd, LOCK_KIND.flock, LOCK_TYPE.exclusive, 0, 0), 0);
  // Arguments of spawn() are text, so a shell makes the bytes.
  const script = `exec "$1" "$2" explain --json "$(printf '%s/caf\\351' "$3")"`;
  const main = fileURLToPath(new URL('../../../lib/cli/main.js', import.meta.url));
  const {stdout, stderr} = spawnSync('sh', ['-c', script, 'sh', process.execPath, main, made.directory], {
    encoding: 'utf8',
  });
  const report = JSON.parse(stdout || stderr) as {state: string; file: string; holders: {pid: number}[]};
  t.like(report, {state: 'ALIVE', file: `${made.directory}/caf\\xe9`});
  t.true(report.holders.some(({pid}) => pid === process.pid));
});

test('--all looks at every process, and without it the report says that it did not', async t => {
  const made = bench(t);
  const held = tryLock(made.file, {kind: 'flock'});
  const quick = await made.run(['explain', made.file]);
  const whole = await made.run(['explain', '--all', made.file]);
  held?.release();
  t.regex(quick.stdout, /was not looked at: --all does/);
  t.notRegex(whole.stdout, /--all does/);
  for (const {stdout} of [quick, whole]) t.regex(stdout, new RegExp(`pid ${process.pid} `));
});

test('a directory is tested, a FIFO is never opened, and both are answered', async t => {
  const made = bench(t);
  const fifo = join(made.directory, 'fifo');
  execFileSync('mkfifo', [fifo]);
  t.like(await made.json('explain', made.directory), {state: 'FREE'});
  t.like(await made.json('explain', fifo), {state: 'UNKNOWN', complete: false});
});
