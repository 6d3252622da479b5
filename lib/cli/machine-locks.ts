/** How are all locks of the machine shown, whoever took them? */
import type {ListedLock, LockList, Waiter} from '../os/lock-table.js';
import {commandOf} from '../os/process.js';
import {system} from '../os/system.js';
import {toWaiter} from '../recovery/report.js';
import type {Columns} from './columns.js';

/** A lock, with the names of the programs that hold it. */
export interface ShownLock extends ListedLock {
  readonly commands: ReadonlyMap<number, string>;
  /** Why it may be an orphan; undefined when nothing speaks for that. */
  readonly suspicion: string | undefined;
}

/** A suspicion, not a verdict: `explain` on the file says what is proven. */
function suspicionOf({holders, taker}: ListedLock): string | undefined {
  if (holders.length === 0) return 'no process shows it';
  if (taker === undefined || holders.some(({pid}) => pid === taker)) return undefined;
  return `taken by pid ${taker}, which holds it no more`;
}

/** Adds what people want to see; each process is asked for its name once. */
export function showLocks({locks}: LockList): ShownLock[] {
  const commands = new Map<number, string>();
  for (const {holders} of locks)
    for (const {pid} of holders) if (!commands.has(pid)) commands.set(pid, commandOf(system(), pid) ?? '?');
  return locks.map(lock => ({...lock, commands, suspicion: suspicionOf(lock)}));
}

function pidText({pid}: Waiter): string {
  return pid === undefined ? '?' : String(pid);
}

function hex(number: number): string {
  return number.toString(16).padStart(2, '0');
}

function deviceOf({major, minor}: ListedLock): string {
  return `${hex(major)}:${hex(minor)}`;
}

function pidsOf({holders}: ListedLock): number[] {
  return [...new Set(holders.map(({pid}) => pid))];
}

function listed(entries: readonly string[], none: string): string {
  return entries.length === 0 ? none : entries.join(',');
}

/** All columns of `ls --all`. */
export const LOCK_COLUMNS: Columns<ShownLock> = {
  HOLDERS: lock =>
    listed(
      pidsOf(lock).map(pid => `${pid}(${lock.commands.get(pid) ?? '?'})`),
      '?',
    ),
  KIND: ({kind}) => kind,
  MODE: ({mode}) => mode,
  RANGE: ({start, end}) => (start === 0n && end === undefined ? 'whole' : `${start}-${end ?? 'EOF'}`),
  WAITERS: ({waiters}) => listed(waiters.map(pidText), '-'),
  SUSPICION: ({suspicion}) => suspicion ?? '-',
  PID: lock => listed(pidsOf(lock).map(String), '?'),
  COMMAND: lock => listed([...new Set(pidsOf(lock).map(pid => lock.commands.get(pid) ?? '?'))], '?'),
  TAKER: ({taker}) => String(taker ?? '-'),
  START: ({start}) => String(start),
  END: ({end}) => String(end ?? 'EOF'),
  DEVICE: deviceOf,
  INODE: ({inode}) => String(inode),
  PATH: ({path}) => path ?? '?',
};

/** Those that are shown unless others are asked for. */
export const USUAL_LOCK_COLUMNS = ['HOLDERS', 'KIND', 'MODE', 'RANGE', 'WAITERS', 'SUSPICION', 'PATH'];

/** The fields of a lock that scripts may rely on. */
function toLock(lock: ShownLock): Record<string, unknown> {
  const {kind, mode, start, end, inode, path, holders, suspects, waiters, taker, commands, suspicion} = lock;
  return {
    kind,
    mode,
    start,
    end: end ?? null,
    device: deviceOf(lock),
    inode,
    path: path ?? null,
    holders: holders.map(({pid, via, identity}) => ({
      pid,
      command: commands.get(pid) ?? null,
      via,
      identity: identity ?? null,
    })),
    suspects,
    waiters: waiters.map(toWaiter),
    taker: taker ?? null,
    suspicion: suspicion ?? null,
  };
}

/** The whole list as scripts see it. */
export function toLockReport({gaps}: LockList, locks: readonly ShownLock[]): Record<string, unknown> {
  return {locks: locks.map(toLock), complete: gaps.length === 0, missing: gaps};
}
