/** How is a program of the bench talked to? Line by line: it says "ready", then answers each line with one. */
import {type ChildProcessByStdio, execFileSync, spawn} from 'node:child_process';
import {once} from 'node:events';
import {mkdtempSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {createInterface} from 'node:readline';
import type {Readable, Writable} from 'node:stream';
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

/** Starts a program and waits for its "ready". */
export async function start(file: string, args: readonly string[]): Promise<Program> {
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
  const program: Program = {
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
  const first = await next();
  if (first !== 'ready') throw new Error(`${file} said "${first}"`);
  return program;
}

let compiled: string | undefined;

/** The yardstick: a C program, built on the spot. */
export function compile(): string {
  if (compiled !== undefined) return compiled;
  const output = join(mkdtempSync(join(tmpdir(), 'locksmith-bench-')), 'yardstick');
  const flags = ['-std=gnu11', '-O2', '-Wall', '-Wextra', '-Werror', '-pthread'];
  execFileSync('cc', [...flags, '-o', output, join(BENCH, 'c/yardstick.c')], {stdio: 'inherit'});
  compiled = output;
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
