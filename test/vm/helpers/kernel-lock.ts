/** Where does a test in the machine work? On a lock of its own in the kernel, which goes when the test has ended. */
import {type ChildProcessByStdio, spawn} from 'node:child_process';
import {once} from 'node:events';
import {mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {basename, join} from 'node:path';
import type {Readable, Writable} from 'node:stream';
import type {ExecutionContext} from 'ava';
import {removeKernelBit} from '../../../lib/os/kernel-bit.js';
import {openLockBit} from '../../../lib/os/lock-bit.js';
import {waitForExit} from '../../../lib/os/process.js';
import {hasCode} from '../../../lib/os/system-error.js';
import {OLD, type Scratch} from '../../helpers/scratch.js';

export const BITS = '/sys/locks';

/** A scratch whose lock has a name of its own, as all tests share one kernel. */
export interface KernelScratch extends Scratch {
  readonly name: string;
  /** Files of the lock in the kernel. */
  readonly bit: string;
}

/** Clears what the dead left, and removes the lock. A test that ends with a living owner has failed. */
export function removeLock(name: string): void {
  const bit = openLockBit(BITS, name);
  try {
    if (bit.read() === 1) bit.open().clear(bit.epoch());
    removeKernelBit(BITS, name);
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error;
  }
}

export function kernelScratch(t: ExecutionContext): KernelScratch {
  const directory = mkdtempSync(join(tmpdir(), 'locksmith-'));
  t.teardown(() => rmSync(directory, {recursive: true}));
  const name = basename(directory).replace('locksmith-', 'lock-');
  t.teardown(() => removeLock(name));
  mkdirSync(join(directory, 'etc'));
  const file = join(directory, 'etc', `${name}.conf`);
  writeFileSync(file, OLD);
  const run = join(directory, 'run');
  return {
    directory,
    file,
    name,
    bit: join(BITS, name),
    roots: {run, state: join(directory, 'state'), bits: BITS},
  };
}

/** The text of a lock's file, without its newline. */
export function shown({bit}: KernelScratch, file: 'conf_locked' | 'owner' | 'epoch'): string {
  return readFileSync(join(bit, file), 'utf8').trimEnd();
}

type Shell = ChildProcessByStdio<Writable, Readable, null>;

/** A shell that knows nothing of Locksmith. It sets the bit, and does what it is told on standard input afterwards. */
export class Stranger {
  readonly #shell: Shell;

  private constructor(shell: Shell) {
    this.#shell = shell;
  }

  static async set(t: ExecutionContext, {bit}: KernelScratch, ...wrapper: string[]): Promise<Stranger> {
    const shell = spawn('env', [...wrapper, 'sh'], {stdio: ['pipe', 'pipe', 'inherit']});
    const stranger = new Stranger(shell);
    t.teardown(() => stranger.kill());
    await stranger.tell(`echo 1 > ${bit}/conf_locked`);
    return stranger;
  }

  get pid(): number {
    return this.#shell.pid ?? 0;
  }

  get #ended(): boolean {
    return this.#shell.exitCode !== null || this.#shell.signalCode !== null;
  }

  /** Runs a line, and waits until it is done. Rejects when the shell ends instead. */
  async tell(line: string): Promise<void> {
    const settled = new AbortController();
    const {signal} = settled;
    const ended = once(this.#shell, 'close', {signal}).then(() => {
      throw new Error(`the shell ended at: ${line}`);
    });
    this.#shell.stdin.write(`${line}; echo done\n`);
    await Promise.race([once(this.#shell.stdout, 'data', {signal}), ended]);
    ended.catch(() => undefined);
    settled.abort();
  }

  /** Lets the shell end by itself. */
  async leave(): Promise<void> {
    const end = once(this.#shell, 'exit');
    this.#shell.stdin.end();
    await end;
  }

  async kill(): Promise<void> {
    if (this.#ended) return;
    const end = once(this.#shell, 'exit');
    this.#shell.kill('SIGKILL');
    await waitForExit(this.pid);
    await end;
  }
}
