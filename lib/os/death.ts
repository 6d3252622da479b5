/** How did a process end, and which deaths has this process seen? Where that can't be had there is no answer, never a guess. */
import {readlinkSync} from 'node:fs';
import {constants} from 'node:os';
import {native} from './native.js';
import {procDirectory} from './proc-directory.js';
import {readStat} from './process-stat.js';
import type {System} from './system.js';

/** How a process ended, as wait(2) tells it. */
export type Ending = {readonly code: number} | {readonly signal: string; readonly coreDumped: boolean};

const SIGNALS = new Map(Object.entries(constants.signals).map(([name, number]) => [number, name]));

/** Decodes a status of wait(2). */
export function decodeStatus(status: number): Ending {
  const signal = status & 0x7f;
  if (signal === 0) return {code: (status >> 8) & 0xff};
  return {signal: SIGNALS.get(signal) ?? `signal ${signal}`, coreDumped: (status & 0x80) !== 0};
}

/** In words: `exited with code 3`, `was ended by SIGSEGV (core dumped)`. */
export function describeEnding(ending: Ending): string {
  if ('code' in ending) return `exited with code ${ending.code}`;
  return `was ended by ${ending.signal}${ending.coreDumped ? ' (core dumped)' : ''}`;
}

/**
 * The status of a process that has ended and was not collected. The kernel prints 0 for readers without ptrace rights
 * (fs/proc/array.c do_task_stat()), so 0 is believed only where another file with the same condition can be read.
 */
function zombieStatus(system: System, pidfd: number): number | undefined {
  try {
    const directory = procDirectory(system, pidfd);
    readlinkSync(`${directory}/ns/user`);
    const {state, exitStatus} = readStat(directory);
    return state === 'Z' && procDirectory(system, pidfd) === directory ? exitStatus : undefined;
  } catch {
    return undefined;
  }
}

/**
 * How the process of a pidfd ended. While it is a zombie, /proc tells that to those who may trace it; when it was
 * collected, the kernel tells everybody who has a pidfd from before (Linux >= 6.15). Undefined for all others,
 * and while it runs. (6.15.0 gives the code of the first thread where that exited before the others.)
 */
export function readEnding(system: System, pidfd: number): Ending | undefined {
  if (native.isReadable(pidfd) !== 1) return undefined;
  // In this order: it may be collected in between.
  const status = zombieStatus(system, pidfd) ?? native.pidfdExitStatus(pidfd);
  return status >= 0 ? decodeStatus(status) : undefined;
}

/** A death that this process has seen. */
export interface Death {
  /** Undefined where only the fact is known. */
  readonly ending: Ending | undefined;
  /** When it was seen, milliseconds since 1970: it happened then or before. */
  readonly seen: number;
}

/** So many deaths are remembered, the last ones. */
const MOST_DEATHS = 1024;

/** By pid and identity: the same for nobody else until the next boot, which this process does not live to see. */
const deaths = new Map<string, Death>();

/** Remembers a death. What was known of it before stays, but for an ending that was unknown. */
export function noteDeath(pid: number, identity: string, death: Death): void {
  const key = `${pid} ${identity}`;
  const known = deaths.get(key);
  deaths.delete(key);
  deaths.set(key, {ending: known?.ending ?? death.ending, seen: known?.seen ?? death.seen});
  for (const oldest of deaths.keys()) {
    if (deaths.size <= MOST_DEATHS) break;
    deaths.delete(oldest);
  }
}

/** What this process has seen of the end of a process, by waitForExit. */
export function deathSeen(pid: number, identity: string): Death | undefined {
  return deaths.get(`${pid} ${identity}`);
}
