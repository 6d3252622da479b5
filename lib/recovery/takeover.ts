/** How does the guard pass to us without ever being free, while its owner has it? By sharing the description of the owner. */
import {LockError} from '../errors.js';
import type {ConfigLock} from '../lock/config-lock.js';
import {isOwners, sharesGuard} from '../lock/guard.js';
import {LockFile} from '../os/lock-file.js';
import {type Descriptor, findOpeners, type Survey} from '../os/lock-survey.js';
import {kindOf} from '../os/lock-table.js';
import {fileId} from '../os/mounts.js';
import {native} from '../os/native.js';
import {describeProcess} from '../os/process.js';
import {check, errnoOf, hasCode, SystemError} from '../os/system-error.js';
import type {Verdict} from './verdict.js';

const ESRCH = -errnoOf('ESRCH');
const EBADF = -errnoOf('EBADF');

/** Descriptions that are ours from now on, too. */
export interface Taken {
  readonly guard: LockFile;
  /** Of those who share the guard: their shares of the gate. */
  readonly gates: readonly LockFile[];
  /** Processes that hold the guard with us; empty when it was free. */
  readonly from: readonly number[];
}

function closeAll(files: readonly LockFile[]): void {
  for (const file of files) file.close();
}

function pidsOf(descriptors: Iterable<Descriptor>): number[] {
  return [...new Set(Array.from(descriptors, ({pid}) => pid))];
}

const END_IT =
  'end that process; the kernel then frees the guard, and `locksmith recover` takes the lock back.';
const ENDING_REMAINS = `What remains: ${END_IT}`;
const WAITING_REMAINS = `What remains: let that process go on, then look again; or ${END_IT}`;
const TRACING_REMAINS = `What remains: do it with the right to trace that process (root with CAP_SYS_PTRACE in its user namespace, ptrace(2)), or ${END_IT}`;

function refused(
  config: ConfigLock,
  pids: readonly number[],
  why: string,
  remains = ENDING_REMAINS,
): LockError {
  const who =
    pids.length > 0
      ? pids.map(pid => describeProcess(config.system, pid)).join(', ')
      : 'a process that can not be seen';
  return new LockError(
    'ERR_TAKEOVER_REFUSED',
    `the guard of ${config.name} is held by ${who}, and ${why}. ${remains}`,
    {lock: config.name, path: config.file, pids},
  );
}

/** Why a lock can't be shared although its holder is known; undefined when it can. */
function unshareable(survey: Survey, holding: ReadonlySet<Descriptor>): string | undefined {
  const kinds = survey.locks.filter(({shownBy}) => shownBy.length > 0).map(({row}) => kindOf(row));
  if (kinds.includes('posix'))
    return 'its lock is of the POSIX kind, which belongs to the process and can not be shared (fcntl(2))';
  const inThreads = [...holding].every(({thread}) => thread !== undefined);
  return holding.size > 0 && inThreads
    ? 'its descriptor is in a table that one thread has for itself, which can not be reached (pidfd_getfd(2))'
    : undefined;
}

/** Copies a descriptor of a process on this node; both then share one description, and so its lock (pidfd_getfd(2)). Undefined when it was closed since. */
function copyDescriptor(pid: number, fd: number, path: string): LockFile | undefined {
  const pidfd = native.pidfdOpen(pid);
  if (pidfd === ESRCH) return undefined;
  check<number>(pidfd, 'pidfd_open', `pid ${pid}`);
  try {
    const copy = native.pidfdGetfd(pidfd, fd);
    if (copy === EBADF || copy === ESRCH) return undefined;
    return LockFile.adopt(path, check<number>(copy, 'pidfd_getfd', `descriptor ${fd} of pid ${pid}`));
  } finally {
    native.close(pidfd);
  }
}

/** Copies descriptors that hold a lock on a file. All that are still there, or none. */
function copyAll(path: string, holding: Iterable<Descriptor>): LockFile[] {
  const copies: LockFile[] = [];
  try {
    for (const {pid, fd, thread} of holding) {
      const copy = thread === undefined ? copyDescriptor(pid, fd, path) : undefined;
      if (copy) copies.push(copy);
    }
    // A descriptor may have been closed and its number used again since the look: then it is not ours to keep.
    const wanted = LockFile.keyOf(path);
    closeAll(copies.filter(copy => copy.key !== wanted));
    return copies.filter(copy => copy.key === wanted);
  } catch (error) {
    closeAll(copies);
    throw error;
  }
}

/** The shares of the gate of those who hold the guard. */
async function copyGates(config: ConfigLock, pids: readonly number[]): Promise<LockFile[]> {
  const {gate} = config.paths;
  const {holding} = await findOpeners(config.system, fileId(config.system, gate));
  return copyAll(
    gate,
    [...holding].filter(({pid}) => pids.includes(pid)),
  );
}

function notFound(config: ConfigLock, {unreadable}: Survey): LockError {
  if (unreadable.length === 0) return refused(config, [], 'no descriptor of it is to be found');
  const why = `no descriptor of it is to be seen: ${unreadable.length} processes may not be looked into`;
  return refused(config, [], why, TRACING_REMAINS);
}

/** Is one of the holders on record as the owner, though stopped before it could mark its guard? It has read the epoch, so the next one fences it. */
function isOnRecord(config: ConfigLock, {owner, holders}: Verdict): boolean {
  const record = config.readRecord();
  const resigned = record.state === 'owned' && record.resigned === true;
  if (owner === null || resigned || owner.bootId !== config.system.bootId) return false;
  return holders.some(({pid, identity}) =>
    identity === undefined ? pid === owner.pid : identity === owner.identity,
  );
}

/**
 * Shares the guard with its owner, or with one who was. Whoever else has it may be on its way to become the owner: stopped there, it would go on
 * after us, and own a lock whose guard we have given back. A copy that was not good for it is closed: kept, it would keep the lock.
 */
async function shareGuard(config: ConfigLock, verdict: Verdict): Promise<Taken> {
  const {holding, survey} = await findOpeners(config.system, fileId(config.system, config.paths.guard));
  const pids = pidsOf(holding);
  const why = unshareable(survey, holding);
  if (why !== undefined) throw refused(config, pids, why);
  if (holding.size > 0 && !isOwners(config.paths.guard) && !isOnRecord(config, verdict))
    throw refused(config, pids, 'that is not its owner', WAITING_REMAINS);
  const [guard, ...more] = copyVisibly(config, pids, holding);
  closeAll(more);
  if (!guard) throw notFound(config, survey);
  try {
    if (!sharesGuard(guard))
      throw refused(config, pids, 'it passed to somebody else meanwhile', 'Look again.');
    return {guard, gates: await copyGates(config, pids), from: pids};
  } catch (error) {
    guard.close();
    throw error;
  }
}

function copyVisibly(config: ConfigLock, pids: readonly number[], holding: Iterable<Descriptor>): LockFile[] {
  try {
    return copyAll(config.paths.guard, holding);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    const remains = hasCode(error, 'EPERM') ? TRACING_REMAINS : ENDING_REMAINS;
    throw refused(config, pids, `its descriptor could not be taken over (${error.message})`, remains);
  }
}

/**
 * Takes the guard: from the free, or by sharing the description of the owner, who then can neither free it nor lose it to a
 * contender. Changes nothing else. Rejects with ERR_TAKEOVER_REFUSED, which says why and what remains possible.
 */
export async function takeOver(config: ConfigLock, verdict: Verdict): Promise<Taken> {
  const own = LockFile.tryOpen(config.paths.guard, 'exclusive');
  return own ? {guard: own, gates: [], from: []} : await shareGuard(config, verdict);
}

/** Closes our copies. */
export function letGo({guard, gates}: Taken): void {
  closeAll([...gates, guard]);
}
