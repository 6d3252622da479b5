/** Which incarnation of which process is this, and does it still exist? */
import {readlinkSync} from 'node:fs';
import {constants} from 'node:os';
import {type Death, type Ending, noteDeath, readEnding} from './death.js';
import {native} from './native.js';
import {procDirectory} from './proc-directory.js';
import {readState} from './process-state.js';
import {type ProcessStat, readStat} from './process-stat.js';
import {check, errnoOf, hasCode, SystemError} from './system-error.js';
import {system as surroundings, type System} from './system.js';

const ESRCH = -errnoOf('ESRCH');
const EINVAL = -errnoOf('EINVAL');
const ENOENT = -errnoOf('ENOENT');

/**
 * Names one incarnation of a process within one boot: `pidfd:INODE` where pidfds have inodes of their own
 * (Linux >= 6.9), else `start:TICKS@TIME-NAMESPACE`, which two processes that got one pid within 10 ms may share.
 */
export type Identity = string;

/** What /proc tells about a process, each read while its pidfd was open. */
export interface ProcessFacts {
  readonly pid: number;
  readonly identity: Identity;
  /** The identity by start time, also where there is a better one; undefined where /proc does not show the process. */
  readonly started: Identity | undefined;
  /** One letter as in proc(5): R S D Z T t X I; `?` where /proc does not show the process. */
  readonly state: string;
  /** Its name; `?` where /proc does not show the process. */
  readonly command: string;
  /** Why it can not run, undefined when nothing keeps it from running. */
  readonly frozen: string | undefined;
  /** What else is worth to know, in words. */
  readonly remarks: readonly string[];
}

/** What was found under a pid. */
export type Presence =
  | {readonly kind: 'absent'}
  /** The pid is now a mere thread of another process. */
  | {readonly kind: 'thread'}
  /** It has ended, and nobody has collected it. */
  | {readonly kind: 'ended'; readonly identity: Identity; readonly ending: Ending | undefined}
  | {readonly kind: 'running'; readonly facts: ProcessFacts}
  /** It ended, and perhaps its pid was reused, while we looked. */
  | {readonly kind: 'unsteady'}
  | {readonly kind: 'unreadable'; readonly error: Error};

/**
 * The identity by start time. A time namespace shifts what its members read (time_namespaces(7)), so it is part of
 * the name.
 */
function startIdentity({timeNamespace}: System, {startTime}: ProcessStat): Identity {
  return `start:${startTime}${timeNamespace === undefined ? '' : `@${timeNamespace}`}`;
}

/** The identity of the process that a pidfd leads to. Throws SystemError where it can't be read. */
export function identityOf(system: System, pidfd: number): Identity {
  const inode = check<bigint>(native.pidfdInode(pidfd), 'fstat', 'pidfd');
  return inode === 0n ? startIdentity(system, readStat(procDirectory(system, pidfd))) : `pidfd:${inode}`;
}

/**
 * Is the process with these facts the one of that name? Undefined: the two can't be compared, for they are of
 * different kinds, or read in different time namespaces.
 */
export function isSame(
  identity: Identity,
  {identity: best, started}: Pick<ProcessFacts, 'identity' | 'started'>,
): boolean | undefined {
  if (identity.startsWith('pidfd:')) return best.startsWith('pidfd:') ? best === identity : undefined;
  if (!identity.startsWith('start:') || started === undefined) return undefined;
  const namespaceOf = (start: Identity) => start.split('@')[1];
  return namespaceOf(identity) === namespaceOf(started) ? identity === started : undefined;
}

/** What /proc says to those who may not look at a process: it is not there, or not for them (hidepid, proc(5)). */
const HIDDEN = ['ENOENT', 'EACCES', 'EPERM'];

/** What a process shows only in /proc; an observer who may not read that still knows by its pidfd that it lives. */
function readShown(
  system: System,
  pidfd: number,
): Pick<ProcessFacts, 'started' | 'state' | 'command' | 'frozen' | 'remarks'> {
  try {
    const directory = procDirectory(system, pidfd);
    const stat = readStat(directory);
    const started = startIdentity(system, stat);
    return {started, command: stat.command, ...readState(system, directory)};
  } catch (error) {
    if (!hasCode(error, ...HIDDEN)) throw error;
    const remarks = ['this user can not see its state in /proc'];
    return {started: undefined, state: '?', command: '?', frozen: undefined, remarks};
  }
}

/** Looks at a pid of our own pid namespace, again if the process ends just then. Never throws for what it meets there. */
export function examineProcess(system: System, pid: number): Presence {
  let presence = look(system, pid);
  for (let attempt = 0; attempt < 3 && presence.kind === 'unsteady'; attempt++) presence = look(system, pid);
  return presence;
}

/** One look: pidfd first, the facts, the pidfd again. */
function look(system: System, pid: number): Presence {
  // No process has such a number; the kernel's EINVAL would look like that for a thread.
  if (pid < 1) return {kind: 'unreadable', error: new SystemError(EINVAL, 'pidfd_open', `pid ${pid}`)};
  const pidfd = native.pidfdOpen(pid);
  if (pidfd === ESRCH) return {kind: 'absent'};
  // A pid that is in use as the id of a thread: EINVAL until Linux 6.8, ENOENT since (pidfd_open(2)).
  if (pidfd === EINVAL || pidfd === ENOENT) return {kind: 'thread'};
  if (pidfd < 0) return {kind: 'unreadable', error: new SystemError(pidfd, 'pidfd_open', `pid ${pid}`)};
  try {
    const identity = identityOf(system, pidfd);
    if (native.isReadable(pidfd) === 1) return {kind: 'ended', identity, ending: readEnding(system, pidfd)};
    const facts = {pid, identity, ...readShown(system, pidfd)};
    return native.isReadable(pidfd) === 1 ? {kind: 'unsteady'} : {kind: 'running', facts};
  } catch (error) {
    if (native.isReadable(pidfd) === 1) return {kind: 'unsteady'};
    return {kind: 'unreadable', error: error as Error};
  } finally {
    native.close(pidfd);
  }
}

/** Who we are, as an owner record names it. */
export interface Self {
  readonly pid: number;
  readonly identity: Identity;
  readonly exe: string;
}

let self: Self | undefined;

/** This process. A fork without exec would inherit the answer, so it is kept for one pid only. */
export function ourselves(system: System): Self {
  if (self?.pid === process.pid) return self;
  const pidfd = check<number>(native.pidfdOpen(process.pid), 'pidfd_open', `pid ${process.pid}`);
  try {
    self = {
      pid: process.pid,
      identity: identityOf(system, pidfd),
      exe: readlinkSync(`${system.procRoot}/self/exe`),
    };
    return self;
  } finally {
    native.close(pidfd);
  }
}

/** Name of the program that a process runs; undefined where that can't be read for certain. For people only: it proves nothing. */
export function commandOf(system: System, pid: number): string | undefined {
  const pidfd = native.pidfdOpen(pid);
  if (pidfd < 0) return undefined;
  try {
    const directory = procDirectory(system, pidfd);
    const {command} = readStat(directory);
    // Not collected in between, so the number was that process's all the time.
    return procDirectory(system, pidfd) === directory ? command : undefined;
  } catch {
    return undefined;
  } finally {
    native.close(pidfd);
  }
}

/** One line for people: `pid 4711 (node)`. */
export function describeProcess(system: System, pid: number): string {
  const command = commandOf(system, pid);
  return command === undefined ? `pid ${pid}` : `pid ${pid} (${command})`;
}

/**
 * Resolves when a process ends, at once when it has; with how it ended, where that can be had, see readEnding. Its
 * death is an event of the loop, not a poll (pidfd_open(2)), and is remembered, see deathSeen.
 */
export async function waitForExit(
  pid: number,
  {signal, system = surroundings()}: {signal?: AbortSignal | undefined; system?: System} = {},
): Promise<Ending | undefined> {
  signal?.throwIfAborted();
  const pidfd = native.pidfdOpen(pid);
  if (pidfd === ESRCH) return undefined;
  check<number>(pidfd, 'pidfd_open', `pid ${pid}`);
  try {
    const identity = identityIfAny(system, pidfd);
    await readable(pidfd, signal);
    const ending = readEnding(system, pidfd);
    if (identity !== undefined) noteDeath(pid, identity, {ending, seen: system.now()});
    return ending;
  } finally {
    native.close(pidfd);
  }
}

/** One incarnation, by the pid that it has in our pid namespace. */
export interface Incarnate {
  readonly pid: number;
  readonly identity: Identity;
}

/** Is this the pidfd of the process of that identity? Undefined when that can't be told. */
function isIncarnation(system: System, pidfd: number, identity: Identity): boolean | undefined {
  // Where both are inodes, that is all: /proc may hide the rest from us.
  const started = identity.startsWith('start:')
    ? startIdentity(system, readStat(procDirectory(system, pidfd)))
    : undefined;
  return isSame(identity, {identity: identityOf(system, pidfd), started});
}

/** A pidfd of one incarnation; `gone` when it has ended, whoever has its pid by now; `unknown` when it can't be told from a later one. */
function openIncarnation(system: System, {pid, identity}: Incarnate): number | 'gone' | 'unknown' {
  const pidfd = native.pidfdOpen(pid);
  // Nobody has the pid, or it is the id of a mere thread: see look().
  if (pidfd === ESRCH || pidfd === EINVAL || pidfd === ENOENT) return 'gone';
  check<number>(pidfd, 'pidfd_open', `pid ${pid}`);
  let same: boolean | undefined = false;
  try {
    same = native.isReadable(pidfd) === 1 ? false : isIncarnation(system, pidfd, identity);
    if (same) return pidfd;
  } catch (error) {
    // It may have ended, and been collected, while we looked.
    if (native.isReadable(pidfd) === 1) same = false;
    else if (hasCode(error, ...HIDDEN)) same = undefined;
    else throw error;
  } finally {
    if (!same) native.close(pidfd);
  }
  return same === false ? 'gone' : 'unknown';
}

/**
 * Resolves when one incarnation has ended, at once when it has: with its death, undefined when that was before. With `unknown`, at once, when
 * it can't be told from a later one. Rejects with signal.reason or SystemError.
 */
export async function untilGone(
  system: System,
  who: Incarnate,
  signal?: AbortSignal,
): Promise<Death | 'unknown' | undefined> {
  signal?.throwIfAborted();
  const pidfd = openIncarnation(system, who);
  if (typeof pidfd !== 'number') return pidfd === 'gone' ? undefined : pidfd;
  try {
    await readable(pidfd, signal);
    const death = {ending: readEnding(system, pidfd), seen: system.now()};
    noteDeath(who.pid, who.identity, death);
    return death;
  } finally {
    native.close(pidfd);
  }
}

/**
 * Ends one incarnation of a process by SIGKILL. Resolves with true when it has ended, at once when it is gone already, whoever has its pid by
 * now; with false, and nothing done, when it can't be told from a later one. Rejects with signal.reason or SystemError (EPERM).
 */
export async function endProcess(
  system: System,
  pid: number,
  identity: Identity,
  signal?: AbortSignal,
): Promise<boolean> {
  const pidfd = openIncarnation(system, {pid, identity});
  if (typeof pidfd !== 'number') return pidfd === 'gone';
  try {
    const sent = native.pidfdSignal(pidfd, constants.signals.SIGKILL);
    if (sent !== ESRCH) check(sent, 'pidfd_send_signal', `pid ${pid}`);
    await readable(pidfd, signal);
    return true;
  } finally {
    native.close(pidfd);
  }
}

/** Without pidfd inodes, a process that was collected has no identity left to read. */
function identityIfAny(system: System, pidfd: number): Identity | undefined {
  try {
    return identityOf(system, pidfd);
  } catch {
    return undefined;
  }
}

/** Resolves when a descriptor becomes readable. */
export function readable(fd: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (act: () => void) => {
      signal?.removeEventListener('abort', aborted);
      if (typeof watch !== 'number') watch.close();
      act();
    };
    const aborted = () => done(() => reject(signal?.reason as Error));
    const watch = native.watch(fd, error =>
      done(() => (error < 0 ? reject(new SystemError(error, 'poll')) : resolve())),
    );
    if (typeof watch === 'number') reject(new SystemError(watch, 'poll'));
    else signal?.addEventListener('abort', aborted, {once: true});
  });
}
