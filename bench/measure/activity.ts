/** What does a process do that has nothing to do? How often it wakes up, how long it runs, and whether it will by itself. */
import {readdirSync, readFileSync} from 'node:fs';

export interface Activity {
  /** Voluntary context switches of all its threads: each is the beginning of a wait, so there is one for each time that a thread was woken. */
  readonly wakeUps: number;
  /** Time on a processor of all its threads, nanoseconds. */
  readonly busy: number;
}

/** A file of each thread of a process. */
function ofThreads(pid: number, file: string): string[] {
  return readdirSync(`/proc/${pid}/task`).map(thread =>
    readFileSync(`/proc/${pid}/task/${thread}/${file}`, 'utf8'),
  );
}

function sum(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0);
}

/** What it has done so far. */
export function activityOf(pid: number): Activity {
  const switches = ofThreads(pid, 'status').map(text =>
    Number(/^voluntary_ctxt_switches:\s*(\d+)$/m.exec(text)?.[1]),
  );
  const times = ofThreads(pid, 'schedstat').map(text => Number(text.split(' ')[0]));
  return {wakeUps: sum(switches), busy: sum(times)};
}

/** System calls that can wait without a limit, by number, and which argument says that they do. */
interface Wait {
  readonly call: number;
  /** Index of the argument; undefined: the call knows no limit. */
  readonly limit?: number;
  /** What it is for no limit. */
  readonly none?: 'null' | 'negative';
}

const WAITS: Readonly<Record<string, readonly Wait[]>> = {
  x64: [
    {call: 0}, // read
    {call: 72}, // fcntl
    {call: 73}, // flock
    {call: 202, limit: 3, none: 'null'}, // futex
    {call: 232, limit: 3, none: 'negative'}, // epoll_wait
    {call: 281, limit: 3, none: 'negative'}, // epoll_pwait
  ],
  arm64: [
    {call: 63},
    {call: 25},
    {call: 32},
    {call: 98, limit: 3, none: 'null'},
    {call: 22, limit: 3, none: 'negative'},
  ],
};

/** Whether a thread sits in a call that only an event can end, by its line in /proc/PID/task/TID/syscall (proc_pid_syscall(5)). */
export function waitsForEver(line: string, arch: string = process.arch): boolean {
  const [number = '', ...args] = line.trim().split(' ');
  const wait = WAITS[arch]?.find(({call}) => String(call) === number);
  if (!wait) return false;
  if (wait.limit === undefined) return true;
  const value = BigInt(args[wait.limit] ?? '1');
  return wait.none === 'null' ? value === 0n : BigInt.asIntN(32, value) < 0n;
}

/** How many of its threads run, or wait with a time limit: none of them if nothing but an event can wake it. */
export function selfWaking(pid: number): number {
  return ofThreads(pid, 'syscall').filter(line => !waitsForEver(line)).length;
}
