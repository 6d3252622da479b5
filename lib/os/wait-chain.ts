/** Who waits for whom? A holder of one lock may itself wait for another, and so on, over files and processes. */
import type {FileId} from './mounts.js';
import type {Survey, SurveyedLock} from './lock-survey.js';

/** One step: a process waits for a lock, which others hold. */
export interface WaitLink {
  readonly pid: number;
  /** Kind of the lock as the table prints it: FLOCK, OFDLCK, POSIX. */
  readonly kind: string;
  readonly file: FileId;
  /** Who holds that lock, as far as is known. */
  readonly heldBy: readonly number[];
}

/** The processes that hold a lock: those that show it, else whom the table names. */
function holdersOf({row, shownBy}: SurveyedLock): number[] {
  const pids = shownBy.map(({pid}) => pid);
  return [...new Set(pids.length > 0 ? pids : row.pid > 0 ? [row.pid] : [])];
}

/** All waits of the machine that the table names, by the pid of whoever waits. OFD locks are waited for without a name. */
function waitsByPid({locks, elsewhere}: Survey): Map<number, WaitLink> {
  const waits = new Map<number, WaitLink>();
  for (const lock of [...locks, ...elsewhere])
    for (const {pid} of lock.waiting) {
      const {kind, major, minor, inode} = lock.row;
      if (pid > 0) waits.set(pid, {pid, kind, file: {major, minor, inode}, heldBy: holdersOf(lock)});
    }
  return waits;
}

/** What these processes wait for, and those who hold that, and so on. Ends where nobody waits, or at a process that it has met: a deadlock. */
export function waitChain(survey: Survey, pids: readonly number[]): WaitLink[] {
  const waits = waitsByPid(survey);
  if (waits.size === 0) return [];
  const chain: WaitLink[] = [];
  const queue = [...pids];
  const met = new Set<number>();
  for (let pid = queue.shift(); pid !== undefined; pid = queue.shift()) {
    const link = waits.get(pid);
    if (link === undefined || met.has(pid)) continue;
    met.add(pid);
    chain.push(link);
    queue.push(...link.heldBy);
  }
  return chain;
}
