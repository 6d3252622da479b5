/** How does a test give the pid of a process that has ended to another one at once? By clone3(2), or by telling the kernel which pid it gave last. */
import {type ChildProcessByStdio, spawn} from 'node:child_process';
import type {Readable, Writable} from 'node:stream';
import {once} from 'node:events';
import {createInterface, type Interface} from 'node:readline';

type Child = ChildProcessByStdio<Writable, Readable, null>;

/** Whoever cleans up after a test. */
interface Teardown {
  teardown(act: () => void): void;
}

/** A program that takes pids (fixtures/pid-taker.c). */
export class PidTaker {
  /** CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN in the user namespace of the pid namespace (clone(2)). */
  static readonly may: boolean = process.getuid?.() === 0;

  readonly #child: Child;
  readonly #lines: Interface;

  private constructor(child: Child) {
    this.#child = child;
    this.#lines = createInterface({input: child.stdout});
  }

  static async start(t: Teardown, program: string): Promise<PidTaker> {
    const child = spawn(program, {stdio: ['pipe', 'pipe', 'inherit']});
    t.teardown(() => child.kill('SIGKILL'));
    const taker = new PidTaker(child);
    await once(taker.#lines, 'line');
    return taker;
  }

  /** False when the pid was taken by somebody else. */
  async take(as: 'process' | 'thread', pid: number): Promise<boolean> {
    return (await this.#ask(`${as} ${pid}`)) === `took ${pid}`;
  }

  /** Ends what it has made. */
  async letGo(): Promise<void> {
    await this.#ask('let go');
  }

  /** Ends it. */
  async end(): Promise<void> {
    const gone = once(this.#child, 'exit');
    this.#child.stdin.end();
    await gone;
  }

  async #ask(order: string): Promise<string> {
    const line = once(this.#lines, 'line') as Promise<[string]>;
    this.#child.stdin.write(`${order}\n`);
    return (await line)[0];
  }
}
