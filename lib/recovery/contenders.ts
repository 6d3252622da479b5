/** Who could still take the lock or write the file? Blocked waiters, other holders, and everybody with the file open for writing. */
import type {ConfigLock} from '../lock/config-lock.js';
import {LockError} from '../errors.js';
import type {LockFile} from '../os/lock-file.js';
import {findOpeners, sameFile} from '../os/lock-survey.js';
import {listSurveyed} from '../os/lock-table.js';
import {type FileId, fileId, isOpenOn} from '../os/mounts.js';
import {native} from '../os/native.js';
import {describeProcess, readable, waitForExit} from '../os/process.js';
import {check, hasCode} from '../os/system-error.js';
import type {Hold} from './hold.js';

/** One process in the way of a release; pid undefined where the kernel does not tell who waits. */
export interface Contender {
  readonly pid: number | undefined;
  readonly doing: 'waits for the guard' | 'has the file open for writing';
}

/** Access bits of open(2) flags; 0 is O_RDONLY (fcntl.h). node:fs has no name for the mask. */
const O_ACCMODE = 3;

/** Waiters that are blocked leave by themselves once they get the guard and find the gate shut; no event tells when. */
const WAITER_TICK = 20;

/** The configuration, which may be missing: then nobody can have it open. */
function configId(config: ConfigLock): FileId[] {
  try {
    return [fileId(config.system, config.file)];
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return [];
    throw error;
  }
}

/** Everybody in the way now, except the processes to spare (the owner whose lock is taken by force). */
export async function listContenders(
  config: ConfigLock,
  spare: ReadonlySet<number> = new Set(),
): Promise<Contender[]> {
  const {system} = config;
  const guard = fileId(system, config.paths.guard);
  const files = configId(config);
  const {openers, survey} = await findOpeners(system, guard, ...files);
  const waiters = listSurveyed(system, survey)
    .locks.filter(lock => sameFile(lock, guard))
    .flatMap(lock => lock.waiters);
  const isOn = isOpenOn(system);
  const writers = openers.filter(
    opener =>
      (opener.flags & O_ACCMODE) !== 0 && !spare.has(opener.pid) && files.some(file => isOn(opener, file)),
  );
  return [
    ...waiters.map(({pid}) => ({pid, doing: 'waits for the guard'}) as const),
    ...[...new Set(writers.map(({pid}) => pid))].map(
      pid => ({pid, doing: 'has the file open for writing'}) as const,
    ),
  ];
}

/** Resolves when one of them may have gone: its death, the close of a writer, or, for waiters, a short while. */
async function untilSomethingChanges(
  contenders: readonly Contender[],
  closes: number,
  outer: AbortSignal,
): Promise<void> {
  // The deadline may have come while the contenders were listed; an event that was is not told again.
  outer.throwIfAborted();
  const end = new AbortController();
  const stop = () => end.abort(outer.reason);
  outer.addEventListener('abort', stop, {once: true});
  const events: Promise<unknown>[] = contenders.flatMap(({pid}) =>
    pid === undefined ? [] : [waitForExit(pid, {signal: end.signal})],
  );
  if (closes >= 0) events.push(readable(closes, end.signal));
  if (contenders.some(({doing}) => doing === 'waits for the guard')) {
    events.push(new Promise(resolve => setTimeout(resolve, WAITER_TICK)));
  }
  try {
    await Promise.race(events);
    if (closes >= 0) check(native.drainCloseWatch(closes), 'read');
  } finally {
    outer.removeEventListener('abort', stop);
    end.abort();
    await Promise.allSettled(events);
  }
}

function contended(config: ConfigLock, contenders: readonly Contender[]): LockError {
  const who = contenders.map(
    ({pid, doing}) => `${pid === undefined ? 'a process' : describeProcess(config.system, pid)} ${doing}`,
  );
  const text = who.length > 0 ? who.join('; ') : 'the guard was not to be had';
  return new LockError('ERR_CONTENDED', `a contender of ${config.name} remains: ${text}`, {
    lock: config.name,
    path: config.file,
    pids: contenders.flatMap(({pid}) => (pid === undefined ? [] : [pid])),
    contenders,
  });
}

function openCloses(config: ConfigLock): number {
  const fd = native.openCloseWatch(config.file);
  return fd < 0 ? -1 : fd;
}

export interface DrainOptions {
  /** True when `guard` is held already (taken over): then it is kept, and waiters can't leave by themselves. */
  readonly held?: boolean;
  readonly spare?: ReadonlySet<number>;
  readonly onContenders?: (contenders: readonly Contender[]) => void;
}

/**
 * With the gate shut: waits until no contender remains and takes the guard, at most until the hold's deadline.
 * Returns whoever had to be waited for. Throws ERR_CONTENDED and names who remains; the guard is not held then.
 */
export async function drainContenders(
  config: ConfigLock,
  guard: LockFile,
  hold: Hold,
  {held = false, spare, onContenders}: DrainOptions = {},
): Promise<Contender[]> {
  const seen: Contender[] = [];
  const list = async () =>
    (await listContenders(config, spare)).filter(({doing}) => !held || doing !== 'waits for the guard');
  // A watch costs milliseconds when it is closed, so it is opened only for somebody to watch; who went before is then listed no more.
  let closes: number | undefined;
  let remaining: Contender[] = [];
  try {
    for (;;) {
      hold.assertInForce();
      if (!held) await guard.wait('exclusive', {signal: hold.signal});
      remaining = await list();
      if (remaining.length > 0 && closes === undefined) {
        closes = openCloses(config);
        remaining = await list();
      }
      if (remaining.length === 0) return seen;
      seen.push(...remaining);
      onContenders?.(remaining);
      if (!held) guard.unlock();
      await untilSomethingChanges(remaining, closes ?? -1, hold.signal);
    }
  } catch (error) {
    throw hold.expired ? contended(config, remaining) : error;
  } finally {
    if (closes !== undefined && closes >= 0) native.close(closes);
  }
}
