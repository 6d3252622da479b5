/** Who holds a file that no lock of ours guards? Any file of the system: the lock table, its holders, and a test of each kind of lock. */
import {constants, type Stats, statSync} from 'node:fs';
import {resolve} from 'node:path';
import {LockError} from '../errors.js';
import {LockFile, type LockKind} from '../os/lock-file.js';
import {type Holder, type ListedLock, listLocks, type Waiter} from '../os/lock-table.js';
import {describeProcess, examineProcess, type ProcessFacts} from '../os/process.js';
import {type System, system as ourSystem} from '../os/system.js';
import {hasCode, SystemError} from '../os/system-error.js';
import type {Evidence} from './incarnation.js';
import type {State} from './verdict.js';

/** A verdict without a lock of ours: there is no bit and no record, so nobody can be proven dead. */
export interface FileVerdict {
  readonly name: null;
  readonly file: string;
  readonly hot: false;
  readonly state: Exclude<State, 'DEAD'>;
  readonly epoch: null;
  readonly owner: null;
  readonly bit: null;
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

function judge(
  held: boolean,
  running: readonly ProcessFacts[],
  tests: readonly Test[],
): FileVerdict['state'] {
  if (running.length > 0) return running.every(({frozen}) => frozen !== undefined) ? 'FROZEN' : 'ALIVE';
  return !held && tests.every(({free}) => free === true) ? 'FREE' : 'UNKNOWN';
}

function advise(
  system: System,
  path: string,
  state: FileVerdict['state'],
  pids: readonly number[],
  complete: boolean,
): string[] {
  const asRoot = complete || system.uid === 0 ? [] : [`see more as root: sudo locksmith explain ${path}`];
  const own: Record<FileVerdict['state'], string[]> = {
    FREE: [],
    ALIVE: [`wait until it is given back by pid ${pids.join(', pid ')}`],
    FROZEN: [`let it go on: kill -CONT ${pids.join(' ')}`],
    UNKNOWN: [],
  };
  return [...asRoot, ...own[state]];
}

/** Looks at any file. Throws ERR_CONFIG_MISSING, SystemError. */
export async function examineFile(target: string, system: System = ourSystem()): Promise<FileVerdict> {
  const path = resolve(target);
  const stat = statFile(path);
  const {locks, unreadable} = await listLocks({path, system});
  const tests = testLocks(path, stat, locks);
  const holders = locks.flatMap(lock => lock.holders);
  const pids = [...new Set(holders.map(({pid}) => pid))];
  const present = pids.map(pid => examineProcess(system, pid));
  const running = present.flatMap(presence => (presence.kind === 'running' ? [presence.facts] : []));
  const state = judge(locks.length > 0, running, tests);
  const complete = unreadable.length === 0 && tests.every(({free}) => free !== undefined);
  return {
    name: null,
    file: path,
    hot: false,
    state,
    epoch: null,
    owner: null,
    bit: null,
    holders,
    waiters: locks.flatMap(lock => lock.waiters),
    evidence: [
      ...locks.map(lock => lockEvidence(system, lock)),
      ...running.map(holderEvidence),
      ...tests.map(({evidence}) => evidence),
      ...scanEvidence(unreadable),
    ],
    complete,
    next: advise(system, path, state, pids, complete),
  };
}

/** The verdict in one sentence. */
export function summarizeFile({file, state, holders}: FileVerdict): string {
  const pids = [...new Set(holders.map(({pid}) => pid))];
  const who = `pid ${pids.join(', pid ')}`;
  const sentences: Record<FileVerdict['state'], string> = {
    FREE: 'nobody has a lock on it.',
    ALIVE: `it is locked by ${who}, alive.`,
    FROZEN: `it is locked by ${who}, alive but not able to run.`,
    UNKNOWN: 'whether somebody has a lock on it is unknown.',
  };
  return `${file} is guarded by no lock of Locksmith; ${sentences[state]}`;
}
