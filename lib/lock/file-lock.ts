/** How does a program lock any file? `lock` waits, `tryLock` doesn't; what they give back is the only thing that can unlock. */
import {constants, fstatSync, statSync} from 'node:fs';
import {LockError} from '../errors.js';
import {LockFile, type LockKind, type LockMode} from '../os/lock-file.js';
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

function checked(options: FileLockOptions): Required<FileLockOptions> {
  const {kind = 'ofd', mode = 'exclusive', range = {start: 0, length: 0}, create = true} = options;
  if (!['ofd', 'flock', 'posix'].includes(kind))
    throw new LockError('ERR_ARGUMENT', `kind is ofd, flock or posix, not ${kind}`);
  if (!['shared', 'exclusive'].includes(mode))
    throw new LockError('ERR_ARGUMENT', `mode is shared or exclusive, not ${mode}`);
  const {start, length} = range;
  if (!Number.isSafeInteger(start) || !Number.isSafeInteger(length) || start < 0 || length < 0) {
    throw new LockError(
      'ERR_ARGUMENT',
      'a range has a start and a length, both whole numbers of bytes from 0 on',
    );
  }
  if (kind === 'flock' && (start !== 0 || length !== 0)) {
    throw new LockError('ERR_ARGUMENT', 'flock locks whole files; ranges need kind ofd or posix');
  }
  return {kind, mode, range, create};
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
    shoutIfDropped(this, `the ${mode} lock on ${file.path}`);
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
    this.#file.unlock(this.range);
    this.#file.close();
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

function openFor({kind, mode, create}: Required<FileLockOptions>, path: string): LockFile {
  const access = kind !== 'flock' || mode === 'exclusive' ? constants.O_RDWR : constants.O_RDONLY;
  return LockFile.follow(path, {kind, flags: access | (create ? constants.O_CREAT : 0)});
}

/** True when the path still names the file that was locked: it may have been replaced while we waited. */
function stillNamed(file: LockFile, path: string): boolean {
  const locked = fstatSync(file.fd, {bigint: true});
  const named = statSync(path, {bigint: true, throwIfNoEntry: false});
  return named !== undefined && named.ino === locked.ino && named.dev === locked.dev;
}

/** Locks a file, waiting for it on no thread of libuv's pool. Rejects with SystemError, or with signal.reason. */
export async function lock(path: string, options: WaitOptions = {}): Promise<FileLock> {
  const request = checked(options);
  for (;;) {
    const file = openFor(request, path);
    try {
      await file.wait(request.mode, {range: request.range, signal: options.signal});
      if (stillNamed(file, path)) return new FileLock(file, request.mode, request.range);
    } catch (error) {
      file.close();
      throw error;
    }
    file.close();
  }
}

/** Locks a file if it is free, else gives undefined. Throws SystemError. */
export function tryLock(path: string, options: FileLockOptions = {}): FileLock | undefined {
  const request = checked(options);
  for (;;) {
    const file = openFor(request, path);
    try {
      if (!file.try(request.mode, request.range)) {
        file.close();
        return undefined;
      }
      if (stillNamed(file, path)) return new FileLock(file, request.mode, request.range);
    } catch (error) {
      file.close();
      throw error;
    }
    file.close();
  }
}
