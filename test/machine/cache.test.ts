import {spawnSync} from 'node:child_process';
import {existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {Cache} from './cache.js';

function folder(t: ExecutionContext): string {
  const path = mkdtempSync(join(tmpdir(), 'locksmith-cache-'));
  t.teardown(() => rmSync(path, {recursive: true, force: true}));
  return path;
}

const fill = (content: string) => (into: string) =>
  Promise.resolve(writeFileSync(join(into, 'file'), content));

test('what is kept is made once', async t => {
  const cache = new Cache(folder(t));
  const first = await cache.keep('some/thing', fill('first'));
  t.is(await cache.keep('some/thing', fill('second')), first);
  t.is(readFileSync(join(first, 'file'), 'utf8'), 'first');
});

test('what fails half way is not kept, and made anew', async t => {
  const cache = new Cache(folder(t));
  const failing = async (into: string) => {
    await fill('half')(into);
    throw new Error('no network');
  };
  await t.throwsAsync(cache.keep('thing', failing), {message: 'no network'});
  t.false(existsSync(join(cache.folder, 'thing')));
  t.is(readFileSync(join(await cache.keep('thing', fill('whole')), 'file'), 'utf8'), 'whole');
});

test('of two that make the same at once both get it', async t => {
  const cache = new Cache(folder(t));
  const paths = await Promise.all([cache.keep('thing', fill('same')), cache.keep('thing', fill('same'))]);
  t.is(paths[0], paths[1]);
  t.is(readFileSync(join(paths[0], 'file'), 'utf8'), 'same');
});

test('what killed runs left behind goes, what others work on stays', t => {
  const path = folder(t);
  const gone = spawnSync('true').pid;
  for (const name of [`${gone}-a`, `${process.ppid}-b`])
    mkdirSync(join(path, 'work', name), {recursive: true});
  t.notThrows(() => new Cache(path));
  t.deepEqual(readdirSync(join(path, 'work')), [`${process.ppid}-b`]);
});

test('only the newest logs are kept', t => {
  const cache = new Cache(folder(t));
  for (let n = 0; n < 30; n++) writeFileSync(cache.logPath(String(n).padStart(2, '0')), '');
  const logs = readdirSync(join(cache.folder, 'logs')).toSorted();
  t.true(logs.length <= 21, String(logs.length));
  t.regex(logs.at(-1) ?? '', /-29\.log$/);
});
