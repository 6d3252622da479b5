/** What does Locksmith say about a scene? In this process, or in one that stands where the scene wants its observer. */
import {execFile} from 'node:child_process';
import {fileURLToPath} from 'node:url';
import {promisify} from 'node:util';
import {examineFile, type FileVerdict} from '../../lib/recovery/file-verdict.js';
import type {Place, Scene} from './situation.js';

/** What is compared with the truth. */
export interface Seen {
  readonly state: string;
  /** Each once, in ascending order. */
  readonly holders: readonly number[];
  readonly waiters: readonly (number | null)[];
  readonly suspects: readonly {readonly pid: number | null; readonly place: Place}[];
  readonly complete: boolean;
  /** The whole verdict, for whoever reads why a test failed. */
  readonly verdict: unknown;
}

export function ascending(pids: Iterable<number>): number[] {
  return [...new Set(pids)].sort((a, b) => a - b);
}

function asSeen(verdict: FileVerdict & {suspects?: Seen['suspects']}): Seen {
  const {state, holders, waiters, suspects = [], complete} = verdict;
  return {
    state,
    holders: ascending(holders.map(({pid}) => pid)),
    waiters: waiters.map(({pid}) => pid ?? null),
    suspects: suspects.map(({pid, place}) => ({pid, place})),
    complete,
    verdict,
  };
}

/** In this process. */
export async function look(file: string | Buffer): Promise<Seen> {
  return asSeen(await examineFile(file as string));
}

const program = fileURLToPath(import.meta.url);

/** As the scene wants it. */
export async function observe({file, as = [], apart = false}: Scene): Promise<Seen> {
  if (as.length === 0 && !apart) return look(file);
  const [command, ...args] = [...as, process.execPath, program, file.toString()];
  const {stdout} = await promisify(execFile)(command, args);
  return JSON.parse(stdout) as Seen;
}

// As a program of its own: observe FILE prints what it saw.
if (process.argv[1] === program) {
  const seen = await look(process.argv[2] ?? '');
  console.log(
    JSON.stringify(seen, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value)),
  );
}
