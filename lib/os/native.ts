/**
 * Which calls does the addon offer? This file declares all of them and is the only one that loads it.
 *
 * Convention: a call that can fail returns a number, `-errno` on failure; nothing here throws for what the
 * kernel refused. `system-error.ts` makes errors of it. Epochs, offsets and lengths are safe integers;
 * inode numbers are bigints.
 */
import {existsSync} from 'node:fs';
import {basename, dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';
import bindings from 'bindings';

/** Lock families: open file description locks, flock(2), classic POSIX record locks. */
export const LOCK_KIND = {ofd: 0, flock: 1, posix: 2} as const;
/** What is asked of a lock call. */
export const LOCK_TYPE = {shared: 0, exclusive: 1, unlock: 2} as const;

/** See lockPath. */
export const LOCK_FAILED = 4096;

/** A lock that stands in the way, as F_GETLK or F_OFD_GETLK tell it (fcntl(2)). */
export interface Conflict {
  readonly type: number;
  /** -1 for OFD locks, 0 for an owner in a pid namespace that can't be seen from here. */
  readonly pid: number;
  readonly start: number;
  /** 0: to the end of the file. */
  readonly length: number;
}

/** A wait for a lock on a thread of its own. */
export interface Wait {
  /** Ends the wait at once; the callback still comes, with -ECANCELED or, if the lock came first, 0. */
  abort(): void;
}

/** One row of /proc/locks (proc_locks(5), fs/locks.c lock_get_status()). */
export interface LockRow {
  readonly id: number;
  /** 0: it is held. 1: it waits for the held lock of the same id; 2: it waits behind such a waiter; and so on. */
  readonly depth: number;
  /** FLOCK, OFDLCK, POSIX, LEASE, DELEG, ACCESS: as printed. */
  readonly kind: string;
  /** ADVISORY, MANDATORY, ACTIVE, BREAKING, BREAKER, ...: as printed. */
  readonly mode: string;
  /** READ, WRITE, RW, NONE, UNLCK: as printed. */
  readonly access: string;
  /** Who took it, or waits; -1 for OFD locks, 0 for a process in a pid namespace that can't be seen from here. */
  readonly pid: number;
  readonly major: number;
  readonly minor: number;
  readonly inode: bigint;
  readonly start: bigint;
  /** undefined: EOF. */
  readonly end: bigint | undefined;
}

/** What /proc/PID/fdinfo/N says of a descriptor (proc_pid_fdinfo(5)). */
export interface FdInfo {
  /** 0n before Linux 5.14, which does not tell it. */
  readonly inode: bigint;
  readonly mountId: number;
  /** open(2) flags. */
  readonly flags: number;
  /** That this very open file description holds; POSIX locks: its process. */
  readonly locks: readonly LockRow[];
  /** Unix socket: descriptors in messages that nobody has received yet. */
  readonly inFlight: number;
  /** io_uring: its registered files, by their paths on new kernels, by the first lines of their names up to Linux 6.12. */
  readonly registered: readonly Buffer[];
}

/** What a survey is asked for; added up. */
export const SURVEY = {
  /** The procfs is that of our own pid namespace, so its pids mean the same to system calls. */
  ownNamespace: 1,
  /** Look at all processes, also when the first ones show every lock. */
  everywhere: 2,
  /** Tell where the descriptors lead to. */
  paths: 4,
} as const;

/** A survey in columns: one array for all rows, a fixed count of numbers a row. `lock-survey.ts` makes objects of it. */
export interface RawSurvey {
  /** Words that the rows name by their index. */
  readonly words: readonly string[];
  /** Ten a row: id, depth, kind, mode and access (words), pid, major, minor, 1 for EOF, first row that says the same. */
  readonly rows: Float64Array;
  /** Three a row: inode, start, end. */
  readonly rowNumbers: BigUint64Array;
  /** Six a descriptor: pid, thread, fd, flags, mount id, waiting thread. */
  readonly descriptors: Int32Array;
  /** Two a descriptor: inode, inode of the pidfd of its process. */
  readonly descriptorNumbers: BigUint64Array;
  /** One a descriptor, each ended by a NUL; empty ones unless they were asked for. */
  readonly paths: Buffer;
  /** Three each: a held row (the first that says the same), a descriptor that shows it, and which of the open file descriptions of shared locks that say the same it belongs to. */
  readonly shown: Uint32Array;
  readonly places: readonly RawPlace[];
  /** Processes whose descriptors could not be read (EACCES, EPERM), the dead and threads of the kernel not counted. */
  readonly unreadable: Int32Array;
  /** All processes were looked at. */
  readonly everywhere: boolean;
}

/** Where an open file description may be that no descriptor shows. */
export interface RawPlace {
  readonly kind: 'socket' | 'io_uring' | 'mapping';
  readonly pid: number;
  readonly thread: number;
  readonly fd: number;
  /** Descriptors in flight, or registered files. */
  readonly count: number;
  /** What the registered files are called. */
  readonly paths: readonly Buffer[];
  /** The file that is mapped. */
  readonly major: number;
  readonly minor: number;
  readonly inode: bigint;
}

/** The forked process that ends a hold; `hold-supervisor.ts` leads it. */
export interface RawSupervisor {
  readonly pid: number;
  readonly pidfd: number;
  /** Our end of a pair of packet sockets: readable when there is news, or it has ended. Closing it is our death. */
  readonly channel: number;
}

/** What a supervisor is ordered: to stop one, to take on one that is stopped already, to restore all and end. */
export const ORDER = {stop: 0, adopt: 1, release: 2} as const;

/** What it tells: that one was stopped, or restored, that the time is over. */
export const NEWS = {stopped: 1, restored: 2, over: 3} as const;

export interface RawNews {
  readonly kind: number;
  readonly index: number;
  /** -errno; else 0 for a text that was written, or how the program ended, as wait(2) encodes it. -ETIMEDOUT: it was killed. */
  readonly status: number;
}

/** A watch of the event loop on a descriptor. */
export interface Watch {
  close(): void;
  ref(): void;
  unref(): void;
}

/** The whole addon. */
export interface Native {
  /** open(2) with O_CLOEXEC. The descriptor belongs to this environment and is closed when it ends. */
  open(path: string | Buffer, flags: number, mode: number): number;
  close(fd: number): number;

  /** Takes, changes or gives back a lock; never waits (-EAGAIN when taken). length 0: to the end of file. */
  setLock(fd: number, kind: number, type: number, start: number, length: number): number;
  /** The first lock in the way, undefined when there is none. -EOPNOTSUPP for flock, which has no test. */
  getLock(
    fd: number,
    kind: number,
    type: number,
    start: number,
    length: number,
  ): Conflict | undefined | number;
  /**
   * Waits for a lock on a thread of its own; the callback gets 0, -errno or -ECANCELED exactly once.
   * After -ECANCELED nothing was taken (a lock that came at the same moment has been given back).
   * The descriptor must stay open until then.
   */
  waitLock(
    fd: number,
    kind: number,
    type: number,
    start: number,
    length: number,
    callback: (result: number) => void,
  ): Wait | number;

  /** Parses the text of a lock table; a row that it does not understand makes it fail with -EBADMSG. */
  parseLocks(text: Buffer): readonly LockRow[] | number;
  /** Parses the text of an fdinfo file; -EBADMSG when it tells something in a way that is not understood. */
  parseFdInfo(text: Buffer): FdInfo | number;
  /**
   * Brings the lock table and the descriptors of processes together, on a thread of its own (native/lock_survey.h).
   * `files`: major, minor and inode of each file that matters, none for all. `likely`: processes to look at first.
   */
  surveyLocks(
    procRoot: string,
    flags: number,
    files: BigUint64Array,
    likely: Int32Array,
    callback: (result: RawSurvey | number) => void,
  ): number;

  pidfdOpen(pid: number): number;
  /** Inode of a pidfd on pidfs (Linux >= 6.9), 0n on older kernels where all pidfds share one. */
  pidfdInode(pidfd: number): bigint | number;
  pidfdSignal(pidfd: number, signal: number): number;
  /** pidfd_getfd(2): a copy of another process's descriptor, on the same open file description. */
  pidfdGetfd(pidfd: number, fd: number): number;
  /**
   * How the process ended, as wait(2) encodes it. The kernel tells it after the process was reaped, and through a
   * pidfd opened before: -ENODATA until then; -ENOTTY or -EINVAL before Linux 6.15.
   */
  pidfdExitStatus(pidfd: number): number;

  /** 1 when a descriptor is readable, 0 when not (poll(2)). A pidfd is readable when its process has ended. */
  isReadable(fd: number): number;
  /** Calls back when a descriptor is readable, again and again until it is drained or the watch closed. Keeps the loop alive unless unref'ed. */
  watch(fd: number, callback: (error: number) => void): Watch | number;

  /** Reads a bit: 0 or 1; -EBADMSG when the file holds anything else. */
  readBit(path: string): number;
  /** Reads an epoch file: one decimal number and a newline; -EBADMSG when it holds anything else. */
  readEpoch(path: string): number;
  /** The whole text of an attribute; -EBADMSG when it is longer than a few words. */
  readAttribute(path: string): string | number;
  /** Writes a whole attribute in one write(2), as sysfs wants it. */
  writeAttribute(path: string, text: string): number;
  /** readBit and readEpoch of a file that is open. */
  readOpenBit(fd: number): number;
  readOpenEpoch(fd: number): number;
  /** Soft bit, test-and-set, on its two files: -EBUSY when set (or being changed), -ESTALE when its epoch is not `expected` or somebody replaced it. */
  softBitSet(bit: number, epoch: number, expected: number, next: number): number;
  /** Soft bit, compare-and-clear: -ESTALE when its epoch is not `expected` or somebody replaced it. Closes both files in any case. */
  softBitClear(bit: number, epoch: number, expected: number): number;
  /**
   * Soft bit, taken from somebody else: compares the epoch and writes the files that are to replace both of its own, `.epoch.new` and
   * `.conf_locked.new`. To stay 1 it needs a higher epoch, to become 0 the same one. -ESTALE, -EALREADY as above.
   */
  softBitStage(directory: string, expected: number, next: number, value: 0 | 1): number;
  /** Renames what was staged into its places, which fences old descriptors: -ENOENT when somebody removed it before. */
  softBitCommit(directory: string): number;

  /**
   * Forks the process that ends a hold (native/hold_supervisor.h): after `milliseconds` (CLOCK_BOOTTIME) or at our death it
   * removes the fences, restores what it stopped, and unlocks `gate`; at last it gives back the lock on `turn` (-1: none).
   * `shapes` has six numbers for each thing that it can stop, three to stop and three to restore it: the time for a program
   * and how many of the `words` are its arguments and its environment; or 0, 1, 1: the words are a path and what to write there.
   */
  startHoldSupervisor(
    gate: number,
    turn: number,
    milliseconds: number,
    fences: readonly string[],
    shapes: Int32Array,
    words: readonly string[],
  ): RawSupervisor | number;
  /** Orders something (ORDER); -EPIPE when it has ended. */
  sendOrder(channel: number, kind: number, index: number): number;
  /** The next news (NEWS); -EAGAIN when there is none, undefined when it has ended. */
  receiveNews(channel: number): RawNews | undefined | number;
  /** Reaps the process; to be called when its pidfd is readable. */
  reapHoldSupervisor(pidfd: number): number;

  /** An inotify descriptor that becomes readable when a writer of the file closes it. */
  openCloseWatch(path: string): number;
  /** Reads away what is pending on it. */
  drainCloseWatch(fd: number): number;

  /** The text of a record file, without the padding at its end (native/page.h). */
  readPage(path: string): string | number;
  /** The same of a file that is open. */
  readOpenPage(fd: number): string | number;
  /** Writes a record, padded to a whole page, in one write(2): -EMSGSIZE, -ENOSPC when it came out short, -ESTALE when the file was replaced. */
  writePage(fd: number, text: string): number;

  setXattr(fd: number, name: string, value: Buffer): number;
  getXattr(fd: number, name: string): Buffer | number;

  peerCredentials(fd: number): {pid: number; uid: number; gid: number} | number;
  /** SO_PEERGROUPS: supplementary groups. */
  peerGroups(fd: number): readonly number[] | number;
  /** SO_PEERPIDFD (Linux >= 6.5). */
  peerPidfd(fd: number): number;
  /** Sends one datagram to a systemd notify socket; a leading @ names an abstract one. */
  notify(socket: string, message: string): number;

  /** 1, or 0 for an open file that was replaced or removed (fstat(2)). */
  hasName(fd: number): number;
  /** setLock for a whole file in the quickest way; `what` is 3 * LOCK_KIND + LOCK_TYPE. */
  setWholeLock(fd: number, what: number): number;
  /**
   * Opens a path (open(2) flags), locks it without waiting, and compares the file with what the path names by then
   * (native/path_lock.h). The descriptor; or, with nothing left open, -errno of open(2), -ESTALE when the path names
   * another file, -LOCK_FAILED - errno when the lock was refused.
   */
  lockPath(path: string, flags: number, what: number, start: number, length: number): number;
  /** Gives a lock back and closes the descriptor in any case; -errno of the unlock. */
  unlockAndClose(fd: number, what: number, start: number, length: number): number;
}

const root = fileURLToPath(new URL('../../../', import.meta.url));
const prebuilds = join(root, 'prebuilds', `linux-${process.arch}`);

/** Which libc this Node runs with. Asking takes milliseconds, so only who has shipped builds to choose from does. */
function libc(): 'glibc' | 'musl' {
  const report = process.report.getReport() as {header: {glibcVersionRuntime?: string}};
  return report.header.glibcVersionRuntime ? 'glibc' : 'musl';
}

function shippedFile(): string | undefined {
  const file = existsSync(prebuilds) ? join(prebuilds, `locksmith-linux.${libc()}.node`) : undefined;
  return file !== undefined && existsSync(file) ? file : undefined;
}

/** The addon that is loaded: the shipped one, else that which was built here. One exact file, so that a build for another libc is never tried. */
export const addonFile: string = shippedFile() ?? join(root, 'build/Release/locksmith.node');

export const native: Native = bindings({
  bindings: basename(addonFile),
  module_root: dirname(addonFile),
  try: [['module_root', 'bindings']],
}) as Native;
