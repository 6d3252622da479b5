/** Are keys made that the fleet file takes, and never overwritten? And what is said where there is no fleet? */
import {mkdirSync, readFileSync, statSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import test from 'ava';
import {readFleetConfig} from '../../../lib/fleet/config.js';
import {system} from '../../../lib/os/system.js';
import {bench} from '../../helpers/cli.js';

test('keygen makes a pair that the fleet file takes as it says', async t => {
  const made = bench(t);
  const directory = join(made.directory, 'fleet');
  mkdirSync(directory);
  const {code, stdout} = await made.run(['fleet', 'keygen', 'alice', '--directory', directory]);
  t.is(code, 0);
  t.is(statSync(join(directory, 'alice.key')).mode & 0o777, 0o600);
  t.is(statSync(join(directory, 'alice.pub')).mode & 0o777, 0o644);
  const lines = stdout.split('\n').flatMap(line => /^ {2}((?:operators|sign): .*)$/.exec(line)?.[1] ?? []);
  t.is(lines.length, 2);
  const path = join(directory, 'fleet.yaml');
  writeFileSync(path, ['fleet: a', 'etcd: {endpoints: [http://127.0.0.1:1]}', ...lines, ''].join('\n'), {
    mode: 0o644,
  });
  const {sign, operators} = readFleetConfig(system(), path);
  t.is(sign?.name, 'alice');
  t.deepEqual(
    operators.keys.map(({name}) => name),
    ['alice'],
  );
});

test('keygen overwrites nothing', async t => {
  const made = bench(t);
  const args = ['fleet', 'keygen', 'alice', '--directory', made.directory];
  t.is((await made.run(args)).code, 0);
  const before = readFileSync(join(made.directory, 'alice.key'), 'utf8');
  const {code, stderr} = await made.run(args);
  t.is(code, 64);
  t.regex(stderr, /alice\.key is there already, and keys are not overwritten/);
  t.is(readFileSync(join(made.directory, 'alice.key'), 'utf8'), before);
});

test('usage of the fleet is strict, and help is given at each level', async t => {
  const made = bench(t);
  for (const args of [
    ['fleet'],
    ['fleet', 'nope'],
    ['fleet', 'rollout'],
    ['fleet', 'rollout', 'nope'],
    ['fleet', 'rollout', 'start', made.file],
    ['fleet', 'rollout', 'start', made.file, '--reason', 'x', '--steps', '50%,10%'],
    ['fleet', 'rollout', 'promote', 'ID'],
    ['fleet', 'keygen', 'a/b'],
    ['fleet', 'nodes', '--where', 'oslo'],
    ['fleet', 'forget'],
    ['fleet', 'forget', 'a', 'b'],
    ['fleet', 'hold', 'x', '--reason', 'y', '--for', 'ever'],
  ]) {
    const {code, stdout} = await made.run(args);
    t.is(code, 64, args.join(' '));
    t.is(stdout, '');
  }
  const group = await made.run(['fleet', 'rollout', '--help']);
  t.is(group.code, 0);
  for (const name of ['start', 'status', 'pause', 'promote', 'abort', 'history'])
    t.regex(group.stdout, new RegExp(`^  ${name} `, 'm'));
  for (const words of [
    ['nodes'],
    ['forget'],
    ['keygen'],
    ['agent'],
    ['drive'],
    ['hold'],
    ['approve'],
    ['proposals'],
    ['rollout', 'start'],
    ['rollout', 'abort'],
  ]) {
    const {code, stdout} = await made.run(['fleet', ...words, '--help']);
    t.is(code, 0);
    t.true(stdout.includes(`locksmith fleet ${words.join(' ')}`), words.join(' '));
    t.regex(stdout, /^Examples?:\n[^]*--json[^]*Exit status:\n {2}\S+ /);
  }
});

test('without a fleet file, every command says how to make one, and doctor finds no fault', async t => {
  const made = bench(t);
  const missing = join(made.directory, 'fleet.yaml');
  const env = {...process.env, ...made.env, LOCKSMITH_FLEET: missing};
  for (const words of [
    ['nodes'],
    ['rollout', 'status'],
    ['rollout', 'abort', 'x', '--reason', 'y'],
    ['proposals'],
  ]) {
    const {code, stderr} = await made.runUnder([], ['fleet', ...words], {env});
    t.is(code, 2, words.join(' '));
    t.true(stderr.includes(missing) && stderr.includes('keygen'), stderr);
  }
  const {stdout} = await made.runUnder([], ['doctor'], {env});
  t.regex(stdout, /^ok +fleet +no fleet file; this machine takes part in no fleet$/m);
});

test('doctor names the fault of a fleet file, and an etcd that does not answer', async t => {
  const made = bench(t);
  const path = join(made.directory, 'fleet.yaml');
  const env = {...process.env, ...made.env, LOCKSMITH_FLEET: path};
  writeFileSync(path, 'fleet: a\netcd: {endpoints: []}\n', {mode: 0o644});
  const broken = await made.runUnder([], ['doctor'], {env});
  t.regex(broken.stdout, /^fail +fleet +the fleet file can not be used: .*fleet\.yaml:2:8: etcd\.endpoints/m);
  writeFileSync(path, 'fleet: a\netcd: {endpoints: [http://127.0.0.1:1], timeout: 500ms}\n', {mode: 0o644});
  const unreachable = await made.runUnder([], ['doctor'], {env});
  t.regex(unreachable.stdout, /^fail +fleet +.*127\.0\.0\.1:1/m);
});
