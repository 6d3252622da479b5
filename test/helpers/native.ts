/** What do tests of the addon need? Scratch files, waits as promises, and the same calls in another process. */
import {type ChildProcessByStdio, spawn} from 'node:child_process';
import {once} from 'node:events';
import {constants, mkdtempSync, rmSync} from 'node:fs';
import {constants as system, tmpdir} from 'node:os';
import {join} from 'node:path';
import {createInterface, type Interface} from 'node:readline';
import type {Readable, Writable} from 'node:stream';
import {fileURLToPath} from 'node:url';
import type {ExecutionContext} from 'ava';
import {LOCK_KIND, LOCK_TYPE, type Native, native, type Wait} from '../../lib/os/native.js';
import {compileProgram} from './compile.js';
import type * as softBits from './soft-bit.js';
import {traceable} from './stepper.js';

export const {ofd, flock, posix} = LOCK_KIND;
export const {shared, exclusive, unlock} = LOCK_TYPE;
/** Error numbers that node:os does not name. */
export const ERRNO = {...system.errno, ELOOP: 40, EOPNOTSUPP: 95, ENODATA: 61} as const;

/** The file of a fixture that was compiled from TypeScript. */
export const fixture = (name: string) => fileURLToPath(new URL(`../fixtures/${name}.js`, import.meta.url));

/** A directory that goes with the test. */
export function scratch(t: ExecutionContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'locksmith-os-'));
  t.teardown(() => rmSync(directory, {recursive: true, force: true}));
  return directory;
}

/** Opens a file for reading and writing, creates it, and closes it with the test. */
export function open(
  t: ExecutionContext,
  path: string,
  flags = constants.O_RDWR | constants.O_CREAT,
): number {
  const fd = native.open(path, flags, 0o644);
  t.true(fd >= 0, `open ${path}: ${fd}`);
  t.teardown(() => native.close(fd));
  return fd;
}

/** Several open file descriptions of one new file. */
export function openTimes(t: ExecutionContext, count: number): [number, number, ...number[]] {
  const path = join(scratch(t), 'file');
  return Array.from({length: count}, () => open(t, path)) as [number, number, ...number[]];
}

/** A wait whose result is a promise. Throws when it could not start. */
export function wait(
  fd: number,
  kind: number,
  type: number = exclusive,
): {result: Promise<number>; abort(): void} {
  let started: Wait | number = 0;
  const result = new Promise<number>(resolve => {
    started = native.waitLock(fd, kind, type, 0, 0, resolve);
  });
  if (typeof started === 'number') throw new Error(`waitLock: ${String(started)}`);
  return {result, abort: () => (started as Wait).abort()};
}

/** Resolves when a descriptor is readable. */
export function readable(fd: number): Promise<number> {
  return new Promise(resolve => {
    const watch = native.watch(fd, error => {
      if (typeof watch !== 'number') watch.close();
      resolve(error);
    });
    if (typeof watch === 'number') resolve(watch);
  });
}

/** Compiles a fixture in C. */
export function compile(t: ExecutionContext, name: string, ...options: string[]): string {
  const program = join(scratch(t), name);
  const source = fileURLToPath(new URL(`../../../test/fixtures/${name}.c`, import.meta.url));
  compileProgram(source, program, ...options);
  return program;
}

/** Compiles a fixture in C into a shared object. */
export function compileShared(t: ExecutionContext, name: string): string {
  return compile(t, name, '-shared', '-fPIC');
}

/** A process that makes calls of the addon for a test. */
export class Remote {
  readonly child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #lines: Interface;

  private constructor(child: ChildProcessByStdio<Writable, Readable, null>) {
    this.child = child;
    this.#lines = createInterface({input: child.stdout});
    child.stdin.on('error', () => undefined);
  }

  /** Starts one; it inherits `fds` as 3, 4, ... */
  static async start(t: ExecutionContext, ...fds: number[]): Promise<Remote> {
    const child = spawn(...(await traceable(process.execPath, [fixture('native-remote')])), {
      stdio: ['pipe', 'pipe', 'inherit', ...fds],
    }) as unknown as ChildProcessByStdio<Writable, Readable, null>;
    t.teardown(() => child.kill('SIGKILL'));
    const remote = new Remote(child);
    await once(remote.#lines, 'line');
    return remote;
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  /** Calls a function there. Results come in the order of the calls; undefined comes back as null. */
  async call<T = number>(name: keyof Native | keyof typeof softBits, ...args: unknown[]): Promise<T> {
    const line = once(this.#lines, 'line') as Promise<[string]>;
    this.child.stdin.write(`${JSON.stringify([name, ...args])}\n`);
    return JSON.parse((await line)[0]) as T;
  }

  /** Opens a file there. */
  async open(path: string): Promise<number> {
    return this.call('open', path, constants.O_RDWR | constants.O_CREAT, 0o644);
  }

  async kill(): Promise<void> {
    const gone = once(this.child, 'exit');
    this.child.kill('SIGKILL');
    await gone;
  }
}
