/** How does a test lead another process? By lines: programs/actor.c does what it is told, and answers. */
import {type ChildProcessByStdio, spawn} from 'node:child_process';
import {once} from 'node:events';
import {readFileSync} from 'node:fs';
import {createInterface} from 'node:readline';
import type {Readable, Writable} from 'node:stream';
import type {ExecutionContext} from 'ava';
import {errnoName} from '../../../lib/os/system-error.js';

/** "0" is success, a number an errno. */
const outcome = (answer: string) => (answer === '0' ? 'ok' : errnoName(Number(answer)));
/** A value, or an errno behind "!". */
const value = (answer: string) => (answer.startsWith('!') ? errnoName(Number(answer.slice(1))) : answer);

export class Actor {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #lines: AsyncIterator<string>;

  private constructor(child: ChildProcessByStdio<Writable, Readable, null>) {
    this.#child = child;
    this.#lines = createInterface({input: child.stdout})[Symbol.asyncIterator]();
    child.stdin.on('error', () => undefined);
  }

  /** Starts one, which dies with the test. */
  static async start(t: ExecutionContext): Promise<Actor> {
    const started = new Actor(spawn('/vm/bin/actor', {stdio: ['pipe', 'pipe', 'inherit']}));
    t.teardown(() => started.kill());
    t.is(await started.hear(), String(started.pid));
    return started;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** The next line of what it says. */
  async hear(): Promise<string> {
    const {value: line, done} = await this.#lines.next();
    if (done === true) throw new Error('the actor has ended');
    return line;
  }

  /** Gives a command only. */
  tell(...words: readonly (string | number)[]): void {
    this.#child.stdin.write(`${words.join(' ')}\n`);
  }

  /** Gives a command, and hears the answer. */
  async ask(...words: readonly (string | number)[]): Promise<string> {
    this.tell(...words);
    return this.hear();
  }

  /** Has it write; "ok" or the name of the error. */
  async put(path: string, text: string | number): Promise<string> {
    return outcome(await this.ask('write', path, text));
  }

  /** Has it read; the value or the name of the error. */
  async get(path: string): Promise<string> {
    return value(await this.ask('read', path));
  }

  /** Has it write by a thread that is not its leader, and ends then. */
  async putInThread(path: string, text: string | number): Promise<string> {
    return outcome(await this.ask('write-in-thread', path, text));
  }

  /** Has it go on as a user, in one further group if one is given. */
  async become(uid: number, gid: number, group?: number): Promise<void> {
    await this.ask('user', uid, gid, ...(group === undefined ? [] : [group]));
  }

  /** Has it go on as its own child, under a pid if one is given. Gives the pid that the child has for itself. */
  async fork(pid?: number): Promise<number> {
    return Number(await this.ask('fork', ...(pid === undefined ? [] : [pid])));
  }

  /** Has it go on as the init of a new pid namespace. */
  async enterNamespace(): Promise<void> {
    const pid = await this.ask('namespace');
    if (pid !== '1') throw new Error(`no pid namespace: ${value(pid)}`);
  }

  /** Ends the child that it goes on as, until its parent has collected it and goes on. */
  async endChild(): Promise<void> {
    this.tell('exit');
    await this.hearBack();
  }

  /** Waits until it goes on as itself, after the child has ended. */
  async hearBack(): Promise<void> {
    const line = await this.hear();
    if (line !== 'back') throw new Error(`not "back" but "${line}"`);
  }

  /** Has a child write and end, and does not collect it. */
  async leaveZombie(path: string, text: string | number): Promise<{pid: number; outcome: string}> {
    const [pid, error = ''] = (await this.ask('leave-zombie', path, text)).split(' ');
    return {pid: Number(pid), outcome: outcome(error)};
  }

  /** Has it fall asleep in poll(2) for a file; the answer is what that says then, or the name of an error. */
  async sleepOn(path: string): Promise<{woken: Promise<string>}> {
    await this.ask('watch', path);
    const said = await this.ask('sleep-until-woken');
    if (said !== 'asleep') throw new Error(`not asleep but "${said}"`);
    return {woken: this.hear().then(value)};
  }

  /** The pid, as we see it, of the child that the process itself has. */
  childPid(): number {
    const children = readFileSync(`/proc/${this.pid}/task/${this.pid}/children`, 'utf8').trim().split(' ');
    const pid = Number(children[0]);
    if (children.length !== 1 || !(pid > 1)) throw new Error(`children: "${children.join(' ')}"`);
    return pid;
  }

  /** SIGKILL; resolves when it has been collected. */
  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await gone;
  }

  /** Waits for an end that comes by itself. */
  async ended(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) await once(this.#child, 'exit');
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }
}
