/** Do the arrows go down only? Reads every import of lib/ and native/. */
import {readdirSync, readFileSync} from 'node:fs';
import {dirname, join, normalize, relative} from 'node:path';
import {fileURLToPath} from 'node:url';
import test from 'ava';

const root = fileURLToPath(new URL('../../', import.meta.url));
/** From the bottom to the top. */
const LAYERS = ['os', 'lock', 'recovery', 'fleet', 'daemon', 'cli'];

function sources(folder: string, ending: RegExp): string[] {
  return readdirSync(join(root, folder), {recursive: true, encoding: 'utf8'})
    .filter(name => ending.test(name))
    .map(name => join(folder, name));
}

function importsOf(file: string): string[] {
  const text = readFileSync(join(root, file), 'utf8');
  return [...text.matchAll(/from '([^']+)'/g)].map(match => match[1] ?? '');
}

function layerOf(file: string): number {
  return LAYERS.indexOf(relative('lib', file).split('/')[0] ?? '');
}

const files = sources('lib', /\.ts$/);

test('there is something to read', t => {
  t.true(files.length > 30);
  for (const layer of LAYERS)
    t.true(
      files.some(file => file.startsWith(`lib/${layer}/`)),
      layer,
    );
});

test('no import goes up', t => {
  for (const file of files.filter(name => layerOf(name) >= 0)) {
    for (const target of importsOf(file).filter(name => name.startsWith('.'))) {
      const layer = layerOf(normalize(join(dirname(file), target)));
      t.true(layer <= layerOf(file), `${file} imports ${target}`);
    }
  }
});

test('only os/native.ts loads the addon, and only the files around addon.cc know JavaScript', t => {
  t.deepEqual(
    files.filter(file => importsOf(file).includes('bindings')),
    ['lib/os/native.ts'],
  );
  const knowing = sources('native', /\.(cc|h)$/).filter(file =>
    /#include <(napi|uv)\.h>/.test(readFileSync(join(root, file), 'utf8')),
  );
  t.deepEqual(knowing.toSorted(), [
    'native/addon.cc',
    'native/arguments.h',
    'native/environment.h',
    'native/lock_values.h',
  ]);
});

test('only recovery and cli read the lock of somebody else', t => {
  const takers = files.filter(file =>
    /\.pidfdGetfd\(|\.handover\(/.test(readFileSync(join(root, file), 'utf8')),
  );
  for (const file of takers) t.regex(file, /^lib\/(recovery\/|os\/lock-bit|cli\/health-checks)/);
  t.true(takers.length > 0);
});

test('every file opens with the sentence that says what it is for', t => {
  for (const file of files)
    t.regex(readFileSync(join(root, file), 'utf8').replace(/^#!.*\n/, ''), /^\/\*\*/, file);
  for (const file of sources('native', /\.h$/))
    t.regex(readFileSync(join(root, file), 'utf8'), /^\/\//, file);
});
