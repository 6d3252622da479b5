/** Which incarnation of which process is this, and does it still exist? */
import {existsSync, readFileSync, readlinkSync} from 'node:fs';
import {native} from './native.js';
import {check, errnoOf, SystemError} from './system-error.js';
import type {System} from './system.js';

const ESRCH = -errnoOf('ESRCH');
const EINVAL = -errnoOf('EINVAL');

/**
 * Names one incarnation of a process within one boot: `pidfd:INODE` where pidfds have inodes of their own
 * (Linux >= 6.9), else `start:TICKS`, which two processes that got one pid within 10 ms may share.
 */
export type Identity = string;

/** What /proc tells about a process, each read while its pidfd was open. */
export interface ProcessFacts {
  readonly pid: number;
  readonly identity: Identity;
  /** One letter as in proc(5): R S D Z T t X I. */
  readonly state: string;
  readonly command: string;
  /** Why it can not run, undefined when nothing keeps it from running. */
  readonly frozen: string | undefined;
}

/** What was found under a pid. */
export type Presence =
  | {readonly kind: 'absent'}
  /** The pid is now a mere thread of another process. */
  | {readonly kind: 'thread'}
  | {readonly kind: 'ended'; readonly identity: Identity}
  | {readonly kind: 'running'; readonly facts: ProcessFacts}
  /** It ended, and perhaps its pid was reused, while we looked. */
  | {readonly kind: 'unsteady'}
  | {readonly kind: 'unreadable'; readonly error: Error};

function readStat(system: System, pid: number): {command: string; state: string; startTime: string} {
  const text = readFileSync(`${system.procRoot}/${pid}/stat`, 'utf8');
  const close = text.lastIndexOf(')');
  const fields = text.slice(close + 2).split(' ');
  return {
    command: text.slice(text.indexOf('(') + 1, close),
    state: fields[0] ?? '?',
    startTime: fields[19] ?? '?',
  };
}

function identityOf(system: System, pid: number, pidfd: number): Identity {
  const inode = check<bigint>(native.pidfdInode(pidfd), 'fstat', `pidfd of ${pid}`);
  return inode === 0n ? `start:${readStat(system, pid).startTime}` : `pidfd:${inode}`;
}

/** The cgroup freezer that keeps a process from running (cgroups(7)): v2 says so in cgroup.events, v1 in freezer.state. */
function frozenByCgroup(system: System, pid: number): string | undefined {
  const groups = readFileSync(`${system.procRoot}/${pid}/cgroup`, 'utf8').trimEnd().split('\n');
  for (const group of groups) {
    const [, controllers = '', path = ''] = /^\d+:([^:]*):(.*)$/.exec(group) ?? [];
    if (
      controllers === '' &&
      reads(['/sys/fs/cgroup', '/sys/fs/cgroup/unified'], path, 'cgroup.events', /^frozen 1$/m)
    ) {
      return `its cgroup ${path} is frozen`;
    }
    if (
      controllers === 'freezer' &&
      reads(['/sys/fs/cgroup/freezer'], path, 'freezer.state', /^(FROZEN|FREEZING)/)
    ) {
      return `its cgroup ${path} is frozen (v1)`;
    }
  }
  return undefined;
}

function reads(mounts: readonly string[], path: string, file: string, pattern: RegExp): boolean {
  return mounts.some(mount => {
    const name = `${mount}${path}/${file}`;
    return existsSync(name) && pattern.test(readFileSync(name, 'utf8'));
  });
}

function frozenBecause(system: System, pid: number, state: string): string | undefined {
  if (state === 'T') return 'it is stopped by a signal (state T)';
  if (state === 't') return 'a debugger has stopped it (state t)';
  return frozenByCgroup(system, pid);
}

function readFacts(system: System, pid: number, pidfd: number): ProcessFacts {
  const {command, state} = readStat(system, pid);
  return {
    pid,
    identity: identityOf(system, pid, pidfd),
    state,
    command,
    frozen: frozenBecause(system, pid, state),
  };
}

/** Looks at a pid of our own pid namespace, again if the process ends just then. Never throws for what it meets there. */
export function examineProcess(system: System, pid: number): Presence {
  let presence = look(system, pid);
  for (let attempt = 0; attempt < 3 && presence.kind === 'unsteady'; attempt++) presence = look(system, pid);
  return presence;
}

/** One look: pidfd first, the facts, the pidfd again. */
function look(system: System, pid: number): Presence {
  const pidfd = native.pidfdOpen(pid);
  if (pidfd === ESRCH) return {kind: 'absent'};
  // A pid that is in use as the id of a thread: EINVAL until Linux 6.8, ENOENT since (pidfd_open(2)).
  if (pidfd === EINVAL || pidfd === -errnoOf('ENOENT')) return {kind: 'thread'};
  if (pidfd < 0) return {kind: 'unreadable', error: new SystemError(pidfd, 'pidfd_open', `pid ${pid}`)};
  try {
    if (native.isReadable(pidfd) === 1) return {kind: 'ended', identity: identityOf(system, pid, pidfd)};
    const facts = readFacts(system, pid, pidfd);
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
      identity: identityOf(system, process.pid, pidfd),
      exe: readlinkSync(`${system.procRoot}/self/exe`),
    };
    return self;
  } finally {
    native.close(pidfd);
  }
}

/** Name of the program that a process runs; undefined when it is gone. For people only: it proves nothing. */
export function commandOf(system: System, pid: number): string | undefined {
  try {
    return readStat(system, pid).command;
  } catch {
    return undefined;
  }
}

/** One line for people: `pid 4711 (node)`. */
export function describeProcess(system: System, pid: number): string {
  const command = commandOf(system, pid);
  return command === undefined ? `pid ${pid}` : `pid ${pid} (${command})`;
}

/** Resolves when a process ends; at once when it has. Its death is an event of the loop, not a poll (pidfd_open(2)). */
export async function waitForExit(
  pid: number,
  {signal}: {signal?: AbortSignal | undefined} = {},
): Promise<void> {
  signal?.throwIfAborted();
  const pidfd = native.pidfdOpen(pid);
  if (pidfd === ESRCH) return;
  check<number>(pidfd, 'pidfd_open', `pid ${pid}`);
  try {
    await readable(pidfd, signal);
  } finally {
    native.close(pidfd);
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
