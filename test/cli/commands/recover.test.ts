import {openSync, closeSync} from 'node:fs';
import test from 'ava';
import {bench, guardedBench, occupy, orphan} from '../../helpers/cli.js';
import {STEPS} from '../../helpers/orphan.js';
import {stopProcess} from '../../helpers/proc-state.js';

test('a dead owner is recovered: one line a step, then ALL CLEAR', async t => {
  const made = bench(t);
  const pid = await orphan(made);
  const {code, stdout} = await made.run(['recover', made.name, '--reason', 'drill']);
  t.is(code, 0);
  t.regex(stdout, /^ALL CLEAR: aim_lock_config after /m);
  t.regex(stdout, new RegExp(`taken from +pid ${pid} on .*, DEAD$`, 'm'));
  t.like(await made.json('explain', made.name), {state: 'FREE', hot: false});
});

test('with --json each step is a line, and the last one has the certificate', async t => {
  const made = bench(t);
  const pid = await orphan(made);
  const {code, stdout} = await made.run(['recover', made.file, '--hold', '90s', '--json']);
  t.is(code, 0);
  const lines = stdout
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as {step: string; certificate?: Record<string, unknown>});
  t.deepEqual(
    lines.map(({step}) => step),
    STEPS,
  );
  const certificate = lines.at(-1)?.certificate;
  t.like(certificate, {
    lock: made.name,
    file: made.file,
    forced: false,
    outcome: 'untouched',
    verdict: {owner: {pid}},
  });
});

test('a free lock needs no recovery', async t => {
  const made = await guardedBench(t);
  const {code, stdout} = await made.run(['recover', made.name]);
  t.is(code, 0);
  t.true(stdout.includes('There is nothing to recover.'));
  const json = await made.run(['recover', made.name, '--json']);
  t.like(JSON.parse(json.stdout.trim().split('\n').at(-1) ?? ''), {
    step: 'nothing-to-recover',
    verdict: {state: 'FREE'},
  });
});

test('a living and a frozen owner are refused with 1, and nothing changes', async t => {
  const made = bench(t);
  const {started, finish} = await occupy(made);
  const alive = await made.run(['recover', made.name]);
  t.is(alive.code, 1);
  t.true(alive.stderr.includes('who lives') && alive.stderr.includes('break-glass'));
  stopProcess(started.pid);
  const frozen = await made.run(['recover', made.name, '--json']);
  t.is(frozen.code, 1);
  t.like(JSON.parse(frozen.stderr), {error: {code: 'ERR_NOT_DEAD', verdict: {state: 'FROZEN'}}});
  started.child.kill('SIGCONT');
  t.is((await finish()).code, 0);
});

test('--dry-run says what would be done, names contenders, and changes nothing', async t => {
  const made = bench(t);
  await orphan(made);
  const fd = openSync(made.file, 'r+');
  const {code, stdout} = await made.run(['recover', made.name, '--dry-run', '--json']);
  closeSync(fd);
  t.is(code, 0);
  t.like(JSON.parse(stdout), {
    step: 'dry-run',
    wouldRecover: true,
    verdict: {state: 'DEAD'},
  });
  // A child that another test forks has it open as well, until it has executed its program.
  const {contenders} = JSON.parse(stdout);
  t.deepEqual(
    contenders.filter(({pid}: {pid: number}) => pid === process.pid),
    [{pid: process.pid, doing: 'has the file open for writing'}],
  );
  t.like(await made.json('explain', made.name), {state: 'DEAD', hot: true});
  t.is((await made.run(['log'])).stdout, '');
});

test('--dry-run on a living owner ends with 1', async t => {
  const made = bench(t);
  const {finish} = await occupy(made);
  t.is((await made.run(['recover', made.name, '--dry-run'])).code, 1);
  await finish();
});

test('a contender that stays is named, and nothing changes', async t => {
  const made = bench(t);
  await orphan(made);
  const fd = openSync(made.file, 'r+');
  const {code, stderr} = await made.run(['recover', made.name, '--hold', '400ms']);
  closeSync(fd);
  t.is(code, 1);
  t.true(stderr.includes(`pid ${process.pid}`) && stderr.includes('has the file open for writing'), stderr);
  t.like(await made.json('explain', made.name), {state: 'DEAD'});
});

test('what the validator refuses keeps the bit set, and running it again finishes', async t => {
  const made = bench(t);
  await orphan(made);
  const {code, stderr} = await made.run(['recover', made.name, '--validate', 'grep -q new "$1"']);
  t.is(code, 2);
  t.true(stderr.includes(made.file));
  t.is((await made.run(['bit', made.name])).code, 1);
  t.is((await made.run(['recover', made.name, '--validate', 'grep -q old'])).code, 0);
});
