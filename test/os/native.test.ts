/** Is the addon that is loaded the one that was built, and does it offer exactly what native.ts declares? */
import {existsSync, readFileSync} from 'node:fs';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import test from 'ava';
import {addonFile, native} from '../../lib/os/native.js';

const root = fileURLToPath(new URL('../../../', import.meta.url));

test('the addon comes from prebuilds if there are any, else from build/Release', t => {
  const folder = existsSync(join(root, 'prebuilds')) ? 'prebuilds' : 'build/Release';
  t.true(addonFile.startsWith(join(root, folder)), addonFile);
});

test('what native.ts declares and what the addon offers is the same', t => {
  const text = readFileSync(join(root, 'lib/os/native.ts'), 'utf8');
  const declared = /export interface Native \{(.*?)\n\}/s.exec(text)?.[1] ?? '';
  const names = [...declared.matchAll(/^ {2}(\w+)\(/gm)].map(match => match[1] ?? '');
  t.true(names.length > 20);
  // `bindings` adds the path of what it loaded.
  const offered = Object.keys(native).filter(name => name !== 'path');
  t.deepEqual(offered.toSorted(), names.toSorted());
});
