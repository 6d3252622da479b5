/** How does a test kill or stop a process right before the N-th system call of an operation, or make that call fail? */

import {type ChildProcess, execFile, spawn} from 'node:child_process';
import {createHash, randomUUID} from 'node:crypto';
import {once} from 'node:events';
import {access, mkdir, readFile, rename, rm} from 'node:fs/promises';
import {createInterface} from 'node:readline';
import {text} from 'node:stream/consumers';
import {fileURLToPath} from 'node:url';
import {promisify} from 'node:util';
import {errnoOf} from '../../lib/os/system-error.js';

// From dist/test/helpers, where this file runs.
const source = fileURLToPath(new URL('../../../test/fixtures/stepper.c', import.meta.url));
const cache = fileURLToPath(new URL('../fixtures/bin/', import.meta.url));
const flags = ['-O2', '-Wall', '-Wextra', '-Werror'];

/** The target looks for these paths, as with `fs.existsSync(begin)`, where its operation begins and ends. */
export const marker = {begin: '/locksmith-step-begin', end: '/locksmith-step-end'};

/** What to do to the target at the N-th call; `count` only counts, `fail` makes the call return that error. */
export type Action = 'kill' | 'stop' | 'count' | {readonly fail: string};

/**
 * How it came out:
 *
 * - `killed`: dead by SIGKILL before call number `count` ran. `call` is its name, or its number as text.
 * - `stopped`: an ordinary stopped process, no longer traced, that runs the call after SIGCONT.
 * - `failed`: the call has failed, and the target goes on untraced.
 * - `end`: the operation was over after `count` calls, and the target goes on untraced.
 * - `exited`: the target was gone before the end of its operation.
 */
export type Outcome =
  | {kind: 'killed' | 'stopped' | 'failed'; count: number; call: string}
  | {kind: 'end'; count: number}
  | {kind: 'exited'};

/** A stepper that has hold of its target. */
export interface Stepper {
  /** Rejects when the tracing failed; the message is the stepper's own. */
  readonly outcome: Promise<Outcome>;
}

/**
 * Takes hold of a process and resolves when it may be told to go.
 *
 * The target waits for that, for example in a read from its stdin. What it does between the markers is
 * counted over all its threads, from 1, so the number of calls differs a little from run to run where threads
 * compete: loop over `n` until the outcome is `end`. Its children aren't traced.
 *
 * @param n the call, counted from 1, before which `action` takes place.
 * @param calls names of the calls that count, as in fixtures/stepper.c; by default all do.
 * @throws when there is no such process, or tracing isn't allowed or not possible: see canTrace.
 */
export async function attach(
  pid: number,
  n: number,
  action: Action,
  calls: readonly string[] = [],
): Promise<Stepper> {
  const word = typeof action === 'string' ? action : `fail=${errnoOf(action.fail)}`;
  const only = calls.length > 0 ? [calls.join(',')] : [];
  const stepper = spawn(await compile(), [String(pid), String(n), word, ...only], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const complaint = text(stepper.stderr);
  const lines = createInterface({input: stepper.stdout})[Symbol.asyncIterator]();
  const nextLine = async (): Promise<string> => {
    const line = await lines.next();
    if (line.done === true) throw new Error((await complaint).trim() || 'stepper: ended without a report');
    return line.value;
  };
  await once(stepper, 'spawn');

  const first = await nextLine();
  if (first !== 'ready') throw new Error(`stepper: unexpected "${first}"`);
  const outcome = nextLine().then(parseOutcome);
  outcome.catch(() => undefined); // whoever awaits it gets the rejection; nobody has to
  return {outcome};
}

function parseOutcome(line: string): Outcome {
  const [kind, count, call = ''] = line.split(' ');
  switch (kind) {
    case 'killed':
    case 'stopped':
    case 'failed':
      return {kind, count: Number(count), call};
    case 'end':
      return {kind, count: Number(count)};
    case 'exited':
      return {kind};
    default:
      throw new Error(`stepper: unexpected "${line}"`);
  }
}

/**
 * The command that runs `file` so that the stepper may trace it where Yama (ptrace_scope 1, the default of
 * Ubuntu) allows that to ancestors only. The pid stays the same: it is an execve(2).
 */
export async function traceable(file: string, args: readonly string[]): Promise<[string, string[]]> {
  return [await compile(), ['allow', file, ...args]];
}

let reasonAgainst: Promise<string | undefined> | undefined;

/** Why nothing can be traced here (no compiler, other CPU, not permitted), or undefined when it can. */
export async function canTrace(): Promise<string | undefined> {
  reasonAgainst ??= tryTracing();
  return reasonAgainst;
}

async function tryTracing(): Promise<string | undefined> {
  let cat: ChildProcess | undefined;
  try {
    cat = spawn(...(await traceable('cat', [])), {stdio: ['pipe', 'pipe', 'inherit']});
    const exit = once(cat, 'exit');
    // Its echo shows that `allow` is behind it.
    cat.stdin?.write('up\n');
    if (cat.stdout) await once(cat.stdout, 'data');
    const {outcome} = await attach(cat.pid ?? 0, 0, 'count');
    cat.stdin?.end();
    const {kind} = await outcome;
    await exit;
    return kind === 'exited' ? undefined : `cat came out as ${kind}`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    cat?.kill('SIGKILL');
  }
}

let compiled: Promise<string> | undefined;

/** The stepper's executable, compiled on first use into a file named by what it was made of. */
async function compile(): Promise<string> {
  compiled ??= (async () => {
    const hash = createHash('sha256')
      .update(flags.join(' '))
      .update(await readFile(source));
    const program = `${cache}stepper-${hash.digest('hex').slice(0, 16)}`;
    if (await isThere(program)) return program;

    await mkdir(cache, {recursive: true});
    const fresh = `${program}.${randomUUID()}`;
    try {
      await promisify(execFile)('cc', [...flags, '-o', fresh, source]);
      await rename(fresh, program); // whole or not at all: other test processes do the same
    } finally {
      await rm(fresh, {force: true});
    }
    return program;
  })();
  return compiled;
}

async function isThere(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
