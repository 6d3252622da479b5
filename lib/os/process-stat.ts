/** What does /proc/PID/stat say of a process or thread? (proc_pid_stat(5)) */
import {readText} from './read-text.js';

export interface ProcessStat {
  /** Its name, at most 15 bytes; it may have been chosen to deceive, so control characters are shown as `?`. */
  readonly command: string;
  /** One letter: R S D Z T t X I. */
  readonly state: string;
  /** Clock ticks (10 ms) since boot, shifted by the time namespace of whoever reads it. */
  readonly startTime: string;
  /** As wait(2) encodes it, once the process has ended; 0 also for readers without ptrace rights. */
  readonly exitStatus: number;
}

/** Reads one: `/proc/PID` or `/proc/PID/task/TID`. Believe it only while a pidfd of that process is open; see process.ts. */
export function readStat(directory: string): ProcessStat {
  const text = readText(`${directory}/stat`);
  const close = text.lastIndexOf(')');
  // The third field comes first.
  const fields = text.slice(close + 2).split(' ');
  return {
    command: text.slice(text.indexOf('(') + 1, close).replaceAll(/\p{Cc}/gu, '?'),
    state: fields[0] ?? '?',
    startTime: fields[19] ?? '?',
    exitStatus: Number(fields[49] ?? 0),
  };
}
