/** How does a test give the pid of a process that has ended to another one at once? By clone3(2), or by telling the kernel which pid it gave last. */
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {createInterface, type Interface} from 'node:readline';
import type {Readable, Writable} from 'node:stream';

/** Whoever cleans up after a test. */
interface Teardown {
  teardown(act: () => void): void;
}

/** A program that takes pids (fixtures/pid-taker.c). */
export class PidTaker {
  /** CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN in the user namespace of the pid namespace (clone(2)). */
  static readonly may: boolean = process.getuid?.() === 0;

  readonly #orders: Writable;
  readonly #lines: Interface;

  private constructor(orders: Writable, answers: Readable) {
    this.#orders = orders;
    this.#lines = createInterface({input: answers});
  }

  static async start(t: Teardown, program: string): Promise<PidTaker> {
    const child = spawn(program, {stdio: ['pipe', 'pipe', 'inherit']});
    t.teardown(() => child.kill('SIGKILL'));
    return PidTaker.meet(child.stdin, child.stdout);
  }

  /** One that somebody else starts. */
  static async meet(orders: Writable, answers: Readable): Promise<PidTaker> {
    const taker = new PidTaker(orders, answers);
    await once(taker.#lines, 'line');
    return taker;
  }

  /** False when the pid was taken by somebody else. */
  async take(as: 'process' | 'thread', pid: number): Promise<boolean> {
    return (await this.#ask(`${as} ${pid}`)) === `took ${pid}`;
  }

  /** Starts one that has a lock on a file: `own` an OFD lock, `flock` one of flock(2) that a child inherits, and with `hide` hides in a message. */
  async startOwner(how: 'own' | 'flock' | 'hide', path: string): Promise<{pid: number; child: number}> {
    const [said, pid, child] = (await this.#ask(`${how} ${path}`)).split(' ');
    if (said !== 'owns') throw new Error(`${path} could not be locked`);
    return {pid: Number(pid), child: Number(child)};
  }

  /** Ends the owner; its pid is free. */
  async killOwner(): Promise<void> {
    await this.#ask('die');
  }

  /** Ends all that it has made. */
  async letGo(): Promise<void> {
    await this.#ask('let go');
  }

  /** Ends it. */
  async end(): Promise<void> {
    const closed = once(this.#lines, 'close');
    this.#orders.end();
    await closed;
  }

  async #ask(order: string): Promise<string> {
    const line = once(this.#lines, 'line') as Promise<[string]>;
    this.#orders.write(`${order}\n`);
    return (await line)[0];
  }
}
