/** Who holds which lock, and who waits for it? Every lock of a file or of the machine, with all that is known of its holders. */
import {kernelPath, onlySuspect, type Suspect, suspectsOf} from './hiding-places.js';
import {type Descriptor, type Survey, type SurveyedLock, surveyFiles, surveyLocks} from './lock-survey.js';
import {type FileId, isOpenOn, type PinnedFile, pinFile} from './mounts.js';
import type {LockRow} from './native.js';
import {pathText} from './path-text.js';
import type {Identity} from './process.js';
import {type System, system as ourSystem} from './system.js';
import {type Gap, gapsOf} from './visibility.js';
import {type WaitLink, waitChain} from './wait-chain.js';

/** A process that has a lock. */
export interface Holder {
  readonly pid: number;
  readonly kind: string;
  readonly mode: 'shared' | 'exclusive';
  /** How we know: `descriptor 17`, `descriptor 3 of thread 4712`, `by exclusion: it has the file mapped`. */
  readonly via: string;
  /** The incarnation that was seen; undefined where the kernel gives pidfds no inodes (before Linux 6.9). */
  readonly identity: Identity | undefined;
}

/** A process that waits for a lock. */
export interface Waiter {
  /** undefined where the kernel does not tell, and nobody is seen waiting (OFD locks). */
  readonly pid: number | undefined;
  readonly kind: string;
  readonly mode: 'shared' | 'exclusive';
  readonly start: bigint;
  readonly end: bigint | undefined;
  /** It waits behind this other waiter, whose request is in its way; undefined: only behind the holders. */
  readonly behind: number | undefined;
}

/** One lock of the table. */
export interface ListedLock extends FileId {
  /** ofd, flock, posix, lease, delegation. */
  readonly kind: string;
  readonly mode: 'shared' | 'exclusive';
  readonly start: bigint;
  /** Last byte; undefined: to the end of the file. */
  readonly end: bigint | undefined;
  /** Every process found that shares the description that holds it. Empty: the table knows it, no process shows it. */
  readonly holders: readonly Holder[];
  /** Where it may be when no process shows it. */
  readonly suspects: readonly Suspect[];
  readonly waiters: readonly Waiter[];
  /** Whom the table names: the process that took it, which may have ended long ago. undefined for OFD locks. */
  readonly taker: number | undefined;
  /** Where a holder's descriptor leads to, as the kernel prints it (a name that is not UTF-8 as `\xNN`); undefined when nobody shows it. */
  readonly path: string | undefined;
}

/** A list, and what could not be looked at. */
export interface LockList {
  readonly locks: readonly ListedLock[];
  /** What was not seen; holders may be missing when there is anything. */
  readonly gaps: readonly Gap[];
  /** All processes were looked at, not only those that the table names. */
  readonly everywhere: boolean;
  /** What the holders themselves wait for, and those who hold that, and so on. */
  readonly chain: readonly WaitLink[];
}

const KINDS: Record<string, string> = {
  OFDLCK: 'ofd',
  FLOCK: 'flock',
  POSIX: 'posix',
  LEASE: 'lease',
  DELEG: 'delegation',
};

/** The kind of a lock as Locksmith calls it. */
export function kindOf({kind}: Pick<LockRow, 'kind'>): string {
  return KINDS[kind] ?? kind.toLowerCase();
}

function modeOf({access}: LockRow): 'shared' | 'exclusive' {
  return access === 'READ' ? 'shared' : 'exclusive';
}

function identityOf({pidfdInode}: Descriptor): Identity | undefined {
  return pidfdInode === 0n ? undefined : `pidfd:${pidfdInode}`;
}

function describe({fd, thread}: Descriptor): string {
  return thread === undefined ? `${fd}` : `${fd} of thread ${thread}`;
}

function holderOf({row}: SurveyedLock, descriptors: readonly [Descriptor, ...Descriptor[]]): Holder {
  const [first] = descriptors;
  return {
    pid: first.pid,
    kind: kindOf(row),
    mode: modeOf(row),
    via: `descriptor ${descriptors.map(describe).join(' and ')}`,
    identity: identityOf(first),
  };
}

/** One holder a process, whatever the number of its descriptors. */
function holdersOf(lock: SurveyedLock): Holder[] {
  const byPid = new Map<number, [Descriptor, ...Descriptor[]]>();
  for (const descriptor of lock.shownBy) {
    const known = byPid.get(descriptor.pid);
    if (known) known.push(descriptor);
    else byPid.set(descriptor.pid, [descriptor]);
  }
  return Array.from(byPid.values(), each => holderOf(lock, each));
}

/** Who waits for OFD locks on a file: the table names nobody, but a thread that sits in the call can be seen. */
function ofdWaiters(system: System, {descriptors}: Survey): (file: FileId) => number[] {
  const waiting = descriptors.filter(({waitingThread}) => waitingThread !== undefined);
  if (waiting.length === 0) return () => [];
  const isOn = isOpenOn(system);
  return file => [...new Set(waiting.filter(each => isOn(each, file)).map(({pid}) => pid))];
}

/** With several nameless waiters it is known who they are, but not who is which, unless they ask for the same. */
function namesFor(nameless: readonly LockRow[], pids: readonly number[]): ReadonlyMap<LockRow, number> {
  const same = nameless.every(row => nameless[0] !== undefined && sayTheSame(row, nameless[0]));
  if (pids.length !== nameless.length || !(same || pids.length === 1)) return new Map();
  return new Map(nameless.map((row, index) => [row, pids[index] ?? 0]));
}

function sayTheSame(a: LockRow, b: LockRow): boolean {
  return a.access === b.access && a.start === b.start && a.end === b.end;
}

function waitersOf(
  {row: {major, minor, inode}, waiting}: SurveyedLock,
  find: (file: FileId) => number[],
): Waiter[] {
  if (waiting.length === 0) return [];
  const nameless = waiting.filter(({pid}) => pid <= 0);
  const names =
    nameless.length === 0 ? new Map<LockRow, number>() : namesFor(nameless, find({major, minor, inode}));
  const pidOf = (row: LockRow) => (row.pid > 0 ? row.pid : names.get(row));
  return waiting.map((row, index) => {
    const inFront = waiting.slice(0, index).findLast(({depth}) => depth === row.depth - 1);
    return {
      pid: pidOf(row),
      kind: kindOf(row),
      mode: modeOf(row),
      start: row.start,
      end: row.end,
      behind: inFront && pidOf(inFront),
    };
  });
}

/** Who must have a lock that no process shows, because nobody else can. */
function holdersByExclusion(
  {row}: SurveyedLock,
  suspects: readonly Suspect[],
  gaps: readonly Gap[],
): Holder[] {
  const only = gaps.length === 0 ? onlySuspect(suspects) : undefined;
  if (!only) return [];
  const via = `by exclusion: ${only.because}`;
  return [{pid: only.pid, kind: kindOf(row), mode: modeOf(row), via, identity: undefined}];
}

/** Makes the list of what a survey saw. `path`: what the kernel calls the one file that it was about. */
export function listSurveyed(system: System, survey: Survey, path?: Buffer): LockList {
  const gaps = gapsOf(system, survey);
  const find = ofdWaiters(system, survey);
  const name = path && pathText(path);
  const list = (lock: SurveyedLock): ListedLock => {
    const {row, shownBy} = lock;
    const lost = shownBy.length === 0;
    const suspects = lost ? suspectsOf(system, survey.places, {id: row, path}) : [];
    return {
      kind: kindOf(row),
      mode: modeOf(row),
      major: row.major,
      minor: row.minor,
      inode: row.inode,
      start: row.start,
      end: row.end,
      holders: lost ? holdersByExclusion(lock, suspects, gaps) : holdersOf(lock),
      suspects,
      waiters: waitersOf(lock, find),
      taker: row.pid > 0 ? row.pid : undefined,
      path: name ?? shownBy.find(each => each.path !== '')?.path,
    };
  };
  const locks = survey.locks.map(list);
  const pids = locks.flatMap(({holders}) => holders.map(({pid}) => pid));
  return {locks, gaps, everywhere: survey.everywhere, chain: waitChain(survey, pids)};
}

/** What `listLocks` looks at. */
export interface ListOptions {
  /** One file, by a path as it was typed or as bytes; none: all locks of the machine. */
  readonly path?: string | Buffer;
  /**
   * Look at all processes (the default), so that nobody who shares a lock is left out. Otherwise the look ends with the
   * processes that the table names, where these show every lock: much faster on a machine with many processes.
   */
  readonly everywhere?: boolean;
  /** Processes to look at first, beside those that the table names. */
  readonly likely?: readonly number[];
  readonly system?: System;
}

/** Lists the locks of one file, or of all, with holders, waiters and ranges. A row may be missing while others come and go: that a file is free, only a lock can prove. Rejects with SystemError. */
export async function listLocks({
  path,
  everywhere = true,
  likely = [],
  system = ourSystem(),
}: ListOptions = {}): Promise<LockList> {
  if (path === undefined) return listSurveyed(system, await surveyLocks(system, {everywhere, paths: true}));
  using file = pinFile(system, path);
  return await listLocksOf(system, file, {everywhere, likely});
}

/** The same for one file that was found already. */
export async function listLocksOf(
  system: System,
  file: PinnedFile,
  options: Pick<ListOptions, 'everywhere' | 'likely'>,
): Promise<LockList> {
  const survey = await surveyFiles(system, [file.id], options);
  return listSurveyed(system, survey, kernelPath(file.path));
}
