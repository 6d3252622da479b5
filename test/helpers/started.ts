/** How does a test talk with a program that it has started? By lines, until its end. */
import type {ChildProcessByStdio} from 'node:child_process';
import {once} from 'node:events';
import {createInterface, type Interface} from 'node:readline';
import type {Readable, Writable} from 'node:stream';

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command that runs. */
export class Started {
  readonly child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly ended: Promise<Ended>;
  readonly #lines: Interface;
  /** Lines on stdout that nobody has asked for yet: several may come at once. */
  readonly #unread: string[] = [];
  readonly #seen = {stdout: '', stderr: ''};

  constructor(child: ChildProcessByStdio<Writable, Readable, Readable>) {
    this.child = child;
    this.#lines = createInterface({input: child.stdout});
    this.#lines.on('line', line => this.#unread.push(line));
    child.stdout.on('data', (chunk: Buffer) => (this.#seen.stdout += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (this.#seen.stderr += chunk.toString()));
    child.stdin.on('error', () => undefined);
    this.ended = once(child, 'close').then(() => ({
      code: child.exitCode,
      signal: child.signalCode,
      ...this.#seen,
    }));
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  /** The next line on stdout. */
  async line(): Promise<string> {
    while (this.#unread.length === 0) await once(this.#lines, 'line');
    return this.#unread.shift() ?? '';
  }

  /** Reads stdout up to a line with that text; false when it ends before. */
  async reaches(text: string): Promise<boolean> {
    let over = false;
    const end = this.ended.then(() => (over = true));
    for (;;) {
      for (let line = this.#unread.shift(); line !== undefined; line = this.#unread.shift())
        if (line.includes(text)) return true;
      if (over) return false;
      await Promise.race([once(this.#lines, 'line'), end]);
    }
  }

  /** Resolves when stderr has that text. */
  async says(text: string): Promise<void> {
    while (!this.#seen.stderr.includes(text)) await once(this.child.stderr, 'data');
  }

  /** Ends its stdin: programs that wait for a line there go on. */
  async finish(): Promise<Ended> {
    this.child.stdin.end('\n');
    return this.ended;
  }

  /** Kills it, and nothing that it started. */
  async kill(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const gone = once(this.child, 'exit');
    this.child.kill('SIGKILL');
    await gone;
  }
}
