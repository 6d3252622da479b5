import {readdirSync, readFileSync} from 'node:fs';
import {createHash} from 'node:crypto';
import {dirname} from 'node:path';
import test from 'ava';
import {bench, guardedBench, HOT, occupy, orphan} from '../../helpers/cli.js';

test('the next content comes from stdin; epoch and hash are printed', async t => {
  const made = bench(t);
  const {code, stdout} = await made.run(['update', made.file], {input: 'new\n'});
  t.is(code, 0);
  const hash = createHash('sha256').update('new\n').digest('hex');
  t.regex(stdout, new RegExp(`^aim_lock_config\\.conf: updated at epoch \\d+, 4 bytes, sha256 ${hash}\\n$`));
  t.is(readFileSync(made.file, 'utf8'), 'new\n');
  t.deepEqual(readdirSync(dirname(made.file)), ['aim_lock_config.conf']);
});

test('--json gives the same as one object', async t => {
  const made = await guardedBench(t);
  const {stdout} = await made.run(['update', made.name, '--json'], {input: 'new\n'});
  const result = JSON.parse(stdout) as Record<string, unknown>;
  t.like(result, {name: made.name, file: made.file, bytes: 4});
  t.true(Number.isSafeInteger(result['epoch']));
});

test('a validator finds the content on stdin, and its path in $1 and $LOCKSMITH_SHADOW', async t => {
  const made = bench(t);
  const command = 'grep -q new && grep -q new "$1" && grep -q new "$LOCKSMITH_SHADOW"';
  t.is((await made.run(['update', made.file, '--validate', command], {input: 'new\n'})).code, 0);
  t.is(readFileSync(made.file, 'utf8'), 'new\n');
});

test('what the validator refuses leaves the old content, the lock free, and status 2', async t => {
  const made = bench(t);
  const {code, stderr} = await made.run(['update', made.file, '--validate', 'echo no good; exit 3'], {
    input: 'bad\n',
  });
  t.is(code, 2);
  t.true(stderr.includes('no good') && stderr.includes('exit status 3'));
  t.is(readFileSync(made.file, 'utf8'), 'old\n');
  t.like(await made.json('explain', made.file), {state: 'FREE'});
  t.deepEqual(readdirSync(dirname(made.file)), ['aim_lock_config.conf']);
});

test('--comment adds the stamp as the last line', async t => {
  const made = bench(t);
  await made.run(['update', made.file, '--comment', '#'], {input: 'new\n'});
  t.regex(readFileSync(made.file, 'utf8'), /^new\n# last touched by \S+ pid \d+ @ \S+ epoch \d+\n$/);
});

test('a file that is owned or orphaned is HOT for -n and -w, and stays as it was', async t => {
  const made = bench(t);
  const {finish} = await occupy(made);
  for (const options of [['-n'], ['-w', '0.1']]) {
    const {code, stderr} = await made.run(['update', made.file, ...options], {input: 'new\n'});
    t.is(code, 1);
    t.is(stderr.split('\n')[0], HOT);
  }
  await finish();
  await orphan(made);
  const {code, stderr} = await made.run(['update', made.file], {input: 'new\n'});
  t.is(code, 1);
  t.is(stderr.split('\n')[0], HOT);
  t.is(readFileSync(made.file, 'utf8'), 'old\n');
});

test('the lock is not taken before stdin has ended', async t => {
  const made = await guardedBench(t);
  const updating = made.start('update', made.name);
  updating.child.stdin.write('ne');
  t.is((await made.run(['run', made.name, '-n', '--', 'true'])).code, 0);
  updating.child.stdin.end('w\n');
  t.is((await updating.ended).code, 0);
  t.is(readFileSync(made.file, 'utf8'), 'new\n');
});
