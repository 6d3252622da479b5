import {mkdirSync, renameSync, symlinkSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import test from 'ava';
import {bench, guardedBench, NAME} from '../helpers/cli.js';

test('a lock is found by its name, by its file, and by a symbolic link to it', async t => {
  const made = await guardedBench(t);
  const link = join(made.directory, 'link.conf');
  symlinkSync(made.file, link);
  for (const target of [made.name, made.file, link])
    t.is((await made.json('explain', target))['name'], NAME, target);
});

test('a lock whose file has gone is still found by its path', async t => {
  const made = await guardedBench(t);
  renameSync(made.file, `${made.file}.away`);
  t.is((await made.json('explain', made.file))['name'], NAME);
});

test('a file that no lock guards gets one from run, and is unknown to recover, break-glass and bit', async t => {
  const made = bench(t);
  const glass = ['break-glass', made.file, '--owner', '1', '--epoch', '1', '--reason', 'x'];
  for (const args of [['recover', made.file], ['bit', made.file], glass]) {
    const {code, stderr} = await made.run(args);
    t.is(code, 2);
    t.true(stderr.includes(`no lock guards ${made.file}`), stderr);
  }
  t.is((await made.run(['run', made.file, '--', 'true'])).code, 0);
  t.is((await made.run(['bit', made.file])).stdout, '0\n');
});

test('a file that does not exist is told apart from one that no lock guards', async t => {
  const made = bench(t);
  for (const args of [
    ['explain', '/no/such'],
    ['recover', '/no/such'],
    ['update', '/no/such'],
  ]) {
    const {code, stderr} = await made.run(args);
    t.is(code, 2);
    t.regex(stderr, /there is no (configuration )?file \/no\/such/);
  }
});

test('two files that ask for one name are both named in the refusal', async t => {
  const made = await guardedBench(t);
  mkdirSync(join(made.directory, 'other'));
  const other = join(made.directory, 'other', `${NAME}.conf`);
  writeFileSync(other, '');
  const {code, stderr} = await made.run(['update', other], {input: 'x'});
  t.is(code, 2);
  t.true(stderr.includes(made.file) && stderr.includes(other));
  t.is((await made.run(['update', other, '--name', 'other'], {input: 'x'})).code, 0);
  t.is((await made.json('explain', 'other'))['file'], other);
  t.is((await made.run(['update', other, '--name', 'third'], {input: 'x'})).code, 64);
});

test('a directory and a symbolic link are no configuration', async t => {
  const made = bench(t);
  const link = join(made.directory, 'link.conf');
  symlinkSync(made.file, link);
  for (const target of [made.directory, link]) t.is((await made.run(['run', target, '--', 'true'])).code, 2);
});

test('control characters of a purpose are shown, not sent to the terminal', async t => {
  const made = await guardedBench(t);
  await made.run(['bit', made.name, '1', '--purpose', 'a\u001b[2Jb\u0007c']);
  const {stdout} = await made.run(['explain', made.name]);
  t.true(stdout.includes(String.raw`a\x1b[2Jb\x07c`));
});
