import {readFileSync, rmSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import test from 'ava';
import {tryLock} from '../../../lib/index.js';
import {LockFile} from '../../../lib/os/lock-file.js';
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

interface MachineLock {
  readonly kind: string;
  readonly mode: string;
  readonly start: number;
  readonly end: number | null;
  readonly path: string;
  readonly holders: {pid: number; command: string}[];
  readonly waiters: {pid: number | null}[];
  readonly suspicion: string | null;
}

test('--all lists locks that Locksmith has nothing to do with: holders, waiters, range and path', async t => {
  const made = bench(t);
  const path = join(made.directory, 'two\nlines');
  writeFileSync(path, '');
  const held = tryLock(path, {range: {start: 3, length: 4}});
  using waiter = LockFile.open(path, {kind: 'flock'});
  using owner = LockFile.open(path, {kind: 'flock'});
  owner.try('exclusive');
  const waits = waiter.wait('exclusive');
  const ours = async () => {
    const {locks} = await made.json<{locks: MachineLock[]}>('ls', '--all');
    return locks.filter(lock => lock.path === path);
  };
  let locks = await ours();
  while (!locks.some(({waiters}) => waiters.length > 0)) locks = await ours();
  const seen = locks.map(({kind, start, end}) => `${kind} ${start} ${end}`);
  t.deepEqual(
    seen.toSorted((a, b) => a.localeCompare(b)),
    ['flock 0 null', 'ofd 3 6'],
  );
  for (const {holders, suspicion} of locks) {
    t.like(
      holders.find(({pid}) => pid === process.pid),
      {command: readFileSync('/proc/self/comm', 'utf8').trimEnd()},
    );
    t.is(suspicion, null);
  }
  t.deepEqual(
    locks.flatMap(({waiters}) => waiters.map(({pid}) => pid)),
    [process.pid],
  );
  const {stdout} = await made.run(['ls', '--all', '-o', 'pid,kind,range,path']);
  t.true(stdout.startsWith('PID'));
  t.regex(stdout, new RegExp(`^\\S*\\b${process.pid}\\b\\S* +ofd +3-6 +.*/two\\\\x0alines$`, 'm'));
  owner.unlock();
  await waits;
  held?.release();
});

test('a column that the table does not have is refused, with those that there are', async t => {
  const made = bench(t);
  const wrong = await made.run(['ls', '-o', 'NAME,RANGE']);
  t.is(wrong.code, 64);
  t.true(wrong.stderr.includes('RANGE is no column; there are NAME, STATE'), wrong.stderr);
  const {code, stderr} = await made.run(['ls', '--all', '-o', 'name']);
  t.is(code, 64);
  t.true(stderr.includes('NAME is no column; there are HOLDERS, KIND'), stderr);
});
