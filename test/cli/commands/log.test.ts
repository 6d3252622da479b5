import {readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import test from 'ava';
import {bench, guardedBench, orphan} from '../../helpers/cli.js';

test('an empty log is whole', async t => {
  const made = await guardedBench(t);
  t.like(await made.run(['log']), {code: 0, stdout: ''});
  t.is((await made.run(['log', '--verify'])).code, 0);
});

test('a recovery leaves an intent and an all-clear, in words and as JSON', async t => {
  const made = bench(t);
  await orphan(made);
  await made.run(['recover', made.name, '--reason', 'drill']);
  const {stdout} = await made.run(['log', made.file]);
  t.regex(
    stdout,
    /^ +1 {2}\S+ {2}recover\.intent +aim_lock_config .* drill\n +2 {2}\S+ {2}all-clear +aim_lock_config .*: drill\n$/,
  );
  const json = await made.run(['log', '--json']);
  const records = json.stdout
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as {event: string});
  t.deepEqual(
    records.map(({event}) => event),
    ['recover.intent', 'all-clear'],
  );
  t.is((await made.run(['log', 'other'])).stdout, '');
});

test('a log that was tampered with ends --verify with 2, and the line is named', async t => {
  const made = bench(t);
  await orphan(made);
  await made.run(['recover', made.name, '--reason', 'drill']);
  const path = join(made.roots.state, 'audit.jsonl');
  writeFileSync(path, readFileSync(path, 'utf8').replace('drill', 'grill'));
  const {code, stdout} = await made.run(['log', '--verify']);
  t.is(code, 2);
  t.regex(stdout, /^ {2}line 1: its hash does not fit its content$/m);
  t.like(await made.json('log', '--verify'), {ok: false});
});
