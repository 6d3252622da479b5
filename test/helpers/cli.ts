/** Runs the built command line as people and scripts do: real processes, roots of their own, handshakes instead of sleeps. */
import {execFileSync, spawn} from 'node:child_process';
import {mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import type {ExecutionContext} from 'ava';
import {LockFile} from '../../lib/os/lock-file.js';
import {waitForExit} from '../../lib/os/process.js';
import {sanitizers} from './sanitizers.js';
import {type Ended, Started} from './started.js';

export const MAIN = fileURLToPath(new URL('../../lib/cli/main.js', import.meta.url));

/** A scratch directory with one configuration and roots of its own. */
export interface Bench {
  readonly directory: string;
  readonly file: string;
  readonly name: string;
  readonly roots: {readonly run: string; readonly state: string; readonly bits: string};
  /** Directory of the policy, which is not there unless a test makes it. */
  readonly policy: string;
  /** The variables that say all that, and what a program can't do without. */
  readonly env: Readonly<Record<string, string>>;
  /** Runs when the test has ended. */
  teardown(act: () => void): void;
  start(...args: string[]): Started;
  run(args: readonly string[], options?: {input?: string}): Promise<Ended>;
  /** Runs it as the last words of another command, `unshare` or a shell say; `env` instead of the usual environment. */
  runUnder(
    command: readonly string[],
    args: readonly string[],
    options?: {readonly env?: Readonly<Record<string, string>>},
  ): Promise<Ended>;
  /** Starts any command, in an environment of its own. */
  startCommand(command: readonly string[], env: Readonly<Record<string, string | undefined>>): Started;
  /** Runs a command whose result is one JSON value. */
  json<T = Record<string, unknown>>(...args: string[]): Promise<T>;
}

export const NAME = 'aim_lock_config';
export const HOT = `ERROR: ${NAME}.conf: HOT`;

/** Where a command looks for its state and its policy. */
function places({
  roots: {run, state, bits},
  policy,
}: Pick<Bench, 'roots' | 'policy'>): Record<string, string> {
  return {LOCKSMITH_RUN: run, LOCKSMITH_STATE: state, LOCKSMITH_BITS: bits, LOCKSMITH_POLICY: policy};
}

export function bench(t: ExecutionContext): Bench {
  const directory = mkdtempSync(join(tmpdir(), 'locksmith-cli-'));
  t.teardown(() => rmSync(directory, {recursive: true, force: true}));
  const run = join(directory, 'run');
  const roots = {run, state: join(directory, 'state'), bits: join(run, 'bits')};
  mkdirSync(join(directory, 'etc'));
  const file = join(directory, 'etc', `${NAME}.conf`);
  writeFileSync(file, 'old\n');
  const policy = join(directory, 'policy');
  const own = {...places({roots, policy}), ...sanitizers()};
  const env = {...process.env, ...own};
  const startCommand: Bench['startCommand'] = ([program = '', ...args], another) => {
    const started = new Started(spawn(program, args, {env: another, stdio: ['pipe', 'pipe', 'pipe']}));
    t.teardown(() => started.child.kill('SIGKILL'));
    return started;
  };
  const start = (...args: string[]) => startCommand([process.execPath, MAIN, ...args], env);
  const runIt: Bench['run'] = async (args, {input = ''} = {}) => {
    const started = start(...args);
    started.child.stdin.end(input);
    return started.ended;
  };
  return {
    directory,
    file,
    name: NAME,
    roots,
    policy,
    env: own,
    teardown: act => t.teardown(act),
    start,
    run: runIt,
    startCommand,
    async runUnder(command, args, {env: another = env} = {}) {
      const started = startCommand([...command, process.execPath, MAIN, ...args], another);
      started.child.stdin.end();
      return started.ended;
    },
    async json<T>(...args: string[]): Promise<T> {
      const {stdout} = await runIt([...args, '--json']);
      return JSON.parse(stdout) as T;
    },
  };
}

/** A bench whose lock exists and is free. */
export async function guardedBench(t: ExecutionContext): Promise<Bench> {
  const made = bench(t);
  await made.run(['run', made.file, '--', 'true']);
  return made;
}

/** A program under `locksmith run` that waits for the word to end, also when the wrapper is gone. */
export interface Occupant {
  readonly started: Started;
  /** The program, a shell. */
  readonly shell: number;
  /** Lets the program end; resolves when it has. */
  readonly end: () => Promise<void>;
  /** As end, and gives what the wrapper ended with. */
  readonly finish: () => Promise<Ended>;
}

let occupants = 0;

/** Starts a shell under `locksmith run FILE`, and waits until it runs. */
export async function occupy(made: Bench, ...options: string[]): Promise<Occupant> {
  const door = join(made.directory, `door-${++occupants}`);
  execFileSync('mkfifo', [door]);
  const started = made.start(
    'run',
    made.file,
    ...options,
    '--',
    'sh',
    '-c',
    'echo $$; read line < "$0"',
    door,
  );
  const shell = Number(await started.line());
  made.teardown(() => killIfThere(shell));
  const end = async () => {
    const gone = waitForExit(shell);
    await writeFile(door, '\n');
    await gone;
  };
  return {started, shell, end, finish: () => end().then(() => started.ended)};
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Resolves when nobody has the guard any more: a process that was killed closes its descriptors one after the other, and a pipe may be the first. */
export async function untilFree(made: Bench): Promise<void> {
  using guard = LockFile.open(join(made.roots.run, 'locks', made.name, 'guard'));
  await guard.wait('exclusive');
}

/** Makes the lock an orphan: its owner and the owner's program are killed. Returns the owner's pid. */
export async function orphan(made: Bench): Promise<number> {
  const {started, shell} = await occupy(made, '--purpose', 'nightly tuning');
  await started.kill();
  const gone = waitForExit(shell);
  process.kill(shell, 'SIGKILL');
  await gone;
  return started.pid;
}
