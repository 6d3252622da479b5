/** How does a test lead another process? By commands over IPC, each answered when it is done; death is awaited, not guessed. */
import {type ChildProcess, spawn} from 'node:child_process';
import {once} from 'node:events';
import {fileURLToPath} from 'node:url';
import {waitForExit} from '../../lib/os/process.js';
import {stopProcess} from './proc-state.js';
import type {Ends, Scratch} from './scratch.js';

export type Command =
  | 'acquire'
  | 'release'
  | 'update'
  | 'begin-update'
  | 'finish-update'
  | 'enter'
  | 'leave'
  | 'cycle'
  | 'another-cycle'
  | 'register'
  | 'beat'
  | 'progress'
  | 'rename'
  | 'halt'
  | 'hold'
  | 'end-hold'
  | 'prepare-effect'
  | 'take-effect'
  | 'open-for-writing'
  | 'close-file'
  | 'recover'
  | 'wait'
  | 'give-to-child';

export interface Answer {
  readonly did: Command;
  readonly error?: string;
  readonly [fact: string]: unknown;
}

/** A process that works on the scratch configuration (fixtures/actor.ts). */
export class Actor {
  readonly #child: ChildProcess;
  readonly #answers: Answer[] = [];
  #wake: (() => void) | undefined;

  constructor(child: ChildProcess) {
    this.#child = child;
    child.on('message', message => {
      this.#answers.push(message as Answer);
      this.#wake?.();
    });
    child.on('exit', () => this.#wake?.());
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get ended(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** Gives a command and waits for its answer. */
  async do(command: Command, facts: Readonly<Record<string, unknown>> = {}): Promise<Answer> {
    this.start(command, facts);
    return this.answer(command);
  }

  /** Gives a command only. */
  start(command: Command, facts: Readonly<Record<string, unknown>> = {}): void {
    this.#child.send({command, ...facts});
  }

  /** The next answer to a command. */
  async answer(command: Command): Promise<Answer> {
    for (;;) {
      const index = this.#answers.findIndex(({did}) => did === command);
      if (index >= 0) return this.#answers.splice(index, 1)[0] as Answer;
      if (this.ended) throw new Error(`the actor ended before it answered "${command}"`);
      await new Promise<void>(resolve => {
        this.#wake = resolve;
      });
    }
  }

  /** SIGKILL, and its end: for the kernel (its locks are free) and for its parent. */
  async kill(): Promise<void> {
    if (this.ended) return;
    const end = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await waitForExit(this.pid);
    await end;
  }

  /** SIGSTOP, until the kernel says that it is stopped. */
  stop(): void {
    stopProcess(this.pid);
  }

  continue(): void {
    this.#child.kill('SIGCONT');
  }
}

/** Starts an actor on a scratch; it is killed when the test has ended. `inside`: a command that puts it somewhere else, and ends with it. */
export async function actor(t: Ends, {file, roots}: Scratch, inside: readonly string[] = []): Promise<Actor> {
  const program = fileURLToPath(new URL('../fixtures/actor.js', import.meta.url));
  const [command, ...before] = [...inside, process.execPath];
  const child = spawn(command, [...before, program, JSON.stringify({file, roots})], {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
  });
  const started = new Actor(child);
  t.teardown(() => started.kill());
  await once(child, 'message');
  await started.answer('wait');
  return started;
}
