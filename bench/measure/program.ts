/** How is a program of the bench talked to? Line by line: it says "ready", then answers each line with one. */
import {type ChildProcessByStdio, execFileSync, spawn} from 'node:child_process';
import {once} from 'node:events';
import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {createInterface} from 'node:readline';
import type {Readable, Writable} from 'node:stream';
import {setTimeout} from 'node:timers/promises';
import {fileURLToPath} from 'node:url';
import {BENCH} from '../peers.js';

export interface Program {
  readonly pid: number;
  /** Says a line, and gives the next one of the answer. Rejects with what the program complained of when it has ended. */
  ask(line: string): Promise<string>;
  /** Its next line. */
  next(): Promise<string>;
  /** Ends it and waits for its end. */
  end(signal?: NodeJS.Signals): Promise<void>;
}

type Child = ChildProcessByStdio<Writable, Readable, Readable>;

/** What a program complained of: the runtime shows the line of the source first. */
function saidIn(complaint: string): string | undefined {
  const lines = complaint.trim().split('\n');
  return lines.find(line => /^\w*Error\b/.test(line)) ?? lines.find(line => line.includes(':'));
}

/** Starts a program. */
export function launch(file: string, args: readonly string[]): Program {
  const child: Child = spawn(file, args, {stdio: ['pipe', 'pipe', 'pipe']});
  const exit = once(child, 'exit');
  let complaint = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (complaint += text));
  child.stdin.on('error', () => undefined); // told by the missing answer
  const lines = createInterface({input: child.stdout})[Symbol.asyncIterator]();
  const next = async (): Promise<string> => {
    const line = await lines.next();
    if (line.done !== true) return line.value;
    await exit;
    throw new Error(saidIn(complaint) ?? `${file} ended`);
  };
  return {
    pid: child.pid ?? 0,
    next,
    async ask(line) {
      child.stdin.write(`${line}\n`);
      return next();
    },
    async end(signal = 'SIGKILL') {
      child.kill(signal);
      await exit;
    },
  };
}

/** Starts a program and waits for its "ready". */
export async function start(file: string, args: readonly string[]): Promise<Program> {
  const program = launch(file, args);
  const first = await program.next();
  if (first === 'ready') return program;
  await program.end();
  throw new Error(`${file} said "${first}"`);
}

/** Something did not come in its time: of a subject that is measured, a result. */
export class TooLate extends Error {}

/** Waits for it, but at most so many milliseconds; then rejects with TooLate. */
export async function within<T>(milliseconds: number, promise: Promise<T>): Promise<T> {
  const end = new AbortController();
  const late = setTimeout(milliseconds, undefined, {signal: end.signal}).then(() => {
    throw new TooLate(`not within ${milliseconds / 1000} s`);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    late.catch(() => undefined); // aborted, as it is not needed any more
    end.abort();
  }
}

const compiled = new Map<string, string>();

/** A C program of the bench, built on the spot. */
export function compile(name: 'yardstick' | 'contender' = 'yardstick'): string {
  const before = compiled.get(name);
  if (before !== undefined) return before;
  const directory = mkdtempSync(join(tmpdir(), 'locksmith-bench-'));
  process.once('exit', () => rmSync(directory, {recursive: true, force: true}));
  const output = join(directory, name);
  const flags = ['-std=gnu11', '-O2', '-Wall', '-Wextra', '-Werror', '-pthread'];
  execFileSync('cc', [...flags, '-o', output, join(BENCH, `c/${name}.c`)], {stdio: 'inherit'});
  compiled.set(name, output);
  return output;
}

export function startC(...args: readonly string[]): Promise<Program> {
  return start(compile(), args);
}

/** Starts a module of the bench, by its path from here, with options of the runtime. */
export function startNode(
  options: readonly string[],
  module: string,
  ...args: readonly string[]
): Promise<Program> {
  const file = fileURLToPath(new URL(module, import.meta.url));
  return start(process.execPath, [...options, file, ...args]);
}

export function startModule(module: string, ...args: readonly string[]): Promise<Program> {
  return startNode([], module, ...args);
}
