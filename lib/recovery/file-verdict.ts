/** Who holds a file that no lock of ours guards? Any file of the system: the lock table, its holders, a test of each kind of lock, and the bit that somebody else may have made for it in the kernel. */
import {constants, statSync} from 'node:fs';
import {resolve} from 'node:path';
import {LockError} from '../errors.js';
import type {Suspect} from '../os/hiding-places.js';
import type {LockBit} from '../os/lock-bit.js';
import {LockFile, type LockKind} from '../os/lock-file.js';
import {type Holder, type ListedLock, listLocks, type LockList, type Waiter} from '../os/lock-table.js';
import {type PinnedFile, pinFile} from '../os/mounts.js';
import {pathText} from '../os/path-text.js';
import {describeProcess} from '../os/process.js';
import {type System, system as ourSystem} from '../os/system.js';
import {hasCode, SystemError} from '../os/system-error.js';
import type {Gap} from '../os/visibility.js';
import type {WaitLink} from '../os/wait-chain.js';
import {examineClaim, readSetBit} from './claim.js';
import {examineHolders, type HoldersSeen} from './holders.js';
import type {Evidence, Existence} from './incarnation.js';
import {gapEvidence, seeMore, suspectText} from './incomplete.js';
import type {ExamineOptions, State, Verdict} from './verdict.js';

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
  /** Where a lock may be that no process shows. */
  readonly suspects: readonly Suspect[];
  readonly waiters: readonly Waiter[];
  readonly evidence: readonly Evidence[];
  readonly complete: boolean;
  /** What could not be looked at. */
  readonly missing: readonly Gap[];
  readonly next: readonly string[];
}

/** What a test of one kind of lock gave; undefined: it could not be made. */
interface Test {
  readonly free: boolean | undefined;
  readonly evidence: Evidence;
}

/** Finds the file and keeps it, so that all that follows is about one inode. */
function pin(system: System, target: string | Buffer, path: string): PinnedFile {
  try {
    return pinFile(system, target);
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

function testKind({path: pinned}: PinnedFile, path: string, kind: LockKind & keyof typeof TESTS): Test {
  const {call, isFree} = TESTS[kind];
  const looked = `${path} (${call})`;
  try {
    using file = LockFile.follow(pinned, {kind, flags: constants.O_RDONLY | constants.O_NONBLOCK});
    const free = isFree(file);
    const saw = free ? 'nobody is in the way' : 'a lock is in the way';
    return {
      free,
      evidence: {looked, saw, follows: free ? `nobody holds a lock of that kind` : 'somebody holds it'},
    };
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    const lease = error.code === 'EAGAIN';
    return {
      free: lease ? false : undefined,
      evidence: {
        looked,
        saw: lease ? 'a lease is in the way of opening it' : error.message.replaceAll(pinned, path),
        follows: lease ? 'somebody holds it' : 'that it is free can not be proven',
      },
    };
  }
}

/** Only what can be opened without any effect is opened: a FIFO or a device may wait for that, or act on it. */
function testLocks(file: PinnedFile, path: string): Test[] {
  const stat = statSync(file.path);
  if (stat.isDirectory()) return [testKind(file, path, 'flock')];
  if (stat.isFile()) return [testKind(file, path, 'ofd'), testKind(file, path, 'flock')];
  const evidence = {
    looked: path,
    saw: 'neither a regular file nor a directory',
    follows: 'it is not opened, so that it is free can not be proven',
  };
  return [{free: undefined, evidence}];
}

/** One look at the locks of a file. */
interface Look {
  readonly list: LockList;
  readonly holders: HoldersSeen;
  /** Made only when no lock is seen. */
  readonly tests: readonly Test[];
}

async function look(system: System, file: PinnedFile, path: string, everywhere: boolean): Promise<Look> {
  const list = await listLocks({path: file.path, everywhere, system});
  const holders = examineHolders(
    system,
    list.locks.flatMap(lock => lock.holders),
  );
  const tests = list.locks.length > 0 ? [] : testLocks(file, path);
  return {list, holders, tests};
}

/** Table, holders and tests are of different moments: what does not fit together has changed in between. */
function isUnsettled({list, holders, tests}: Look): boolean {
  if (list.locks.length === 0) return tests.some(({free}) => free === false);
  return list.locks.some(lock => lock.holders.length === 0) || holders.state === undefined;
}

/** Looks again while things change, and at everybody when those who were seen can't run. */
async function lookSettled(
  system: System,
  file: PinnedFile,
  path: string,
  everywhere: boolean,
): Promise<Look> {
  let seen = await look(system, file, path, everywhere);
  // The table may hide what descriptors show, so a lock that it does not have is looked for with everybody.
  for (let attempt = 0; attempt < 3 && isUnsettled(seen); attempt++)
    seen = await look(system, file, path, everywhere || seen.list.locks.length === 0);
  if (seen.holders.state === 'FROZEN' && !seen.list.everywhere) return lookSettled(system, file, path, true);
  return seen;
}

function rangeText({start, end}: ListedLock): string {
  return start === 0n && end === undefined ? 'whole file' : `bytes ${start} to ${end ?? 'the end'}`;
}

/** A lock that nobody shows: who may have it, and whom the table names, which proves nothing. */
function lostEvidence(lock: ListedLock): Evidence {
  const taken = lock.taker === undefined ? [] : [`the table names pid ${lock.taker}, which took it once`];
  const saw = [
    `${lock.kind}, ${lock.mode}, ${rangeText(lock)}: held, and no process shows it`,
    ...taken,
    ...lock.suspects.map(suspectText),
  ];
  return {
    looked: 'lock table and descriptors (/proc/locks, /proc/PID/fdinfo)',
    saw: saw.join('; '),
    follows: 'somebody holds it who can not be seen',
  };
}

function lockEvidence(system: System, lock: ListedLock): Evidence {
  if (lock.holders.length === 0) return lostEvidence(lock);
  const who = [...new Set(lock.holders.map(({pid, via}) => `${describeProcess(system, pid)}, ${via}`))].join(
    '; ',
  );
  const strange = lock.taker !== undefined && lock.holders.every(({pid}) => pid !== lock.taker);
  const taker = strange ? ` (taken once by pid ${lock.taker}, which is no longer among them)` : '';
  return {
    looked: 'lock table and descriptors (/proc/locks, /proc/PID/fdinfo)',
    saw: `${lock.kind}, ${lock.mode}, ${rangeText(lock)}, held by ${who}${taker}`,
    follows: 'the lock is in their hands',
  };
}

/** That the search ended with those whom the table names. */
function reachEvidence({locks, everywhere}: LockList): Evidence[] {
  if (everywhere || locks.length === 0) return [];
  return [
    {
      looked: 'descriptors of the processes that the lock table names, and of their children',
      saw: 'they show every lock',
      follows: 'whether others share them was not looked at: --all does',
    },
  ];
}

function chainEvidence(system: System, {pid, kind, file, heldBy}: WaitLink): Evidence {
  const {major, minor, inode} = file;
  const holders = heldBy.map(each => describeProcess(system, each)).join(', ') || 'somebody who is not seen';
  return {
    looked: 'lock table, for what the holders wait for themselves',
    saw: `${describeProcess(system, pid)} waits for a lock (${kind}) on ${major.toString(16)}:${minor.toString(16)}:${inode}, held by ${holders}`,
    follows: 'the lock here is not given back before that one is',
  };
}

/** Who holds the file itself. */
function judgeLooks({list: {locks}, holders, tests}: Look): State {
  const lost = locks.some(lock => lock.holders.length === 0);
  if (holders.state === 'ALIVE') return 'ALIVE';
  if (holders.state === 'FROZEN') return lost ? 'UNKNOWN' : 'FROZEN';
  return locks.length === 0 && tests.every(({free}) => free === true) ? 'FREE' : 'UNKNOWN';
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
  path: string,
  state: State,
  pids: readonly number[],
  missing: readonly Gap[],
  {bit, epoch, setter}: Stray,
): string[] {
  const own: Record<State, string[]> = {
    FREE: [],
    ALIVE: [`wait until it is given back by pid ${pids.join(', pid ')}`],
    FROZEN: [`let it go on: kill -CONT ${pids.join(' ')}`],
    DEAD: [`locksmith recover ${path}`],
    UNKNOWN: [],
  };
  const force = `by force, audited: locksmith break-glass ${path} --owner ${bit?.owner?.pid} --epoch ${epoch} --reason "..."`;
  const forced = setter === 'running' || setter === 'frozen' ? [force] : [];
  return [...seeMore(missing, path), ...own[state], ...forced];
}

/** How a file is looked at. */
export interface ExamineFileOptions extends ExamineOptions {
  readonly system?: System;
  /** The bit in the kernel that somebody else has made for it. */
  readonly bit?: LockBit | undefined;
}

/** A test that could not be made. */
function testGaps(tests: readonly Test[]): Gap[] {
  return tests
    .filter(({free}) => free === undefined)
    .map(({evidence: {looked, saw}}) => ({what: looked, why: saw, visibleTo: null}));
}

/** Looks at any file, and at the kernel's bit of its name if there is one. The path may be bytes: names need not be UTF-8. Rejects with ERR_CONFIG_MISSING, SystemError. */
export async function examineFile(
  target: string | Buffer,
  {system = ourSystem(), bit, everywhere = false}: ExamineFileOptions = {},
): Promise<FileVerdict> {
  const path = typeof target === 'string' ? resolve(target) : pathText(target);
  using file = pin(system, target, path);
  const seen = await lookSettled(system, file, path, everywhere);
  const {list, tests} = seen;
  const holders = list.locks.flatMap(lock => lock.holders);
  const stray = bit ? examineStray(system, bit) : NO_STRAY;
  const state = judge(judgeLooks(seen), stray.setter);
  const setters = stray.bit?.owner ? [stray.bit.owner.pid] : [];
  // That it is free, the tests alone prove; nobody else need be asked.
  const missing = [...(state === 'FREE' ? [] : list.gaps), ...testGaps(tests)];
  return {
    name: null,
    file: path,
    hot: stray.setter !== undefined,
    state,
    epoch: stray.epoch,
    owner: null,
    bit: stray.bit,
    holders,
    suspects: list.locks.flatMap(lock => lock.suspects),
    waiters: list.locks.flatMap(lock => lock.waiters),
    evidence: [
      ...stray.evidence,
      ...list.locks.map(lock => lockEvidence(system, lock)),
      ...seen.holders.evidence,
      ...list.chain.map(link => chainEvidence(system, link)),
      ...tests.map(({evidence}) => evidence),
      ...reachEvidence(list),
      ...gapEvidence(list.gaps),
    ],
    complete: missing.length === 0,
    missing,
    next: advise(path, state, [...new Set([...setters, ...holders.map(({pid}) => pid)])], missing, stray),
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
