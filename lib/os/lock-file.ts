/** How is one open file locked? An open file description and the locks it takes, whole or in ranges. */
import {constants, fstatSync, statSync} from 'node:fs';
import {type Conflict, LOCK_FAILED, LOCK_KIND, LOCK_TYPE, native} from './native.js';
import {check, errnoOf, SystemError} from './system-error.js';
import {type Range, WaitQueues} from './wait-queue.js';

export type LockKind = keyof typeof LOCK_KIND;
export type LockMode = 'shared' | 'exclusive';

function inodeKey({dev, ino}: {dev: bigint; ino: bigint}): string {
  return `${dev}:${ino}`;
}

export const WHOLE: Range = {start: 0, length: 0};

const EAGAIN = -errnoOf('EAGAIN');
const EACCES = -errnoOf('EACCES');
const ECANCELED = -errnoOf('ECANCELED');
const ESTALE = -errnoOf('ESTALE');
const SYSCALL = {ofd: 'fcntl', flock: 'flock', posix: 'fcntl'} as const;
const DONE = Promise.resolve();

/** By device and inode. */
const waiters = new WaitQueues();

/** How a lock is taken by its path; see LockFile.lockPath. */
export interface PathLock {
  readonly kind: LockKind;
  readonly mode: LockMode;
  readonly range: Range;
  /** Of open(2). */
  readonly flags: number;
}

/** How a lock is waited for. */
export interface WaitOptions {
  readonly range?: Range;
  readonly signal?: AbortSignal | undefined;
  /** Before those of this process that wait already. */
  readonly ahead?: boolean;
}

/** An open file description that takes locks. The caller closes it; closing gives back what only it held. */
export class LockFile {
  readonly path: string;
  readonly fd: number;
  readonly kind: LockKind;
  /** Its kind, as the addon's quick calls want it. */
  readonly #code: number;
  #key: string | undefined;
  #closed = false;

  private constructor(path: string, fd: number, kind: LockKind) {
    this.path = path;
    this.fd = fd;
    this.kind = kind;
    this.#code = 3 * LOCK_KIND[kind];
  }

  /** Device and inode: names the file in this process's queues. */
  get key(): string {
    this.#key ??= inodeKey(fstatSync(this.fd, {bigint: true}));
    return this.#key;
  }

  /** The key that a LockFile on this path has now. */
  static keyOf(path: string): string {
    return inodeKey(statSync(path, {bigint: true}));
  }

  /** True when somebody of this process waits for any file, so that others may have to queue. */
  static get anyWaits(): boolean {
    return !waiters.empty;
  }

  /** Opens a file; `flags` as in open(2), by default read and write. Throws SystemError. */
  static open(
    path: string,
    {kind = 'ofd', flags = constants.O_RDWR}: {kind?: LockKind; flags?: number} = {},
  ): LockFile {
    return new LockFile(
      path,
      check<number>(native.open(path, flags | constants.O_NOFOLLOW, 0o644), 'open', path),
      kind,
    );
  }

  /** Opens a path as anyone would, symbolic links followed. */
  static follow(
    path: string,
    {kind = 'ofd', flags = constants.O_RDWR}: {kind?: LockKind; flags?: number} = {},
  ): LockFile {
    return new LockFile(path, check<number>(native.open(path, flags, 0o644), 'open', path), kind);
  }

  /** Opens a file and takes its lock if nobody is in the way, else gives undefined. */
  static tryOpen(path: string, mode: LockMode): LockFile | undefined {
    const file = LockFile.open(path);
    let locked = false;
    try {
      locked = file.try(mode);
      return locked ? file : undefined;
    } finally {
      if (!locked) file.close();
    }
  }

  /**
   * Opens a path as anyone would and locks it, all in one call, if nobody is in the way: `taken` when somebody is, `replaced` when the
   * path did not name that file any more. Throws SystemError.
   */
  static lockPath(path: string, {kind, mode, range, flags}: PathLock): LockFile | 'taken' | 'replaced' {
    const what = 3 * LOCK_KIND[kind] + LOCK_TYPE[mode];
    const result = native.lockPath(path, flags, what, range.start, range.length);
    if (result >= 0) return new LockFile(path, result, kind);
    if (result === ESTALE) return 'replaced';
    if (result > -LOCK_FAILED) throw new SystemError(result, 'open', path);
    const refused = result + LOCK_FAILED;
    if (refused === EAGAIN || refused === EACCES) return 'taken';
    throw new SystemError(refused, SYSCALL[kind], path);
  }

  /** Wraps a descriptor that the addon opened (a copy from pidfd_getfd). */
  static adopt(path: string, fd: number, kind: LockKind = 'ofd'): LockFile {
    return new LockFile(path, fd, kind);
  }

  /** Takes the lock if nobody is in the way, and says whether it did. Never waits. */
  try(mode: LockMode, range: Range = WHOLE): boolean {
    const result = this.#set(LOCK_TYPE[mode], range);
    if (result === 0) return true;
    if (result === EAGAIN || result === EACCES) return false;
    check(result, SYSCALL[this.kind], this.path);
    return true;
  }

  /**
   * Takes the lock, waiting on a thread of its own. Waiters of this process queue, first come first served; who has what they wait for
   * goes `ahead` of them, for they would wait for each other. Rejects with signal.reason when aborted, and then holds nothing of that range.
   */
  wait(mode: LockMode, options: WaitOptions = {}): Promise<void> {
    const {range = WHOLE, signal, ahead = false} = options;
    try {
      signal?.throwIfAborted();
      // Nobody to wait for: then nothing is made that is not needed, not even a promise.
      if ((ahead || waiters.empty || !waiters.has(this.key)) && this.try(mode, range)) return DONE;
    } catch (error) {
      return Promise.reject(error);
    }
    if (ahead) return this.#block(mode, range, signal);
    // Few promises in a row: each is a step more between the kernel's word and the caller.
    return waiters.enqueue({key: this.key, shared: mode === 'shared', range, signal}, () => {
      // It may have been aborted between its turn and this line, when nobody listened.
      signal?.throwIfAborted();
      return this.try(mode, range) ? DONE : this.#block(mode, range, signal);
    });
  }

  #block(mode: LockMode, range: Range, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const finish = (result: number) => {
        signal?.removeEventListener('abort', abort);
        if (result === 0 && signal?.aborted) this.unlock(range);
        if (signal?.aborted) reject(signal.reason as Error);
        else if (result === 0) resolve();
        else reject(new SystemError(result, SYSCALL[this.kind], this.path));
      };
      const wait = native.waitLock(
        this.fd,
        LOCK_KIND[this.kind],
        LOCK_TYPE[mode],
        range.start,
        range.length,
        finish,
      );
      const abort = () => {
        if (typeof wait !== 'number') wait.abort();
      };
      if (typeof wait === 'number') finish(wait === 0 ? ECANCELED : wait);
      else signal?.addEventListener('abort', abort, {once: true});
    });
  }

  /** The first lock in the way of `mode`, undefined when there is none (F_OFD_GETLK, F_GETLK: fcntl(2)). */
  test(mode: LockMode, range: Range = WHOLE): Conflict | undefined {
    const result = native.getLock(this.fd, LOCK_KIND[this.kind], LOCK_TYPE[mode], range.start, range.length);
    return check<Conflict | undefined>(result, SYSCALL[this.kind], this.path);
  }

  /** Gives a range back, for every copy of this description in every process. */
  unlock(range: Range = WHOLE): void {
    const result = this.#set(LOCK_TYPE.unlock, range);
    if (result !== 0) check(result, SYSCALL[this.kind], this.path);
  }

  #set(type: number, range: Range): number {
    return range === WHOLE
      ? native.setWholeLock(this.fd, this.#code + type)
      : native.setLock(this.fd, LOCK_KIND[this.kind], type, range.start, range.length);
  }

  /** Gives a range back and closes this copy, whatever comes of it. */
  giveBack(range: Range): void {
    if (this.#closed) return;
    this.#closed = true;
    const what = this.#code + LOCK_TYPE.unlock;
    const result = native.unlockAndClose(this.fd, what, range.start, range.length);
    if (result !== 0) check(result, SYSCALL[this.kind], this.path);
  }

  /** False when the path no longer names this inode: it was replaced or removed. */
  isCurrent(): boolean {
    return check<number>(native.hasName(this.fd), 'stat', this.path) === 1;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Closes this copy; the lock lives on in copies that others have. Closing twice does nothing. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    check(native.close(this.fd), 'close', this.path);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
