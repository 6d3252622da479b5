/** How do tests use the module? By its files; what the kernel answers is "ok" or the name of an error. */
import {closeSync, constants, existsSync, openSync, readFileSync, readSync, writeSync} from 'node:fs';
import {join} from 'node:path';
import type {ExecutionContext} from 'ava';
import {errnoName} from '../../../lib/os/system-error.js';

export const LOCKS = '/sys/locks';

/** What came of a call: "ok" or the name of its error, whichever node knows. */
export function outcomeOf(call: () => void): string {
  try {
    call();
    return 'ok';
  } catch (error) {
    const {errno} = error as NodeJS.ErrnoException;
    if (errno === undefined) throw error;
    return errnoName(errno);
  }
}

/** Writes all in one write(2). */
export function write(fd: number, content: string | Buffer): void {
  const bytes = Buffer.from(content);
  const count = writeSync(fd, bytes);
  if (count !== bytes.length) throw new Error(`only ${count} of ${bytes.length} bytes were taken`);
}

/** Opens a file, writes to it in one write(2), and says what came of that. */
export function put(path: string, content: string | Buffer): string {
  return outcomeOf(() => {
    const fd = openSync(path, constants.O_WRONLY);
    try {
      write(fd, content);
    } finally {
      closeSync(fd);
    }
  });
}

/** What a file says, without the newline. */
export function get(path: string): string {
  const text = readFileSync(path, 'utf8');
  if (!text.endsWith('\n')) throw new Error(`${path} has no newline at its end`);
  return text.slice(0, -1);
}

/** The same on an open file, from its start. */
export function getAgain(fd: number): string {
  const buffer = Buffer.alloc(4096);
  return buffer.toString('utf8', 0, readSync(fd, buffer, 0, buffer.length, 0)).trimEnd();
}

export const create = (name: string | Buffer): string => put(join(LOCKS, 'create'), name);
export const remove = (name: string | Buffer): string => put(join(LOCKS, 'remove'), name);

/** All that can be read of a lock. */
export interface LockState {
  readonly bit: string;
  readonly owner: string;
  readonly epoch: number;
}

export class Lock {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }

  get directory(): string {
    return join(LOCKS, this.name);
  }

  at(file: string): string {
    return join(this.directory, file);
  }

  put(file: string, content: string | number | Buffer): string {
    return put(this.at(file), typeof content === 'number' ? String(content) : content);
  }

  get(file: string): string {
    return get(this.at(file));
  }

  get epoch(): number {
    return Number(this.get('epoch'));
  }

  get state(): LockState {
    return {bit: this.get('conf_locked'), owner: this.get('owner'), epoch: this.epoch};
  }
}

let locks = 0;

/** A lock of the test's own. It is gone when the test has ended, and so must be whoever has its bit. */
export function makeLock(t: ExecutionContext, name = `lock-${process.pid}-${++locks}`): Lock {
  t.is(create(name), 'ok');
  const lock = new Lock(name);
  t.teardown(() => discard(lock));
  return lock;
}

/** Removes a lock, also when a dead owner or the test itself has its bit. */
export function discard(lock: Lock): void {
  if (!existsSync(lock.directory)) return;
  lock.put('conf_locked', '0');
  const outcome = remove(lock.name);
  if (outcome !== 'ok') throw new Error(`${lock.name} can't be removed: ${outcome}; ${lock.get('owner')}`);
}
