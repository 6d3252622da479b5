/** How is told what was seen of the locks on a file? */
import type {ListedLock, LockList} from '../os/lock-table.js';
import {describeProcess} from '../os/process.js';
import type {System} from '../os/system.js';
import type {WaitLink} from '../os/wait-chain.js';
import type {Evidence} from './incarnation.js';
import {suspectText} from './incomplete.js';

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

/** A lock, and those who show it. */
export function lockEvidence(system: System, lock: ListedLock): Evidence {
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
export function reachEvidence({locks, everywhere}: LockList): Evidence[] {
  if (everywhere || locks.length === 0) return [];
  return [
    {
      looked: 'descriptors of the processes that the lock table names, and of their children',
      saw: 'they show every lock',
      follows: 'whether others share them was not looked at: --all does',
    },
  ];
}

/** What a holder itself waits for. */
export function chainEvidence(system: System, {pid, kind, file, heldBy}: WaitLink): Evidence {
  const {major, minor, inode} = file;
  const holders = heldBy.map(each => describeProcess(system, each)).join(', ') || 'somebody who is not seen';
  return {
    looked: 'lock table, for what the holders wait for themselves',
    saw: `${describeProcess(system, pid)} waits for a lock (${kind}) on ${major.toString(16)}:${minor.toString(16)}:${inode}, held by ${holders}`,
    follows: 'the lock here is not given back before that one is',
  };
}
