/** What is there to see of the locks on a file? The table and its holders, and a test of each kind of lock where the table shows none. */
import {constants, statSync} from 'node:fs';
import {LockError} from '../errors.js';
import {LockFile, type LockKind} from '../os/lock-file.js';
import {listLocksOf, type LockList} from '../os/lock-table.js';
import {type PinnedFile, pinFile} from '../os/mounts.js';
import type {System} from '../os/system.js';
import {hasCode, SystemError} from '../os/system-error.js';
import type {Gap} from '../os/visibility.js';
import {examineHolders, type HoldersSeen} from './holders.js';
import type {Evidence} from './incarnation.js';

/** What a test of one kind of lock gave; undefined: it could not be made. */
export interface Test {
  readonly free: boolean | undefined;
  readonly evidence: Evidence;
}

/** Finds the file and keeps it, so that all that follows is about one inode. */
export function pinTarget(system: System, target: string | Buffer, path: string): PinnedFile {
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
export interface Look {
  readonly list: LockList;
  readonly holders: HoldersSeen;
  /** Made only when no lock is seen. */
  readonly tests: readonly Test[];
}

async function look(system: System, file: PinnedFile, path: string, everywhere: boolean): Promise<Look> {
  const list = await listLocksOf(system, file, {everywhere});
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
export async function lookSettled(
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

/** True when a lock was seen, or one that was not was in the way of the tests. */
export function isLocked({list, tests}: Look): boolean | null {
  if (list.locks.length > 0 || tests.some(({free}) => free === false)) return true;
  return tests.every(({free}) => free === true) ? false : null;
}

/** A test that could not be made. */
export function testGaps(tests: readonly Test[]): Gap[] {
  return tests
    .filter(({free}) => free === undefined)
    .map(({evidence: {looked, saw}}) => ({what: looked, why: saw, visibleTo: null}));
}
