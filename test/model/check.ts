/** Do the protocols keep what they promise, whoever dies, freezes or wakes at whichever step? Runs spin's checker on the models beside this file. */
import {cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {CommandFailed, run} from '../machine/command.js';
import {howToInstall, MODEL_NEEDS, provide} from '../machine/needs.js';
import type {TapReport} from '../machine/tap.js';
import {type Expected, type ModelRun, RUNS} from './runs.js';

/** Compiled, we are in dist/test/model. */
const MODELS = fileURLToPath(new URL('../../../test/model/', import.meta.url));
/** The machine has two processors, or they are shared. */
const WIDTH = 2;
/** Deeper than any run; pan says so when it is not. */
const DEPTH = 200_000;
const MEGABYTES = 2048;
const SECONDS = 600;

export interface Outcome {
  /** The name of the invariant or formula that was broken, `deadlock`, or `none`. */
  readonly broken: string;
  readonly states: number;
  readonly depth: number;
  readonly seconds: number;
  /** False when pan left something out: then that nothing was found says nothing. */
  readonly complete: boolean;
}

/** Which property pan's first line of an error speaks of. */
function brokenIn(text: string, formula: string | undefined): string {
  const [, what = ''] = /^pan:\d+: (.*) \(at depth \d+\)$/m.exec(text) ?? [];
  const [, named] = /^assertion violated \(\(?(\w+)\|\|/.exec(what) ?? [];
  if (named !== undefined) return named;
  if (/^assertion violated \(\(?\d+!=/.test(what)) return 'reached';
  if (what.startsWith('acceptance cycle')) return formula ?? 'cycle';
  if (what.startsWith('invalid end state')) return 'deadlock';
  return what === '' ? 'none' : what;
}

/** Reads what pan printed. */
export function readOutcome(text: string, formula?: string): Outcome {
  const number = (pattern: RegExp) => Number(pattern.exec(text)?.[1] ?? Number.NaN);
  return {
    broken: brokenIn(text, formula),
    states: number(/^ *(\d+) states, stored/m),
    depth: number(/depth reached (\d+)/),
    seconds: number(/^pan: elapsed time ([\d.]+) seconds/m),
    complete: !/Search not completed|max search depth too small|out of memory/.test(text),
  };
}

/** What is wrong with an outcome; undefined when it is as it should be. */
export function complaint({broken, complete, states}: Outcome, expected: Expected): string | undefined {
  if (Number.isNaN(states)) return 'the search gave no figures';
  if (expected === 'holds' && broken === 'none') return complete ? undefined : 'the search is not complete';
  if (expected === 'holds') return `broken: ${broken}`;
  const wanted = expected === 'reached' ? ['reached'] : expected;
  return wanted.includes(broken) ? undefined : `expected ${wanted.join(' or ')}, found ${broken}`;
}

/** Makes the checker of a run in a folder of its own and runs it. */
async function check({model, defines = [], formula, expected}: ModelRun, folder: string): Promise<Outcome> {
  mkdirSync(folder);
  for (const name of readdirSync(MODELS).filter(file => file.endsWith('.pml')))
    cpSync(join(MODELS, name), join(folder, name));
  const inside = {cwd: folder};
  const symbols = [...defines, ...(formula === undefined ? [] : ['LIVENESS'])].map(name => `-D${name}`);
  await run(['spin', '-a', ...symbols, `${model}.pml`], inside);
  const kind = formula === undefined ? ['-DSAFETY'] : ['-DNXT', '-DNFAIR=3'];
  const limits = ['-DCOLLAPSE', `-DMEMLIM=${MEGABYTES}`, expected === 'holds' ? '-O1' : '-O0'];
  await run(['cc', '-w', ...limits, ...kind, '-o', 'pan', 'pan.c'], inside);
  // A formula is about what comes; that no invariant is broken meanwhile is the question of other runs.
  const search = formula === undefined ? [] : ['-A', '-a', '-f', '-N', formula];
  const {stdout} = await run(['./pan', `-m${DEPTH}`, ...search], {...inside, timeout: SECONDS * 1000});
  return readOutcome(stdout, formula);
}

export function titleOf({model, defines = [], formula, expected}: ModelRun): string {
  const what = formula ?? (expected === 'holds' ? 'all invariants' : undefined);
  return [model, ...defines, ...(what === undefined ? [] : [what])].join(' ');
}

function rowOf(found: Outcome): string {
  const {broken, states, depth, seconds} = found;
  return `${broken === 'none' ? 'holds' : broken}, ${states} states, depth ${depth}, ${seconds.toFixed(1)} s`;
}

async function report(each: ModelRun, folder: string, to: TapReport): Promise<void> {
  const title = `model › ${titleOf(each)}`;
  try {
    const found = await check(each, folder);
    const message = complaint(found, each.expected);
    if (message === undefined) to.pass(`${title}: ${rowOf(found)}`);
    else to.fail(title, {message, found: rowOf(found)});
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error;
    to.fail(title, {message: error.message, output: error.output.slice(-4000)});
  } finally {
    rmSync(folder, {recursive: true, force: true});
  }
}

/** Adds the result of each run to a report; `chosen` says of which models, all by default. */
export async function testModels(to: TapReport, chosen: readonly string[] = []): Promise<void> {
  const runs = RUNS.filter(({model}) => chosen.length === 0 || chosen.includes(model));
  const missing = provide(MODEL_NEEDS);
  if (missing.length > 0)
    return runs.forEach(each => to.skip(`model › ${titleOf(each)}`, howToInstall(missing)));
  const folder = mkdtempSync(join(tmpdir(), 'locksmith-model-'));
  const left = [...runs.entries()];
  const worker = async () => {
    for (let next = left.shift(); next !== undefined; next = left.shift())
      await report(next[1], join(folder, String(next[0])), to);
  };
  try {
    await Promise.all(Array.from({length: WIDTH}, worker));
  } finally {
    rmSync(folder, {recursive: true, force: true});
  }
}
