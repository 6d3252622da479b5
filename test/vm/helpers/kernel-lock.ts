/** Where does a test in the machine work? On a lock of its own in the kernel, which goes when the test has ended. */
import {type ChildProcess, spawn} from 'node:child_process';
import {once} from 'node:events';
import {mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {basename, join} from 'node:path';
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
function removeLock(name: string): void {
  const bit = openLockBit(BITS, name);
  try {
    if (bit.read() === 1) bit.clear(bit.epoch());
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

/** A shell that knows nothing of Locksmith. It sets the bit, and does what it is told on standard input afterwards. */
export class Stranger {
  readonly #shell: ChildProcess;

  private constructor(shell: ChildProcess) {
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

  /** Runs a line, and waits until it is done. */
  async tell(line: string): Promise<void> {
    this.#shell.stdin?.write(`${line}; echo done\n`);
    if (this.#shell.stdout) await once(this.#shell.stdout, 'data');
  }

  async kill(): Promise<void> {
    if (this.#shell.exitCode !== null || this.#shell.signalCode !== null) return;
    const end = once(this.#shell, 'exit');
    this.#shell.kill('SIGKILL');
    await waitForExit(this.pid);
    await end;
  }
}
