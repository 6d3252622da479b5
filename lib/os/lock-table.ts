/** Who holds which lock, and who waits for it? The kernel's lock table, with the processes behind each row. */
import {type DescriptorRow, type DescriptorScan, type LockRow, native} from './native.js';
import {type FileId, fileId, readMounts} from './mounts.js';
import {type System, system as ourSystem} from './system.js';
import {check, SystemError} from './system-error.js';

/** A process that has a lock. */
export interface Holder {
  readonly pid: number;
  readonly kind: string;
  readonly mode: 'shared' | 'exclusive';
  /** How we know: `descriptor 17`, or `lock table` when only the table says so. */
  readonly via: string;
}

/** A process that waits for a lock; pid undefined where the kernel does not tell (OFD locks). */
export interface Waiter {
  readonly pid: number | undefined;
  readonly kind: string;
}

/** One lock of the table. */
export interface ListedLock extends FileId {
  readonly kind: string;
  readonly mode: 'shared' | 'exclusive';
  readonly start: bigint;
  /** Last byte; undefined: to the end of the file. */
  readonly end: bigint | undefined;
  /** Every process found that shares the description that holds it. Empty: the table knows it, no process shows it. */
  readonly holders: readonly Holder[];
  readonly waiters: readonly Waiter[];
}

/** A list, and what could not be looked at. */
export interface LockList {
  readonly locks: readonly ListedLock[];
  /** Processes whose descriptors we may not read; holders may be missing when there are any. */
  readonly unreadable: readonly number[];
}

const KINDS: Record<string, string> = {
  OFDLCK: 'ofd',
  FLOCK: 'flock',
  POSIX: 'posix',
  LEASE: 'lease',
  DELEG: 'delegation',
};

function kindOf(row: LockRow): string {
  return KINDS[row.kind] ?? row.kind.toLowerCase();
}

function modeOf(row: LockRow): 'shared' | 'exclusive' {
  return row.access === 'READ' ? 'shared' : 'exclusive';
}

function sameFile(a: FileId, b: FileId): boolean {
  return a.inode === b.inode && a.major === b.major && a.minor === b.minor;
}

function sameLock(a: LockRow, b: LockRow): boolean {
  return (
    a.kind === b.kind && a.access === b.access && a.start === b.start && a.end === b.end && sameFile(a, b)
  );
}

/** Reads the lock table of the kernel. One reading may miss a lock that is held: absence proves nothing. */
export function readLockTable(system: System): readonly LockRow[] {
  const path = `${system.procRoot}/locks`;
  return check<readonly LockRow[]>(native.readLocks(path), 'read', path);
}

/** Looks through the descriptors of every process for these inodes. */
export function scanDescriptors(system: System, inodes: readonly bigint[]): Promise<DescriptorScan> {
  return new Promise((resolve, reject) => {
    const done = (result: DescriptorScan | number) =>
      typeof result === 'number' ? reject(new SystemError(result, 'open', system.procRoot)) : resolve(result);
    const started = native.findDescriptors(system.procRoot, inodes, done);
    if (started < 0) done(started);
  });
}

/** Descriptors of every process that are open on one file, told by device and inode. */
export async function findOpeners(
  system: System,
  file: FileId,
): Promise<{openers: DescriptorRow[]; unreadable: readonly number[]}> {
  const {rows, unreadable} = await scanDescriptors(system, [file.inode]);
  const mounts = readMounts(system);
  const openers = rows.filter(row => {
    const device = mounts.get(row.mountId) ?? foreignMount(system, row);
    return (
      row.locks.some(lock => sameFile(lock, file)) ||
      (device !== undefined && sameFile({...device, inode: row.inode}, file))
    );
  });
  return {openers, unreadable};
}

/** Device of a mount that only the other process sees. */
function foreignMount(system: System, row: DescriptorRow): {major: number; minor: number} | undefined {
  try {
    return readMounts(system, row.pid).get(row.mountId);
  } catch {
    return undefined;
  }
}

function holdersOf(row: LockRow, openers: readonly DescriptorRow[]): Holder[] {
  const facts = {kind: kindOf(row), mode: modeOf(row)};
  const shown = openers.filter(opener => opener.locks.some(lock => sameLock(lock, row)));
  if (shown.length > 0) return shown.map(({pid, fd}) => ({pid, ...facts, via: `descriptor ${fd}`}));
  return row.pid > 0 ? [{pid: row.pid, ...facts, via: 'lock table'}] : [];
}

/** The kernel prints the table page by page; while others come and go, a lock may be printed twice. Two exclusive ones can't be. */
function withoutRepeats(held: readonly LockRow[]): LockRow[] {
  const seen = new Set<string>();
  return held.filter(row => {
    if (modeOf(row) !== 'exclusive') return true;
    const {kind, major, minor, inode, start, end} = row;
    const key = [kind, major, minor, inode, start, end].join(' ');
    return !seen.has(key) && seen.add(key);
  });
}

/** Lists the locks of one file, or of all, with holders, waiters and ranges. Two equal shared locks of two descriptions list the holders of both. */
export async function listLocks({
  path,
  system = ourSystem(),
}: {
  path?: string;
  system?: System;
} = {}): Promise<LockList> {
  const wanted = path === undefined ? undefined : fileId(system, path);
  const rows = readLockTable(system).filter(row => wanted === undefined || sameFile(row, wanted));
  const {rows: openers, unreadable} = await scanDescriptors(system, [...new Set(rows.map(row => row.inode))]);
  const waiting = rows.filter(row => row.waiting);
  const locks = withoutRepeats(rows.filter(row => !row.waiting)).map(row => ({
    kind: kindOf(row),
    mode: modeOf(row),
    major: row.major,
    minor: row.minor,
    inode: row.inode,
    start: row.start,
    end: row.end,
    holders: holdersOf(row, openers),
    waiters: waiting
      .filter(waiter => waiter.id === row.id)
      .map(waiter => ({pid: waiter.pid > 0 ? waiter.pid : undefined, kind: kindOf(waiter)})),
  }));
  return {locks, unreadable};
}
