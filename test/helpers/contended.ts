/** How does the lock pass on while others want it? Batches of real trials, each batch in a directory and, for root, a pid namespace of its own. */
import {execFile} from 'node:child_process';
import {existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {promisify} from 'node:util';
import {compileProgram} from './compile.js';
import {recording} from './history/recording.js';
import {fixture} from './native.js';
import type {Scratch} from './scratch.js';

/** How many trials of each kind; `naive`: of each of the two common ways. */
export interface Trials {
  readonly reclaims: number;
  readonly handovers: number;
  readonly naive: number;
}

/** What fixtures/contended.ts is to do. */
export interface Batch extends Trials {
  readonly place: Pick<Scratch, 'directory' | 'file' | 'roots'>;
  /** fixtures/contended.c, compiled. */
  readonly program: string;
  readonly contenders: number;
}

/** `bad`: trials with two owners, or in which the contender got the guard first, or somebody got nothing. */
export interface Counted {
  trials: number;
  bad: number;
  /** Of the first few that were bad. */
  notes: string[];
}

export type Outcome = Record<'reclaims' | 'handovers' | 'naiveReclaims' | 'naiveHandovers', Counted>;

/** Both together. */
export function addOutcomes(a: Outcome | undefined, b: Outcome): Outcome {
  const add = (kind: keyof Outcome): Counted => ({
    trials: (a?.[kind].trials ?? 0) + b[kind].trials,
    bad: (a?.[kind].bad ?? 0) + b[kind].bad,
    notes: [...(a?.[kind].notes ?? []), ...b[kind].notes],
  });
  return {
    reclaims: add('reclaims'),
    handovers: add('handovers'),
    naiveReclaims: add('naiveReclaims'),
    naiveHandovers: add('naiveHandovers'),
  };
}

/** A pid namespace of its own, whose processes all end with the first one. */
const APART = ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc'] as const;

/** Where batches work. `close` removes everything. */
export interface Arena {
  readonly directory: string;
  readonly program: string;
  close(): void;
}

export function openArena(): Arena {
  const directory = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'locksmith-contended-'));
  const program = join(directory, 'contended');
  compileProgram(fileURLToPath(new URL('../../../test/fixtures/contended.c', import.meta.url)), program);
  return {directory, program, close: () => rmSync(directory, {recursive: true, force: true})};
}

/** Runs one batch; `history`: where its processes write what they do, else nowhere. Rejects when it could not be carried through. */
export async function runBatch(
  {directory, program}: Arena,
  trials: Trials,
  {contenders = 2, history}: {contenders?: number; history?: string | undefined} = {},
): Promise<Outcome> {
  const own = mkdtempSync(join(directory, 'batch-'));
  mkdirSync(join(own, 'etc'));
  const file = join(own, 'etc', 'aim_lock_config.conf');
  writeFileSync(file, 'gain = 7\n');
  const run = join(own, 'run');
  const place = {directory: own, file, roots: {run, state: join(own, 'state'), bits: join(run, 'bits')}};
  const batch: Batch = {...trials, place, program, contenders};
  const [command, ...before] = process.getuid?.() === 0 ? [...APART, process.execPath] : [process.execPath];
  const args = [...before, fixture('contended'), JSON.stringify(batch)];
  try {
    const env = history === undefined ? process.env : {...process.env, ...recording(history)};
    const {stdout} = await promisify(execFile)(command, args, {env});
    return JSON.parse(stdout) as Outcome;
  } finally {
    rmSync(own, {recursive: true, force: true});
  }
}
