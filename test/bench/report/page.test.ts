import {existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {fileURLToPath, pathToFileURL} from 'node:url';
import test, {type ExecutionContext} from 'ava';
import type {Figure} from '../../../bench/measure/figure.js';
import type {Report} from '../../../bench/report/json.js';
import {checkPage, fill, marker, pageOf, sectionOf, writePage} from '../../../bench/report/page.js';
import {scratch} from '../../helpers/scratch.js';
import {MACHINE} from '../../helpers/bench-machine.js';

const END = '<!-- until here -->';
const DOCS = new URL('../../../../docs/', import.meta.url);

const PAGE = `# Title

${marker('machine')}
old machine
${END}

Own words.

${marker('a')}
${END}

Last words.
`;

const FIGURE: Figure = {
  case: 'a',
  title: 'take and give back',
  unit: 'ns',
  yardstick: 'C',
  note: 'on ext4',
  rows: new Map([
    ['C', [1000, 1000]],
    ['ours | theirs', [2000, 2000]],
  ]),
  absent: new Map([['broken', 'it did not start']]),
  excused: new Map([['lsof', 'not installed']]),
  goals: [
    {subject: 'ours | theirs', against: ['C'], atMost: 3},
    {subject: 'ours | theirs', against: ['C'], atMost: 1.5},
    {subject: 'broken', against: ['C'], atMost: 1.5},
  ],
};

const REPORT: Report = {
  ...MACHINE,
  figures: [FIGURE, {...FIGURE, title: 'the same again'}],
};

const parts = (machine: string, a: string) =>
  new Map([
    ['machine', machine],
    ['a', a],
  ]);

test('what is between the markers is replaced, and nothing else', t => {
  const filled = fill(PAGE, parts('new machine', 'figures'));
  t.is(
    filled,
    PAGE.replace('old machine\n', '\nnew machine\n\n').replace(
      `${marker('a')}\n`,
      `${marker('a')}\n\nfigures\n\n`,
    ),
  );
  t.is(fill(filled, parts('new machine', 'figures')), filled, 'again, it is the same');
});

test('text that looks like a pattern of replacement stays what it is', t => {
  t.true(fill(PAGE, parts("$& $1 $'", '$$')).includes("$& $1 $'"));
});

test('each part needs a place, and each place a part', t => {
  const more = new Map([...parts('', ''), ['b', '']]);
  t.throws(() => fill(PAGE, more), {message: /it has no line "<!-- .*: b -->"/});
  t.throws(() => fill(PAGE, new Map([['machine', '']])), {message: /there is nothing for "<!-- .*: a -->"/});
  t.throws(() => fill(`${PAGE}${marker('a')}\n${END}\n`, parts('', '')), {message: /twice/});
});

test('a place without an end is refused: it would eat the words behind it', t => {
  const open = PAGE.replace(`${END}\n\nOwn words`, 'Own words');
  t.throws(() => fill(open, parts('', '')), {message: /no "<!-- until here -->" after .*machine/});
});

test('a section has plot, table, who is missing, and the goals', t => {
  t.is(
    sectionOf(FIGURE, 'performance/a-1.svg'),
    `### Take and give back

on ext4.

![take and give back: the table below as a plot](performance/a-1.svg)

|  | median | quartiles | x C |
| --- | ---: | ---: | ---: |
| C | 1 µs | 1 µs to 1 µs | 1 |
| ours \\| theirs | 2 µs | 2 µs to 2 µs | 2 |

broken: not measured: it did not start.

lsof: not measured: not installed.

| goal | found |  |
| --- | ---: | ---: |
| ours \\| theirs: at most 3 x C | 2 x | met |
| ours \\| theirs: at most 1.50 x C | 2 x | NOT MET |
| broken: at most 1.50 x C | - | not known |`,
  );
});

test('a report gives a part for each case, a plot for each figure, and says when and where', t => {
  const page = pageOf(REPORT);
  t.deepEqual([...page.parts.keys()], ['machine', 'a']);
  t.deepEqual([...page.plots.keys()], ['performance/a-1.svg', 'performance/a-2.svg']);
  const machine = page.parts.get('machine') ?? '';
  for (const text of ['2026-11-21', '6.18.44', 'v20.19.0', 'a processor', 'Of 6 goals 2 were met'])
    t.true(machine.includes(text), text);
});

function docs(t: ExecutionContext): string {
  const {directory} = scratch(t);
  mkdirSync(join(directory, 'performance'));
  writeFileSync(join(directory, 'performance', 'z-1.svg'), 'of an older run');
  writeFileSync(join(directory, 'performance.md'), PAGE);
  return directory;
}

test('page and plots are written, and plots of older runs go', t => {
  const directory = docs(t);
  writePage(pathToFileURL(`${directory}/`), REPORT);
  t.deepEqual(readdirSync(join(directory, 'performance')).toSorted(), ['a-1.svg', 'a-2.svg']);
  t.regex(readFileSync(join(directory, 'performance.md'), 'utf8'), /Own words\.[^]*NOT MET[^]*Last words\./);
});

test('a report that does not fit the page changes nothing', t => {
  const directory = docs(t);
  const strange = {...REPORT, figures: [{...FIGURE, case: 'q'}]};
  t.throws(() => writePage(pathToFileURL(`${directory}/`), strange));
  t.is(readFileSync(join(directory, 'performance.md'), 'utf8'), PAGE);
  t.true(existsSync(join(directory, 'performance', 'z-1.svg')));
});

test('the page that there is has a place for each case that there is, and all its plots', t => {
  const cases = readFileSync(new URL('../bench/main.ts', DOCS), 'utf8').matchAll(
    /from '\.\/cases\/(.+)\.js'/g,
  );
  const letters = [...cases].map(([, name = '']) => {
    const source = readFileSync(new URL(`../bench/cases/${name}.ts`, DOCS), 'utf8');
    return /^ {2}letter: '(\w)',$/m.exec(source)?.[1] ?? '';
  });
  t.true(letters.length > 3);
  t.notThrows(() => checkPage(DOCS, letters));
  const page = readFileSync(new URL('performance.md', DOCS), 'utf8');
  const plots = [...page.matchAll(/\]\((performance\/[^)]+)\)/g)].map(([, name = '']) => name);
  const files = readdirSync(new URL('performance/', DOCS)).map(name => `performance/${name}`);
  t.deepEqual(plots.toSorted(), files.toSorted(), fileURLToPath(DOCS));
});
