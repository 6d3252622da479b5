/** How does one who has guard and gate become the owner? Looks at bit and record, sets them, and undoes it when that can't go on. */
import {LockError} from '../errors.js';
import {type LockEvent} from '../os/events.js';
import type {LockBit, OpenBit} from '../os/lock-bit.js';
import type {LockFile} from '../os/lock-file.js';
import type {System} from '../os/system.js';
import {hasCode} from '../os/system-error.js';
import {changeHands} from './change-hands.js';
import {markOwner} from './guard.js';
import type {LockPaths, Roots} from './layout.js';
import {
  MISSING,
  openRecord,
  type OwnedRecord,
  ownerFor,
  type OwnerRecord,
  readRecord,
  type ReadRecord,
  type RecordFile,
  resign,
} from './owner-record.js';
import {OwnedConfig} from './owned-config.js';

/** The lock that somebody wants to own. */
export interface Wanted {
  readonly system: System;
  readonly roots: Roots;
  readonly paths: LockPaths;
  readonly file: string;
  readonly name: string;
  readonly bit: LockBit;
  tell(event: LockEvent): void;
}

/** Who wants it: what for, and when he asked, on the monotonic clock. */
export interface Claimant {
  readonly purpose: string;
  readonly asked: number;
}

/** Locked by us, the guard exclusively, the gate shared. */
export interface GuardAndGate {
  readonly guard: LockFile;
  readonly gate: LockFile;
}

/** What the owner changes, open from the first look to the release. */
interface Files {
  readonly openBit: OpenBit;
  readonly recordFile: RecordFile;
}

/**
 * Becomes the owner; gives undefined when a process that never asked for the guard has set the bit, and lives. Rejects with
 * ERR_ORPHANED, ERR_OWNER_UNKNOWN, ERR_FENCED, ERR_LAYOUT_BROKEN or SystemError, and then nothing is changed or left open.
 */
export async function become(
  lock: Wanted,
  held: GuardAndGate,
  claimant: Claimant,
): Promise<OwnedConfig | undefined> {
  if (!held.guard.isCurrent()) throw guardRemoved(lock);
  for (;;) {
    if (isTaken(lock)) return undefined;
    const files = openFiles(lock);
    let owned: OwnedConfig | undefined;
    try {
      owned = await setBit(lock, held, files, claimant);
      return owned;
    } catch (error) {
      // The guard keeps out all but those who set the kernel's bit without it: then look again.
      const outpaced = lock.bit.kind === 'kernel' && hasCode(error, 'EBUSY', 'EOWNERDEAD');
      if (!outpaced) throw error;
    } finally {
      if (!owned) closeFiles(files);
    }
  }
}

function openFiles(lock: Wanted): Files {
  const openBit = lock.bit.open();
  let recordFile: RecordFile | undefined;
  try {
    recordFile = openRecord(lock.paths.owner);
    return {openBit, recordFile};
  } catch (error) {
    if (hasCode(error, 'ENOENT')) checkFree(lock, openBit, MISSING);
    throw error;
  } finally {
    if (!recordFile) openBit.close();
  }
}

/** Throws what keeps whoever has the guard from becoming the owner; else gives the record that he found. */
function checkFree(lock: Wanted, openBit: OpenBit, found: ReadRecord): OwnerRecord {
  if (openBit.read() === 1) throw orphaned(lock, found);
  if (found.state === 'unreadable') throw ownerUnknown(lock, found.why);
  return found;
}

async function setBit(
  lock: Wanted,
  held: GuardAndGate,
  files: Files,
  {purpose, asked}: Claimant,
): Promise<OwnedConfig> {
  const {bit, file, name, system} = lock;
  const {openBit, recordFile} = files;
  const found = checkFree(lock, openBit, recordFile.read());
  const owner = ownerFor(system, purpose, asked);
  const record = (epoch: number): OwnedRecord => ({v: 1, state: 'owned', lock: name, epoch, owner});
  let set: number | undefined;
  let written: OwnedRecord | undefined;
  lock.tell({event: 'acquiring'});
  try {
    const epoch = await changeHands({
      system,
      state: lock.roots.state,
      kind: bit.kind,
      before: openBit.epoch(),
      recorded: found.epoch,
      take: (expected, next) => (set = openBit.set(expected, next)),
      write: next => {
        const named = record(next);
        recordFile.write(named);
        written = named;
      },
    });
    markOwner(held.guard);
    lock.tell({event: 'acquired', epoch, identity: owner.identity});
    return new OwnedConfig({
      file,
      directory: lock.paths.directory,
      bit,
      ...held,
      ...files,
      record: record(epoch),
    });
  } catch (error) {
    withdraw(lock, files, written, set);
    throw isOvertaking(lock, error) ? overtaken(lock, found.epoch) : error;
  }
}

/**
 * Undoes what an acquisition has done that can't go on: clears the bit that it has set (who has forced it from us meanwhile has the
 * say), and takes back the record's word. We live on and may come again for the guard; on record as the owner, we could be taken for one
 * before we are.
 */
function withdraw(
  lock: Wanted,
  files: Files,
  written: OwnedRecord | undefined,
  set: number | undefined,
): void {
  try {
    if (set !== undefined) files.openBit.clear(set);
  } catch (error) {
    if (!hasCode(error, 'ESTALE')) throw error;
  } finally {
    if (written) lock.tell({event: 'resigning', epoch: written.epoch});
    if (written) resign(files.recordFile, written);
  }
}

/** With the guard in hand: has somebody set the bit without it, and lives? Only the kernel can tell; who has resigned owns nothing. */
export function isTaken({bit, paths}: Wanted): boolean {
  if (bit.owner()?.alive !== true) return false;
  const record = readRecord(paths.owner);
  return !(record.state === 'owned' && record.resigned && record.epoch === bit.epoch());
}

/** A soft bit that is busy is just being changed by force. */
function isOvertaking({bit}: Wanted, error: unknown): boolean {
  return hasCode(error, 'ESTALE') || (bit.kind === 'soft' && hasCode(error, 'EBUSY'));
}

function orphaned(lock: Wanted, found: ReadRecord): LockError {
  const owner = found.state === 'owned' && found.epoch >= lock.bit.epoch() ? found.owner : undefined;
  const resigned = found.state === 'owned' && found.resigned;
  const setter = lock.bit.owner();
  const stranger = setter
    ? `pid ${setter.pid}, which set it and left no record, is gone`
    : 'nobody is on record as its owner';
  const who = owner
    ? `its owner, pid ${owner.pid} on ${owner.node} since ${owner.since}, ${resigned ? 'has given up' : 'is gone'}`
    : stranger;
  return new LockError(
    'ERR_ORPHANED',
    `the lock ${lock.name} on ${lock.file} was left in the middle: its bit is set, and ${who}`,
    {
      lock: lock.name,
      path: lock.file,
      ...(owner && {owner, epoch: (found as OwnedRecord).epoch}),
    },
  );
}

function ownerUnknown({name, paths}: Wanted, why: string): LockError {
  return new LockError(
    'ERR_OWNER_UNKNOWN',
    `who owned the lock ${name} last can't be told: ${paths.owner}: ${why}`,
    {lock: name, path: paths.owner},
  );
}

function overtaken({name, file}: Wanted, epoch: number): LockError {
  return new LockError('ERR_FENCED', `somebody took the lock ${name} by force while we acquired it`, {
    lock: name,
    path: file,
    epoch,
  });
}

function guardRemoved({name, paths}: Wanted): LockError {
  return new LockError('ERR_LAYOUT_BROKEN', `${paths.guard} was removed while we waited`, {
    lock: name,
    path: paths.guard,
  });
}

function closeFiles({openBit, recordFile}: Files): void {
  openBit.close();
  recordFile.close();
}
