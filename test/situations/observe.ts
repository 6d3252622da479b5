/** What does Locksmith say about a scene? In this process, or in one that stands where the scene wants its observer. */
import {execFile} from 'node:child_process';
import {readdirSync, symlinkSync} from 'node:fs';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {promisify} from 'node:util';
import {readSystem} from '../../lib/os/system.js';
import {examineFile, type FileVerdict} from '../../lib/recovery/file-verdict.js';
import {newDirectory} from './places.js';
import {type Scene, seesEverything, type Suspect, type Truth} from './situation.js';
import type {Stage} from './stage.js';

/** What is compared with the truth. */
export interface Seen {
  readonly state: string;
  /** Each once, in ascending order. */
  readonly holders: readonly number[];
  readonly waiters: readonly (number | null)[];
  readonly suspects: readonly Suspect[];
  readonly complete: boolean;
  /** The whole verdict, for whoever reads why a test failed. */
  readonly verdict: unknown;
}

export function ascending(pids: Iterable<number>): number[] {
  return [...new Set(pids)].sort((a, b) => a - b);
}

/** What can be known in the end: by exclusion only who can look everywhere, and meets no queue that may have it, knows more. */
export function knowable(truth: Truth, {suspects}: Seen): Truth {
  const excludes = () => seesEverything() && suspects.every(({place}) => place !== 'socket');
  return truth.byExclusion && !excludes() ? {...truth, state: 'UNKNOWN', holders: []} : truth;
}

function asSeen(verdict: FileVerdict): Seen {
  const {state, holders, waiters, suspects, complete} = verdict;
  return {
    state,
    holders: ascending(holders.map(({pid}) => pid)),
    waiters: waiters.map(({pid}) => pid ?? null),
    suspects: suspects.map(({pid, place}) => ({pid, place})),
    complete,
    verdict,
  };
}

/** In this process. `everywhere`: at all processes, also when the first ones settle it. */
export async function look(file: string | Buffer, everywhere: boolean): Promise<Seen> {
  return asSeen(await examineFile(file, {everywhere}));
}

/** As on a machine that has no other processes: then exclusion is always possible. */
export async function lookAmong(stage: Stage, file: string | Buffer, pids: readonly number[]): Promise<Seen> {
  const procRoot = newDirectory(stage, 'proc');
  for (const name of [...readdirSync('/proc').filter(entry => !/^\d+$/.test(entry)), ...pids])
    symlinkSync(`/proc/${name}`, join(procRoot, String(name)));
  return asSeen(await examineFile(file, {everywhere: true, system: readSystem({procRoot})}));
}

const program = fileURLToPath(import.meta.url);

/** As the scene wants it. */
export async function observe({file, as = [], apart = false}: Scene, everywhere = true): Promise<Seen> {
  if (as.length === 0 && !apart) return look(file, everywhere);
  const [command, ...args] = [...as, process.execPath, program, file.toString(), String(everywhere)];
  const {stdout} = await promisify(execFile)(command, args);
  return JSON.parse(stdout) as Seen;
}

// As a program of its own: observe FILE true|false prints what it saw.
if (process.argv[1] === program) {
  const seen = await look(process.argv[2] ?? '', process.argv[3] === 'true');
  console.log(
    JSON.stringify(seen, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value)),
  );
}
