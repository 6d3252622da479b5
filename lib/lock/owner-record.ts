/** Who owns the lock, in its own words? One JSON line with a checksum; what is torn or empty is unknown, never "none". */
import {closeSync, constants, openSync, renameSync} from 'node:fs';
import {crc32} from 'node:zlib';
import {LockError} from '../errors.js';
import {monotonic} from '../os/deadline.js';
import {native} from '../os/native.js';
import {type Identity, ourselves} from '../os/process.js';
import {change, type Confirm} from '../os/staged.js';
import {check, errnoOf, hasCode} from '../os/system-error.js';
import type {System} from '../os/system.js';

/** One incarnation of one process on one node. */
export interface Owner {
  /** Node name, for people. */
  readonly node: string;
  /** /etc/machine-id; tells whether another boot id means a reboot of this machine. */
  readonly machineId: string | undefined;
  readonly bootId: string;
  readonly pid: number;
  readonly identity: Identity;
  readonly pidNamespace: string;
  readonly uid: number;
  readonly exe: string;
  readonly purpose: string;
  /** Time of the acquisition, ISO 8601, for people. */
  readonly since: string;
  /** Milliseconds that it waited for the lock. Not known of who took it back, nor of owners of earlier versions. */
  readonly waited?: number;
}

/** The update that an owner has begun: SHA-256 of the content before and of the content meant. */
export interface PlannedUpdate {
  readonly from: string | null;
  readonly to: string;
}

/** Nobody owns the lock; `epoch` was the last one in force. */
export interface FreeRecord {
  readonly v: 1;
  readonly state: 'free';
  readonly lock: string;
  readonly epoch: number;
}

export interface OwnedRecord {
  readonly v: 1;
  readonly state: 'owned';
  readonly lock: string;
  readonly epoch: number;
  readonly owner: Owner;
  readonly update?: PlannedUpdate;
  /** The owner itself has given up in the middle: it lives, but will never act under this epoch again. */
  readonly resigned?: true;
}

export type OwnerRecord = FreeRecord | OwnedRecord;

/** What reading gave. */
export type ReadRecord = OwnerRecord | {readonly state: 'unreadable'; readonly why: string};

/**
 * Records have one size and are written by one write(2) within one page, so that neither a kill nor a full disk
 * can tear one that was there before.
 */
const SIZE = 4096;
const TOO_LONG = -errnoOf('EMSGSIZE');
const MAX_EXE = 1024;

/** Longest purpose, in characters. */
export const MAX_PURPOSE = 256;

const SUM = ',"sum":"';
/** Of the checksum in a line: eight digits between SUM and what closes it. */
const SUM_LENGTH = SUM.length + 8 + '"}'.length;

function sumOf(body: string): string {
  return crc32(body).toString(16).padStart(8, '0');
}

/** A record as one line. */
function encodeLine(record: OwnerRecord): string {
  const body = JSON.stringify(record);
  return `${body.slice(0, -1)}${SUM}${sumOf(body)}"}`;
}

/** The text of a record: padded with spaces to its fixed size. */
export function encodeRecord(record: OwnerRecord): string {
  const line = encodeLine(record);
  return `${line}${' '.repeat(SIZE - 1 - Buffer.byteLength(line))}\n`;
}

/** Reads the text of a record, padded or not. */
export function decodeRecord(text: string): ReadRecord {
  const line = text.trimEnd();
  if (line === '') return unreadable('it is empty');
  const body = `${line.slice(0, -SUM_LENGTH)}}`;
  if (line.slice(-SUM_LENGTH) !== `${SUM}${sumOf(body)}"}`)
    return unreadable('it is torn: its checksum does not fit');
  const record = JSON.parse(body) as OwnerRecord;
  if (record.v !== 1)
    return unreadable(`its version is ${String((record as {v: unknown}).v)}; this program knows version 1`);
  return record;
}

function unreadable(why: string): ReadRecord {
  return {state: 'unreadable', why};
}

/** What a record that is not there is read as. */
export const MISSING: ReadRecord = unreadable('it is missing');

/** A reader may meet a writer in the middle, so a torn record is read again. */
function readAgain(read: () => string): ReadRecord {
  let record = decodeRecord(read());
  for (let again = 0; again < 2 && record.state === 'unreadable'; again++) record = decodeRecord(read());
  return record;
}

/** Reads a record by path. */
export function readRecord(path: string): ReadRecord {
  try {
    return readAgain(() => check<string>(native.readPage(path), 'read', path));
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return MISSING;
    throw error;
  }
}

/** The owner record of a process that holds the guard, on a descriptor opened while it holds it. */
export interface RecordFile {
  read(): ReadRecord;
  /** Throws SystemError: ESTALE when a forced handover has replaced the file. */
  write(record: OwnerRecord): void;
  /** False when a forced handover has replaced the file. */
  isCurrent(): boolean;
  /** Closing twice does nothing. */
  close(): void;
}

/**
 * Opens the record for writing. A forced handover replaces the file, so what an owner that was fenced writes later
 * goes to an inode that nobody reads any more.
 */
export function openRecord(path: string): RecordFile {
  const fd = check<number>(native.open(path, constants.O_RDWR | constants.O_NOFOLLOW, 0), 'open', path);
  let closed = false;
  return {
    read: () => readAgain(() => check<string>(native.readOpenPage(fd), 'read', path)),
    write(record) {
      writeWhole(fd, path, record);
    },
    isCurrent: () => check<number>(native.hasName(fd), 'stat', path) === 1,
    close() {
      if (!closed) native.close(fd);
      closed = true;
    },
  };
}

/**
 * Writes down that its owner lives, but will never act under this epoch again. If that can't be written either, only its end will tell;
 * what went wrong first is what the caller throws. Of an owner that was fenced the record is not its own any more (ESTALE).
 */
export function resign(file: RecordFile, record: OwnedRecord): void {
  try {
    file.write({...record, resigned: true});
  } catch {
    // See above.
  }
}

/**
 * Throws ERR_ARGUMENT when it does not fit; SystemError: ENOSPC when it came out short, ESTALE when the file was replaced, and nobody
 * reads what was written.
 */
function writeWhole(fd: number, path: string, record: OwnerRecord): void {
  const result = native.writePage(fd, encodeLine(record));
  if (result === TOO_LONG)
    throw new LockError('ERR_ARGUMENT', 'the owner record does not fit; give a shorter purpose', {
      lock: record.lock,
    });
  check(result, 'write', path);
}

/** Where a record waits that is to replace the one at `path`; see staged.ts. */
export function stagedRecord(path: string): string {
  return `${path}.new`;
}

function writeNew(path: string, record: OwnerRecord): void {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW;
  const fd = openSync(path, flags, 0o644);
  try {
    writeWhole(fd, path, record);
  } finally {
    closeSync(fd);
  }
}

/** Replaces the record by a new file, if that is confirmed; see openRecord. The caller holds the guard. */
export function replaceRecord(path: string, record: OwnerRecord, confirm: Confirm): void {
  const staged = stagedRecord(path);
  change({
    staged: [staged],
    stage: () => writeNew(staged, record),
    confirm,
    commit: () => renameSync(staged, path),
  });
}

/** This process as an owner, from now on. `asked`: when it asked for the lock, on the monotonic clock. */
export function ownerFor(system: System, purpose: string, asked?: number): Owner {
  if (purpose.length > MAX_PURPOSE || /[\0\n]/.test(purpose)) {
    throw new LockError('ERR_ARGUMENT', `a purpose is one line of at most ${MAX_PURPOSE} characters`);
  }
  const {pid, identity, exe} = ourselves(system);
  return {
    node: system.node,
    machineId: system.machineId,
    bootId: system.bootId,
    pid,
    identity,
    pidNamespace: system.pidNamespace,
    uid: system.uid,
    exe: exe.slice(0, MAX_EXE),
    purpose,
    since: new Date(system.now()).toISOString(),
    ...(asked !== undefined && {waited: Math.round(monotonic() - asked)}),
  };
}
