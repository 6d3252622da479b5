/** Which cases are measured, how long, and where do the figures go? */
import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {Command, Option} from 'commander';
import {byPath} from './cases/by-path.js';
import {configLock} from './cases/config-lock.js';
import {crashCase} from './cases/crash.js';
import {handOverCase} from './cases/hand-over.js';
import {openDescriptor} from './cases/open-descriptor.js';
import {waiters} from './cases/waiters.js';
import type {Case, Effort, Figure} from './measure/figure.js';
import {type Report, describeMachine, toJson} from './report/json.js';
import {shown} from './report/terminal.js';

const CASES: readonly Case[] = [openDescriptor, byPath, configLock, handOverCase, crashCase, waiters];
/** Short batches, so that most of them are not interrupted. */
const FULL: Effort = {rounds: 51, batch: 5, smoke: false};
const SMOKE: Effort = {rounds: 2, batch: 1, smoke: true};

interface Options {
  readonly case?: string;
  readonly smoke?: boolean;
  readonly json?: boolean;
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

/** What must run everywhere: each case, and each subject in it. */
function checkComplete(figures: readonly Figure[]): void {
  const absent = figures.flatMap(figure =>
    [...figure.absent].map(([subject, why]) => `(${figure.case}) ${figure.title}: ${subject}: ${why}`),
  );
  for (const each of absent) process.stdout.write(`${each}\n`);
  process.stdout.write(`${figures.length} passed, ${absent.length} failed\n`);
  if (absent.length > 0) process.exitCode = 1;
}

async function main({case: letters, smoke = false, json = false, rounds}: Options): Promise<void> {
  const effort = {...(smoke ? SMOKE : FULL), ...(rounds && {rounds})};
  const figures: Figure[] = [];
  for (const each of choose(letters)) {
    process.stderr.write(`(${each.letter}) ${each.title} ...\n`);
    const found = await measure(each, effort);
    figures.push(...found);
    if (!json) process.stdout.write(`${found.map(shown).join('\n')}\n`);
  }
  const report: Report = {...describeMachine(), effort, figures};
  if (json) process.stdout.write(`${toJson(report)}\n`);
  if (smoke) checkComplete(figures);
}

const program = new Command('bench')
  .description('Measures Locksmith side by side with C and with other packages, and prints the ratios')
  .addOption(new Option('--case <letters>', 'only these cases, such as "ac"'))
  .addOption(new Option('--rounds <n>', 'figures for each subject').argParser(Number))
  .option('--smoke', 'see whether every case runs; the figures mean nothing')
  .option('--json', 'print all figures as JSON')
  .action(main);
await program.parseAsync();
