/** How does a program lead another, line by line? A command goes in, an answer comes out; its death is an answer as well. */
import {type ChildProcess, spawn} from 'node:child_process';
import {once} from 'node:events';
import {createInterface} from 'node:readline';

/** A process that is asked by lines on its stdin, and answers by lines on its stdout. */
export class Peer {
  readonly child: ChildProcess;
  readonly #unread: string[] = [];
  readonly #gone: Promise<never>;
  #wake: (() => void) | undefined;

  constructor(command: string, ...args: readonly string[]) {
    const child = spawn(command, args, {stdio: ['pipe', 'pipe', 'inherit']});
    this.child = child;
    this.#gone = once(child, 'close').then(() => {
      throw new Error(`${command} ended with ${child.exitCode ?? child.signalCode}`);
    });
    this.#gone.catch(() => undefined);
    createInterface({input: child.stdout}).on('line', line => {
      this.#unread.push(line);
      this.#wake?.();
    });
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  /** How many answers have come that nobody has read. */
  get answers(): number {
    return this.#unread.length;
  }

  tell(command: string): void {
    this.child.stdin?.write(`${command}\n`);
  }

  /** The next line. Rejects when the process ends before. */
  async line(): Promise<string> {
    if (this.#unread.length === 0) {
      const arrived = new Promise<void>(resolve => {
        this.#wake = resolve;
      });
      await Promise.race([arrived, this.#gone]);
    }
    return this.#unread.shift() ?? '';
  }

  async ask(command: string): Promise<string> {
    this.tell(command);
    return this.line();
  }

  /** Ends its stdin, and waits for its end. */
  async end(): Promise<void> {
    this.child.stdin?.end();
    await this.#gone.catch(() => undefined);
  }
}
