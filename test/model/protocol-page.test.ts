/** Does the page that ties the models to the code speak of steps and functions that exist? */
import {readdirSync, readFileSync} from 'node:fs';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import test from 'ava';
import {RUNS} from './runs.js';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const page = readFileSync(join(root, 'docs/protocol.md'), 'utf8');
const rows = [...page.matchAll(/^\| (.+) \| (\w+\.pml) \| (.+) \|$/gm)];
const namesIn = (cell = '') => [...cell.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name);
const model = (name: string) => readFileSync(join(root, 'test/model', name), 'utf8');

function sources(folder: string, ending: RegExp): string {
  return readdirSync(join(root, folder), {recursive: true, encoding: 'utf8'})
    .filter(name => ending.test(name))
    .map(name => readFileSync(join(root, folder, name), 'utf8'))
    .join('\n');
}

test('each step of the table is in the model that it names', t => {
  t.true(rows.length > 10);
  for (const [, steps, file = ''] of rows)
    for (const step of namesIn(steps))
      t.regex(model(file), new RegExp(`^(inline|proctype) ${step}\\(`, 'm'), step);
});

test('each function of the table is in the code', t => {
  const code = sources('lib', /\.ts$/) + sources('native', /\.cc$/);
  for (const [, , , functions] of rows)
    for (const name of namesIn(functions))
      t.regex(code, new RegExp(`(function |async |int |void |  )${name}(<\\w+>)?\\(`), name);
});

test('each fault, invariant, end and formula of the runs is in a model', t => {
  const models = readdirSync(join(root, 'test/model')).filter(name => name.endsWith('.pml'));
  const text = models.map(model).join('\n');
  for (const {defines = [], formula, expected} of RUNS) {
    const named = defines.map(name => name.replace(/^REACH=/, '')).filter(name => !/^\d+$/.test(name));
    const broken = typeof expected === 'string' ? [] : expected;
    for (const name of [...named, ...broken, ...(formula === undefined ? [] : [formula])])
      t.regex(text, new RegExp(`\\b${name}\\b`), name);
  }
});
