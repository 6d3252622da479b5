import {chmodSync, mkdirSync} from 'node:fs';
import {join} from 'node:path';
import test from 'ava';
import {bench, guardedBench, orphan} from '../../helpers/cli.js';

interface Result {
  readonly check: string;
  readonly health: string;
  readonly saw: string;
  readonly advice?: string;
}

async function finding(results: Promise<Result[]>, check: string): Promise<Result | undefined> {
  return (await results).find(result => result.check === check);
}

test('a sound machine passes, and every check has a line', async t => {
  const made = await guardedBench(t);
  const {code, stdout} = await made.run(['doctor']);
  t.is(code, 0);
  t.regex(stdout, /^ok +run directory +/m);
  t.regex(stdout, /^ok +audit log +/m);
});

test('before the first lock there are only warnings', async t => {
  const made = bench(t);
  t.is((await made.run(['doctor'])).code, 0);
  t.like(await finding(made.json<Result[]>('doctor'), 'run directory'), {health: 'warn'});
});

test('an orphan and a lock left half made are warned of, with advice', async t => {
  const made = bench(t);
  await orphan(made);
  mkdirSync(join(made.roots.run, 'locks', '.new.half'));
  t.like(await finding(made.json<Result[]>('doctor'), 'orphans'), {
    health: 'warn',
    advice: 'locksmith recover aim_lock_config',
  });
  t.like(await finding(made.json<Result[]>('doctor'), 'leftovers'), {health: 'warn'});
});

test('a root that everyone may write to fails, with 2', async t => {
  const made = await guardedBench(t);
  chmodSync(made.roots.state, 0o777);
  const {code, stdout} = await made.run(['doctor']);
  t.is(code, 2);
  t.regex(stdout, /^fail +state directory +/m);
});
