/**
 * Is what other kernels say read as it was meant? Tables recorded on them (scripts/record-tables.js) beside what the
 * program that made the locks knows, and tables of any length.
 */
import {readdirSync, readFileSync} from 'node:fs';
import {fileURLToPath} from 'node:url';
import test, {type ExecutionContext} from 'ava';
import {type FdInfo, type LockRow, native} from '../../lib/os/native.js';

/** A lock that was there. `major`, `minor` and `inode` are missing where the kernel names no file. */
interface TrueLock {
  readonly name: string;
  readonly kind: string;
  readonly mode: string;
  readonly access: string;
  readonly pid: number;
  readonly major?: number;
  readonly minor?: number;
  readonly inode?: string;
  readonly start: string;
  /** Missing: to the end of the file. */
  readonly end?: string;
  /** Made in a pid namespace by its first process. */
  readonly inner?: true;
  /** The lock that it waits for, and behind which waiter. */
  readonly waits?: string;
  readonly behind?: string;
}

interface TrueDescriptor {
  readonly name: string;
  readonly inode: string;
  readonly mountId: number;
  readonly flags?: number;
  /** Names of locks of the table. */
  readonly locks?: readonly string[];
  /** Locks that are not in the table: KIND ACCESS START END. */
  readonly rows?: readonly string[];
  readonly scmFds?: number;
  readonly registered?: readonly (string | null)[];
}

interface Truth {
  readonly release: string;
  readonly locks: readonly TrueLock[];
  readonly descriptors: readonly TrueDescriptor[];
}

const folder = fileURLToPath(new URL('../../../test/recorded/', import.meta.url));
const recorded = (name: string) => readFileSync(`${folder}${name}`);
const truthOf = (series: string) => JSON.parse(recorded(`truth-${series}.json`).toString()) as Truth;

const KERNELS = ['5.10', '6.1', '6.12'];

function parseTable(t: ExecutionContext, text: Buffer): readonly LockRow[] {
  const rows = native.parseLocks(text);
  if (typeof rows === 'number') throw new Error(`${t.title}: errno ${rows}`);
  return rows;
}

function parseFdInfo(t: ExecutionContext, text: Buffer): FdInfo {
  const info = native.parseFdInfo(text);
  if (typeof info === 'number') throw new Error(`${t.title}: errno ${info}`);
  return info;
}

/** 0: held, 1: first in a queue, 2: behind such a waiter, ... */
function depthOf(lock: TrueLock, locks: readonly TrueLock[]): number {
  if (lock.waits === undefined) return 0;
  const before = locks.find(({name}) => name === lock.behind);
  return before === undefined ? 1 : depthOf(before, locks) + 1;
}

/** What a row must say, but for its number. */
function expectedRow(lock: TrueLock, locks: readonly TrueLock[]): LockRow {
  const {kind, mode, access, pid, major = 0, minor = 0, inode = '0', start, end} = lock;
  return {
    id: 0,
    depth: depthOf(lock, locks),
    kind,
    mode,
    access,
    pid,
    major,
    minor,
    inode: BigInt(inode),
    start: BigInt(start),
    end: end === undefined ? undefined : BigInt(end),
  };
}

const withoutId = (row: LockRow): LockRow => ({...row, id: 0});

const inWords = (row: LockRow) =>
  Object.values(row)
    .map(value => String(value))
    .join(' ');

/** Every lock is told once, and nothing else is. */
function sameRows(t: ExecutionContext, rows: readonly LockRow[], expected: readonly LockRow[]): void {
  const sorted = (some: readonly LockRow[]) => some.toSorted((a, b) => inWords(a).localeCompare(inWords(b)));
  t.deepEqual(sorted(rows.map(withoutId)), sorted(expected));
}

/** Linux 5.10 shows the first waiters only, not those behind them. */
function isTold(lock: TrueLock, {release, locks}: Truth): boolean {
  return !release.startsWith('5.10.') || depthOf(lock, locks) < 2;
}

const nameOf = (series: string) =>
  KERNELS.includes(series) ? `Linux ${series}` : 'no kernel, but in its form,';

for (const series of [...KERNELS, 'constructed']) {
  test(`the table of ${nameOf(series)} has every lock that was there, and no other`, t => {
    const truth = truthOf(series);
    const rows = parseTable(t, recorded(`locks-${series}.txt`));
    const told = truth.locks.filter(lock => isTold(lock, truth));
    sameRows(
      t,
      rows,
      told.map(lock => expectedRow(lock, truth.locks)),
    );
  });

  test(`a waiter in the table of ${nameOf(series)} has the number of the lock that it waits for`, t => {
    const truth = truthOf(series);
    const rows = parseTable(t, recorded(`locks-${series}.txt`));
    const rowOf = (name: string | undefined) => {
      const lock = truth.locks.find(one => one.name === name);
      if (lock === undefined) throw new Error(`no lock ${name}`);
      const words = inWords(expectedRow(lock, truth.locks));
      return rows.find(row => inWords(withoutId(row)) === words);
    };
    const waiting = truth.locks.filter(lock => lock.waits !== undefined && isTold(lock, truth));
    t.true(waiting.length > 0);
    for (const {name, waits} of waiting) t.is(rowOf(name)?.id, rowOf(waits)?.id, name);
  });
}

for (const series of KERNELS) {
  test(`a pid namespace on Linux ${series} sees its own locks with its own pids, and those of nobody`, t => {
    const {locks} = truthOf(series);
    const own = locks.filter(({inner}) => inner).map(lock => ({...expectedRow(lock, locks), pid: 1}));
    const nobodys = locks.filter(({kind}) => kind === 'OFDLCK').map(lock => expectedRow(lock, locks));
    t.true(own.length > 0 && nobodys.length > 0);
    sameRows(t, parseTable(t, recorded(`locks-${series}-inner.txt`)), [...own, ...nobodys]);
  });

  test(`each descriptor's fdinfo on Linux ${series} says what system calls say`, t => {
    const {release, locks, descriptors} = truthOf(series);
    const files = readdirSync(folder).filter(name => name.startsWith(`fdinfo-${series}-`));
    t.deepEqual(files, descriptors.map(({name}) => `fdinfo-${series}-${name}.txt`).toSorted());
    for (const {name, inode, mountId, flags, ...more} of descriptors) {
      const info = parseFdInfo(t, recorded(`fdinfo-${series}-${name}.txt`));
      // The inode is told since Linux 5.14.
      t.is(info.inode, release.startsWith('5.10.') ? 0n : BigInt(inode), name);
      t.is(info.mountId, mountId, name);
      t.is(info.flags, flags ?? info.flags, name);
      t.is(info.inFlight, more.scmFds ?? 0, name);
      const held = locks
        .filter(lock => more.locks?.includes(lock.name))
        .map(lock => expectedRow(lock, locks));
      if (more.rows === undefined) sameRows(t, info.locks, held);
      const rows = info.locks.map(
        ({kind, access, start, end}) => `${kind} ${access} ${start} ${end ?? 'EOF'}`,
      );
      t.deepEqual(rows.toSorted(), (more.rows ?? rows).toSorted(), name);
      // Up to Linux 6.12 a name is told as it is: only its first line is ours to believe.
      const names = (more.registered ?? []).flatMap(file => file?.split('\n')[0] ?? []);
      t.deepEqual(
        info.registered.map(path => path.toString()),
        names,
        name,
      );
    }
  });
}

test('a name in a ring that looks like a lock is none', t => {
  for (const series of KERNELS) {
    const text = recorded(`fdinfo-${series}-ring.txt`);
    t.true(text.includes('\nlock:\t1: nonsense\n'), 'the recording has it');
    t.deepEqual(parseFdInfo(t, text).locks, []);
  }
});

/** The parts of a long table: all kinds of rows, waiters in between. */
const LONG = [
  (id: number) => `${id}: POSIX  ADVISORY  WRITE ${id} 103:00:${id} ${id} ${id + 99}\n`,
  (id: number) => `${id}: OFDLCK ADVISORY  READ -1 08:1f:${id} 0 EOF\n`,
  (id: number) => `${id}: FLOCK  ADVISORY  WRITE ${id} fe:00:${id} 0 EOF\n`,
  (id: number) => `${id - 1}: -> FLOCK  ADVISORY  WRITE ${id} fe:00:${id - 1} 0 EOF\n`,
  (id: number) => `${id - 2}:  -> FLOCK  ADVISORY  WRITE ${id} fe:00:${id - 2} 0 EOF\n`,
  (id: number) => `${id}: LEASE  ACTIVE    READ ${id} 00:2f:${id} 0 EOF\n`,
];

const longTable = (lines: number) =>
  Buffer.from(Array.from({length: lines}, (_, line) => LONG[line % LONG.length]?.(line)).join(''));

test('a table of 100,000 lines is read to its last line', t => {
  const rows = parseTable(t, longTable(100_000));
  t.is(rows.length, 100_000);
  const kinds = ['POSIX', 'OFDLCK', 'FLOCK', 'FLOCK', 'FLOCK', 'LEASE'];
  const before = [0, 0, 0, 1, 2, 0];
  const wrong = rows.filter(({id, depth, kind, inode, pid, start, end}, line) => {
    const part = line % LONG.length;
    const lock = line - (before[part] ?? 0);
    const range =
      part === 0 ? start === BigInt(line) && end === BigInt(line + 99) : start === 0n && end === undefined;
    const who = pid === (part === 1 ? -1 : line);
    return !(
      id === lock &&
      depth === before[part] &&
      kind === kinds[part] &&
      inode === BigInt(lock) &&
      range &&
      who
    );
  });
  t.deepEqual(wrong, []);
});

function msOf(work: () => void): number {
  const start = performance.now();
  work();
  return performance.now() - start;
}

test('ten times the lines take about ten times as long', t => {
  const [short, long] = [longTable(10_000), longTable(100_000)];
  // The best of several, for what else the machine does only adds to it; in turn, so that it adds to both.
  let [shortMs, longMs] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  // What grows with the square stays at 100, however often we try.
  for (let round = 0; round < 5 || (round < 20 && longMs > 20 * shortMs); round++) {
    shortMs = Math.min(
      shortMs,
      msOf(() => parseTable(t, short)),
    );
    longMs = Math.min(
      longMs,
      msOf(() => parseTable(t, long)),
    );
  }
  t.log(`10,000 lines: ${shortMs.toFixed(1)} ms; 100,000: ${longMs.toFixed(1)} ms`);
  t.true(longMs < 30 * shortMs);
});
