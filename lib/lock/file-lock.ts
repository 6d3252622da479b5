/** How does a program lock any file? `lock` waits, `tryLock` doesn't; what they give back is the only thing that can unlock. */
import {constants, fstatSync, statSync} from 'node:fs';
import {LockError} from '../errors.js';
import {LockFile, type LockKind, type LockMode, type PathLock, WHOLE} from '../os/lock-file.js';
import {LOCK_KIND} from '../os/native.js';
import {forget, shoutIfDropped} from './dropped.js';
import type {Range} from '../os/wait-queue.js';

export interface FileLockOptions {
  /** `ofd` (default), `flock` (as flock(1) takes it), or `posix`, which falls when any descriptor of the file is closed in this process. */
  readonly kind?: LockKind;
  readonly mode?: LockMode;
  /** Bytes to lock, by default all. Not for flock, which knows only whole files. */
  readonly range?: Range;
  /** Create the file when it is missing (default). */
  readonly create?: boolean;
}

export interface WaitOptions extends FileLockOptions {
  /** Ends the wait; the promise then rejects with its reason. */
  readonly signal?: AbortSignal;
}

function checked(options: FileLockOptions): PathLock {
  const {kind = 'ofd', mode = 'exclusive', range = WHOLE, create = true} = options;
  if (!Object.hasOwn(LOCK_KIND, kind))
    throw new LockError('ERR_ARGUMENT', `kind is ofd, flock or posix, not ${kind}`);
  if (mode !== 'shared' && mode !== 'exclusive')
    throw new LockError('ERR_ARGUMENT', `mode is shared or exclusive, not ${String(mode)}`);
  if (range !== WHOLE) checkRange(kind, range);
  const access = kind !== 'flock' || mode === 'exclusive' ? constants.O_RDWR : constants.O_RDONLY;
  return {kind, mode, range, flags: access | (create ? constants.O_CREAT : 0)};
}

function checkRange(kind: LockKind, {start, length}: Range): void {
  if (!Number.isSafeInteger(start) || !Number.isSafeInteger(length) || start < 0 || length < 0) {
    throw new LockError(
      'ERR_ARGUMENT',
      'a range has a start and a length, both whole numbers of bytes from 0 on',
    );
  }
  if (kind === 'flock' && (start !== 0 || length !== 0)) {
    throw new LockError('ERR_ARGUMENT', 'flock locks whole files; ranges need kind ofd or posix');
  }
}

/** A lock that is held. It ends by `release` (or `await using`), or with the process; never by being forgotten. */
export class FileLock {
  readonly path: string;
  readonly kind: LockKind;
  readonly range: Range;
  readonly #file: LockFile;
  #mode: LockMode;

  constructor(file: LockFile, mode: LockMode, range: Range) {
    this.path = file.path;
    this.kind = file.kind;
    this.range = range;
    this.#file = file;
    this.#mode = mode;
    shoutIfDropped(this, () => `the ${this.mode} lock on ${this.path}`);
  }

  get mode(): LockMode {
    return this.#mode;
  }

  get released(): boolean {
    return this.#file.closed;
  }

  /** Makes an exclusive lock a shared one; never waits. flock may lose it in between (flock(2)). */
  downgrade(): void {
    this.#use().try('shared', this.range);
    this.#mode = 'shared';
  }

  /** Makes a shared lock exclusive if nobody else shares it, and says whether it did. A refused flock upgrade loses the lock (flock(2)): use ofd. */
  tryUpgrade(): boolean {
    const done = this.#use().try('exclusive', this.range);
    if (done) this.#mode = 'exclusive';
    return done;
  }

  /** Gives the lock back. A second call does nothing. */
  release(): void {
    if (this.#file.closed) return;
    forget(this);
    this.#file.giveBack(this.range);
  }

  #use(): LockFile {
    if (this.#file.closed)
      throw new LockError('ERR_RELEASED', `the lock on ${this.path} has been released`, {path: this.path});
    return this.#file;
  }

  [Symbol.dispose](): void {
    this.release();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.release();
  }
}

/** True when the path still names the file that was locked: it may have been replaced while we waited. */
function stillNamed(file: LockFile, path: string): boolean {
  const locked = fstatSync(file.fd, {bigint: true});
  const named = statSync(path, {bigint: true, throwIfNoEntry: false});
  return named !== undefined && named.ino === locked.ino && named.dev === locked.dev;
}

/** Opens a path and waits for its lock; undefined when the path named another file by then. */
async function waitFor(
  path: string,
  {kind, mode, range, flags}: PathLock,
  signal: AbortSignal | undefined,
): Promise<LockFile | undefined> {
  const file = LockFile.follow(path, {kind, flags});
  let locked = false;
  try {
    await file.wait(mode, {range, signal});
    locked = stillNamed(file, path);
    return locked ? file : undefined;
  } finally {
    if (!locked) file.close();
  }
}

/** Locks a file, waiting for it on no thread of libuv's pool. Rejects with SystemError, or with signal.reason. */
export async function lock(path: string, options: WaitOptions = {}): Promise<FileLock> {
  const request = checked(options);
  const {signal} = options;
  signal?.throwIfAborted();
  for (;;) {
    // Who waits already comes first.
    const found = LockFile.anyWaits ? 'taken' : LockFile.lockPath(path, request);
    const file = found === 'taken' ? await waitFor(path, request, signal) : found;
    if (file instanceof LockFile) return new FileLock(file, request.mode, request.range);
  }
}

/** Locks a file if it is free, else gives undefined. Throws SystemError. */
export function tryLock(path: string, options: FileLockOptions = {}): FileLock | undefined {
  const request = checked(options);
  for (;;) {
    const file = LockFile.lockPath(path, request);
    if (file === 'taken') return undefined;
    if (file !== 'replaced') return new FileLock(file, request.mode, request.range);
  }
}
