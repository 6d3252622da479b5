import {rmSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import test from 'ava';
import {bench, guardedBench, orphan} from '../../helpers/cli.js';

test('without a lock there is only the header, and an empty list', async t => {
  const made = bench(t);
  const {code, stdout} = await made.run(['ls']);
  t.is(code, 0);
  t.regex(stdout, /^NAME +STATE +HOT +EPOCH +OWNER +SINCE +WAITERS +FILE\n$/);
  t.deepEqual(await made.json('ls'), [] as never);
});

test('each lock has one line with state, heat, owner and file', async t => {
  const made = bench(t);
  const other = join(made.directory, 'etc', 'other.conf');
  writeFileSync(other, '');
  await made.run(['run', other, '--', 'true']);
  const pid = await orphan(made);
  const {stdout} = await made.run(['ls']);
  t.regex(stdout, new RegExp(`^aim_lock_config +DEAD +HOT +\\d+ +${pid}@\\S+ +\\S+ +0 +${made.file}$`, 'm'));
  t.regex(stdout, new RegExp(`^other +FREE +- +\\d+ +- +- +0 +${other}$`, 'm'));
  const list = await made.json<{name: string; state: string}[]>('ls');
  t.deepEqual(
    list.map(({name, state}) => [name, state]),
    [
      ['aim_lock_config', 'DEAD'],
      ['other', 'FREE'],
    ],
  );
});

test('columns can be chosen', async t => {
  const {stdout} = await (await guardedBench(t)).run(['ls', '-o', 'state,name']);
  t.is(stdout, 'STATE  NAME\nFREE   aim_lock_config\n');
});

test('a lock that is broken is UNKNOWN and hides no other', async t => {
  const made = await guardedBench(t);
  rmSync(join(made.roots.run, 'locks', made.name, 'guard'));
  const {code, stdout} = await made.run(['ls', '-o', 'NAME,STATE']);
  t.is(code, 0);
  t.regex(stdout, /^aim_lock_config +UNKNOWN$/m);
});
