/** Can a process run, judged over all its threads? */
import {readdirSync} from 'node:fs';
import {FreezerReader} from './cgroup-freezer.js';
import {type ProcessStat, readStat} from './process-stat.js';
import {hasCode} from './system-error.js';
import type {System} from './system.js';

export interface ProcessState {
  /** One letter as in proc(5), of its first thread, or where that has ended, of the first that lives. */
  readonly state: string;
  /** Why it can not run, undefined when nothing keeps it from running. */
  readonly frozen: string | undefined;
  /** What else is worth to know about its threads, in words. */
  readonly remarks: readonly string[];
}

/** A thread, and why it can not run. */
interface Thread {
  readonly id: string;
  readonly stat: ProcessStat;
  readonly frozen: string | undefined;
}

const STOPPED: Readonly<Record<string, string>> = {
  T: 'it is stopped by a signal (state T)',
  t: 'a debugger has stopped it (state t)',
};

function readThread(directory: string, id: string, freezer: FreezerReader): Thread | undefined {
  try {
    const own = `${directory}/task/${id}`;
    const stat = readStat(own);
    // Also in state R: a frozen thread that is woken shows it until it has found the freezer again.
    return {id, stat, frozen: STOPPED[stat.state] ?? freezer.frozen(own)};
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ESRCH')) return undefined;
    throw error;
  }
}

function hasEnded({stat}: Thread): boolean {
  return stat.state === 'Z' || stat.state === 'X';
}

/** Threads that a running one starts while we look would be missed, so this looks until two lists are the same. */
function readThreads(system: System, directory: string): {threads: Thread[]; all: boolean} {
  for (let attempt = 0; ; attempt++) {
    const ids = readdirSync(`${directory}/task`);
    const freezer = new FreezerReader(system);
    const threads = ids.flatMap(id => readThread(directory, id, freezer) ?? []);
    const all = String(readdirSync(`${directory}/task`)) === String(ids);
    if (all || attempt === 3) return {threads, all};
  }
}

function remarksOn(threads: readonly Thread[], living: readonly Thread[]): string[] {
  const remarks: string[] = [];
  const [first] = threads;
  if (first !== undefined && hasEnded(first)) {
    remarks.push(`its first thread has ended, ${living.length} of its threads live`);
  }
  // Threads that the v1 freezer has stopped are in state D as well.
  const waiting = living.filter(({stat, frozen}) => stat.state === 'D' && frozen === undefined);
  if (waiting.length > 0) {
    const who = threads.length === 1 ? 'it waits' : `${waiting.length} of its threads wait`;
    remarks.push(`${who} in the kernel (state D), and even SIGKILL may have to wait for that`);
  }
  const stopped = living.filter(({frozen}) => frozen !== undefined);
  if (stopped.length > 0 && stopped.length < living.length) {
    remarks.push(`${stopped.length} of its ${living.length} threads can not run: ${reasons(stopped)}`);
  }
  return remarks;
}

function reasons(threads: readonly Thread[]): string {
  return [...new Set(threads.map(({frozen}) => frozen))].join(', and ');
}

/**
 * Looks at `PROC/PID`. It is frozen only if every living thread is: a group can be stopped in part, by a debugger or
 * by cgroups of single threads. Believe it only while a pidfd of that process is open; see process.ts.
 */
export function readState(system: System, directory: string): ProcessState {
  const {threads, all} = readThreads(system, directory);
  const living = threads.filter(thread => !hasEnded(thread));
  const frozen = all && living.length > 0 && living.every(thread => thread.frozen !== undefined);
  return {
    state: (living[0] ?? threads[0])?.stat.state ?? '?',
    frozen: frozen ? reasons(living) : undefined,
    remarks: remarksOn(threads, living),
  };
}
