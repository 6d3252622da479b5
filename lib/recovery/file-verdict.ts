/** Who holds a file that no lock of ours guards? Any file of the system: the lock table, its holders, a test of each kind of lock, and the bit that somebody else may have made for it in the kernel. */
import {constants, type Stats, statSync} from 'node:fs';
import {resolve} from 'node:path';
import {LockError} from '../errors.js';
import type {LockBit} from '../os/lock-bit.js';
import {LockFile, type LockKind} from '../os/lock-file.js';
import {type Holder, type ListedLock, listLocks, type Waiter} from '../os/lock-table.js';
import {describeProcess, examineProcess, type ProcessFacts} from '../os/process.js';
import {type System, system as ourSystem} from '../os/system.js';
import {hasCode, SystemError} from '../os/system-error.js';
import {examineClaim, readSetBit} from './claim.js';
import type {Evidence, Existence} from './incarnation.js';
import type {State, Verdict} from './verdict.js';

/** A verdict without a lock of ours: there is no record. Only the kernel can tell that somebody is dead, of a bit that he set. */
export interface FileVerdict {
  readonly name: null;
  readonly file: string;
  readonly hot: boolean;
  readonly state: State;
  /** Of the kernel's bit. */
  readonly epoch: number | null;
  readonly owner: null;
  /** The kernel's bit of the file's name, where somebody has made one. */
  readonly bit: Verdict['bit'] | null;
  readonly holders: readonly Holder[];
  readonly waiters: readonly Waiter[];
  readonly evidence: readonly Evidence[];
  readonly complete: boolean;
  readonly next: readonly string[];
}

/** What a test of one kind of lock gave; undefined: it could not be made. */
interface Test {
  readonly free: boolean | undefined;
  readonly evidence: Evidence;
}

function statFile(path: string): Stats {
  try {
    return statSync(path);
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR'))
      throw new LockError('ERR_CONFIG_MISSING', `there is no file ${path}`, {path});
    throw error;
  }
}

/** The test itself: true when nobody is in the way. */
const TESTS: Record<'ofd' | 'flock', {readonly call: string; readonly isFree: (file: LockFile) => boolean}> =
  {
    ofd: {call: 'F_OFD_GETLK', isFree: file => file.test('exclusive') === undefined},
    // flock(2) has no call that only tests. The one proof is to take the lock on a description of our own and to give
    // it back at once. It is tried only when the table shows no flock, so it can meet nobody but a holder that is hidden.
    flock: {
      call: 'flock, given back at once',
      isFree(file) {
        const free = file.try('exclusive');
        if (free) file.unlock();
        return free;
      },
    },
  };

function testKind(path: string, kind: LockKind & keyof typeof TESTS): Test {
  const {call, isFree} = TESTS[kind];
  const looked = `${path} (${call})`;
  try {
    using file = LockFile.follow(path, {kind, flags: constants.O_RDONLY | constants.O_NONBLOCK});
    const free = isFree(file);
    const saw = free ? 'nobody is in the way' : 'a lock is in the way';
    return {
      free,
      evidence: {looked, saw, follows: free ? `nobody holds a lock of that kind` : 'somebody holds it'},
    };
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    return {
      free: undefined,
      evidence: {looked, saw: error.message, follows: 'that it is free can not be proven'},
    };
  }
}

/** Only what can be opened without any effect is opened: a FIFO or a device may wait for that, or act on it. */
function testLocks(path: string, stat: Stats, locks: readonly ListedLock[]): Test[] {
  if (locks.length > 0) return [];
  if (stat.isDirectory()) return [testKind(path, 'flock')];
  if (stat.isFile()) return [testKind(path, 'ofd'), testKind(path, 'flock')];
  const evidence = {
    looked: path,
    saw: 'neither a regular file nor a directory',
    follows: 'it is not opened, so that it is free can not be proven',
  };
  return [{free: undefined, evidence}];
}

function lockEvidence(system: System, {kind, mode, start, end, holders}: ListedLock): Evidence {
  const range = start === 0n && end === undefined ? 'whole file' : `bytes ${start} to ${end ?? 'the end'}`;
  const who = [...new Set(holders.map(({pid}) => describeProcess(system, pid)))].join(', ');
  return {
    looked: 'lock table (/proc/locks, then /proc/PID/fdinfo)',
    saw: `${kind}, ${mode}, ${range}, held by ${who || 'a process that nobody shows'}`,
    follows: who ? 'the lock is in their hands' : 'somebody holds it who can not be seen',
  };
}

function scanEvidence(unreadable: readonly number[]): Evidence[] {
  if (unreadable.length === 0) return [];
  return [
    {
      looked: 'descriptors of all processes',
      saw: `${unreadable.length} processes may not be read by this user`,
      follows: 'there may be holders that are not listed',
    },
  ];
}

function holderEvidence({pid, identity, command, state, frozen}: ProcessFacts): Evidence {
  return {
    looked: `holder pid ${pid} (${identity})`,
    saw: `${command} exists, ${frozen ?? `state ${state}`}`,
    follows: frozen === undefined ? 'it keeps its lock' : 'it keeps its lock, but can not run',
  };
}

/** Who holds the file itself. */
function judgeLocks(held: boolean, running: readonly ProcessFacts[], tests: readonly Test[]): State {
  if (running.length > 0) return running.every(({frozen}) => frozen !== undefined) ? 'FROZEN' : 'ALIVE';
  return !held && tests.every(({free}) => free === true) ? 'FREE' : 'UNKNOWN';
}

/** What the kernel's bit adds. */
interface Stray {
  readonly bit: FileVerdict['bit'];
  readonly epoch: number | null;
  /** Of whoever set it; undefined when it is clear. */
  readonly setter: Existence | undefined;
  readonly evidence: readonly Evidence[];
}

const NO_STRAY: Stray = {bit: null, epoch: null, setter: undefined, evidence: []};

function examineStray(system: System, bit: LockBit): Stray {
  const {kind, path} = bit;
  const value = bit.read();
  const set = readSetBit(bit);
  const shown = {path, kind, value, owner: set.owner ?? null};
  const looked = `bit ${path}`;
  if (value === 0) {
    const evidence = {looked, saw: `0, epoch ${set.epoch}`, follows: 'nobody has set it'};
    return {bit: shown, epoch: set.epoch, setter: undefined, evidence: [evidence]};
  }
  const {existence, evidence} = examineClaim(system, set, {state: 'unreadable', why: 'there is none'});
  const hot = {looked, saw: `1, epoch ${set.epoch}`, follows: 'the file is HOT'};
  return {bit: shown, epoch: set.epoch, setter: existence, evidence: [hot, ...evidence]};
}

const SETTER_STATE: Record<Existence, State> = {
  running: 'ALIVE',
  frozen: 'FROZEN',
  gone: 'DEAD',
  unknown: 'UNKNOWN',
};

/** A holder of the file who lives counts before a bit whose setter is dead. */
function judge(locks: State, setter: Existence | undefined): State {
  if (setter === undefined) return locks;
  return setter === 'gone' && locks !== 'FREE' ? locks : SETTER_STATE[setter];
}

function advise(
  system: System,
  path: string,
  state: State,
  pids: readonly number[],
  complete: boolean,
  {bit, epoch, setter}: Stray,
): string[] {
  const asRoot = complete || system.uid === 0 ? [] : [`see more as root: sudo locksmith explain ${path}`];
  const own: Record<State, string[]> = {
    FREE: [],
    ALIVE: [`wait until it is given back by pid ${pids.join(', pid ')}`],
    FROZEN: [`let it go on: kill -CONT ${pids.join(' ')}`],
    DEAD: [`locksmith recover ${path}`],
    UNKNOWN: [],
  };
  const force = `by force, audited: locksmith break-glass ${path} --owner ${bit?.owner?.pid} --epoch ${epoch} --reason "..."`;
  const forced = setter === 'running' || setter === 'frozen' ? [force] : [];
  return [...asRoot, ...own[state], ...forced];
}

/** Looks at any file, and at the kernel's bit of its name if there is one. Throws ERR_CONFIG_MISSING, SystemError. */
export async function examineFile(
  target: string,
  system: System = ourSystem(),
  bit?: LockBit,
): Promise<FileVerdict> {
  const path = resolve(target);
  const stat = statFile(path);
  const {locks, unreadable} = await listLocks({path, system});
  const tests = testLocks(path, stat, locks);
  const holders = locks.flatMap(lock => lock.holders);
  const pids = [...new Set(holders.map(({pid}) => pid))];
  const present = pids.map(pid => examineProcess(system, pid));
  const running = present.flatMap(presence => (presence.kind === 'running' ? [presence.facts] : []));
  const stray = bit ? examineStray(system, bit) : NO_STRAY;
  const state = judge(judgeLocks(locks.length > 0, running, tests), stray.setter);
  const setters = stray.bit?.owner ? [stray.bit.owner.pid] : [];
  const complete = unreadable.length === 0 && tests.every(({free}) => free !== undefined);
  return {
    name: null,
    file: path,
    hot: stray.setter !== undefined,
    state,
    epoch: stray.epoch,
    owner: null,
    bit: stray.bit,
    holders,
    waiters: locks.flatMap(lock => lock.waiters),
    evidence: [
      ...stray.evidence,
      ...locks.map(lock => lockEvidence(system, lock)),
      ...running.map(holderEvidence),
      ...tests.map(({evidence}) => evidence),
      ...scanEvidence(unreadable),
    ],
    complete,
    next: advise(system, path, state, [...new Set([...setters, ...pids])], complete, stray),
  };
}

/** The verdict in one sentence. */
export function summarizeFile({file, state, holders, bit}: FileVerdict): string {
  if (bit?.owner) {
    const life = bit.owner.alive ? 'lives' : 'is proven dead';
    return `${file} is guarded by no lock of Locksmith yet, but is HOT: pid ${bit.owner.pid}, which ${life}, set its bit in the kernel.`;
  }
  const pids = [...new Set(holders.map(({pid}) => pid))];
  const who = `pid ${pids.join(', pid ')}`;
  const sentences: Record<Exclude<State, 'DEAD'>, string> = {
    FREE: 'nobody has a lock on it.',
    ALIVE: `it is locked by ${who}, alive.`,
    FROZEN: `it is locked by ${who}, alive but not able to run.`,
    UNKNOWN: 'whether somebody has a lock on it is unknown.',
  };
  return `${file} is guarded by no lock of Locksmith; ${sentences[state === 'DEAD' ? 'UNKNOWN' : state]}`;
}
