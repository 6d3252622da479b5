/** Which cases are measured, how long, and where do the figures go? */
import {mkdtempSync, readFileSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {pathToFileURL} from 'node:url';
import {Command, Option} from 'commander';
import {byPath} from './cases/by-path.js';
import {configLock} from './cases/config-lock.js';
import {crashCase} from './cases/crash.js';
import {handOverCase} from './cases/hand-over.js';
import {idle} from './cases/idle.js';
import {openDescriptor} from './cases/open-descriptor.js';
import {tables} from './cases/tables.js';
import {update} from './cases/update.js';
import {waiters} from './cases/waiters.js';
import type {Case, Effort, Figure} from './measure/figure.js';
import {BENCH} from './peers.js';
import {completeness} from './report/complete.js';
import {type Report, describeMachine, fromJson, toJson} from './report/json.js';
import {checkPage, writePage} from './report/page.js';
import {shown} from './report/terminal.js';

const CASES: readonly Case[] = [
  openDescriptor,
  byPath,
  configLock,
  handOverCase,
  crashCase,
  waiters,
  tables,
  update,
  idle,
];
/** Short batches, so that most of them are not interrupted. */
const FULL: Effort = {rounds: 51, batch: 5, smoke: false};
const SMOKE: Effort = {rounds: 2, batch: 1, smoke: true};
const DOCS = new URL('../docs/', pathToFileURL(BENCH));

interface Options {
  readonly case?: string;
  readonly smoke?: boolean;
  readonly json?: boolean;
  readonly page?: boolean;
  readonly from?: string;
  readonly rounds?: number;
}

async function measure(each: Case, effort: Effort): Promise<Figure[]> {
  const directory = mkdtempSync(join(tmpdir(), `locksmith-bench-${each.letter}-`));
  try {
    return await each.run(directory, effort);
  } finally {
    rmSync(directory, {recursive: true, force: true});
  }
}

function choose(letters: string | undefined): Case[] {
  const chosen = CASES.filter(({letter}) => letters === undefined || letters.includes(letter));
  if (chosen.length > 0) return chosen;
  throw new Error(`there is no case "${letters}"; there are ${CASES.map(({letter}) => letter).join('')}`);
}

/** One case after the other; what is found is given on at once. */
async function measureAll(
  cases: readonly Case[],
  effort: Effort,
  found: (figures: readonly Figure[]) => void,
): Promise<Report> {
  const machine = describeMachine();
  const figures: Figure[] = [];
  for (const each of cases) {
    process.stderr.write(`(${each.letter}) ${each.title} ...\n`);
    const some = await measure(each, effort);
    figures.push(...some);
    found(some);
  }
  return {...machine, effort, figures};
}

function show(figures: readonly Figure[]): void {
  process.stdout.write(`${figures.map(shown).join('\n')}\n`);
}

function sayWhetherComplete({figures}: Report): void {
  const {told, passed, failed} = completeness(figures);
  for (const each of told) process.stdout.write(`${each}\n`);
  process.stdout.write(`${passed} passed, ${failed} failed\n`);
  if (failed > 0) process.exitCode = 1;
}

async function main(options: Options): Promise<void> {
  const {smoke = false, json = false, page = false, from, rounds} = options;
  const effort = {...(smoke ? SMOKE : FULL), ...(rounds && {rounds})};
  const kept = from === undefined ? undefined : fromJson(readFileSync(from, 'utf8'));
  const cases = choose(options.case);
  const letters = kept ? kept.figures.map(figure => figure.case) : cases.map(({letter}) => letter);
  // Before minutes are spent on it.
  if (page) checkPage(DOCS, [...new Set(letters)]);
  if (kept && !json) show(kept.figures);
  const report = kept ?? (await measureAll(cases, effort, figures => json || show(figures)));
  if (json) process.stdout.write(`${toJson(report)}\n`);
  if (page) writePage(DOCS, report);
  if (smoke) sayWhetherComplete(report);
}

const program = new Command('bench')
  .description('Measures Locksmith side by side with C and with other packages, and prints the ratios')
  .addOption(new Option('--case <letters>', 'only these cases, such as "ac"'))
  .addOption(new Option('--rounds <n>', 'figures for each subject').argParser(Number))
  .option('--smoke', 'see whether every case runs; the figures mean nothing')
  .option('--json', 'print all figures as JSON')
  .option('--page', 'write all figures into docs/performance.md, with plots')
  .addOption(
    new Option('--from <file>', 'measure nothing: take the figures that --json printed').conflicts([
      'case',
      'rounds',
      'smoke',
    ]),
  )
  .action(main);
await program.parseAsync();
