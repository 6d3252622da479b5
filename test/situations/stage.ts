/** Where is a situation set up, and who plays in it? Real processes that say when they stand, and leave when their input ends. */
import {execFileSync, spawn} from 'node:child_process';
import {once} from 'node:events';
import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {createInterface} from 'node:readline';
import type {Readable} from 'node:stream';
import {fileURLToPath} from 'node:url';
import {compileProgram} from '../helpers/compile.js';
import {environment} from '../machine/command.js';

/** What a situation needs from whoever asks for it, a test or a script. */
export interface Stage {
  /** Of this situation alone. */
  readonly directory: string;
  /** To be called at the end, the last one first, each also when another one fails. */
  onEnd(cleanup: () => unknown): void;
}

async function cleanUp(cleanups: readonly (() => unknown)[]): Promise<void> {
  const problems: unknown[] = [];
  for (const cleanup of cleanups.toReversed()) {
    try {
      await cleanup();
    } catch (error) {
      problems.push(error);
    }
  }
  if (problems.length > 0) throw new AggregateError(problems, problems.map(String).join('; '));
}

/** A stage for a script; a test has its own. Whatever happened on it, it is left clean. */
export async function onStage<T>(play: (stage: Stage) => Promise<T>): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), 'locksmith-situation-'));
  const cleanups: (() => unknown)[] = [() => rmSync(directory, {recursive: true, force: true})];
  try {
    return await play({directory, onEnd: cleanup => cleanups.push(cleanup)});
  } finally {
    await cleanUp(cleanups);
  }
}

/** Without what a sanitizer wants to be loaded first: that is for the addon. */
const env = {...environment, LD_PRELOAD: ''};

const sources = fileURLToPath(new URL('../../../test/fixtures/holders/', import.meta.url));
const OPTIONS = ['-D_GNU_SOURCE', '-pthread'];
let programs: string | undefined;

/** Compiles a fixture of test/fixtures/holders once for this process. */
const compile = (() => {
  const compiled = new Map<string, string>();
  return (name: string): string => {
    if (programs === undefined) {
      const directory = mkdtempSync(join(tmpdir(), 'locksmith-holders-'));
      process.on('exit', () => rmSync(directory, {recursive: true, force: true}));
      programs = directory;
    }
    const program = compiled.get(name) ?? join(programs, name);
    if (!compiled.has(name)) compileProgram(join(sources, `${name}.c`), program, ...OPTIONS);
    compiled.set(name, program);
    return program;
  };
})();

/** Processes of one fixture that stand in their situation. */
export interface Cast {
  /** What it said after "ready". */
  readonly numbers: readonly number[];
  /** Ends its input and resolves with what it said after that, once all that share its output have gone. */
  leave(): Promise<readonly string[]>;
}

function lineReader(output: Readable): {next(): Promise<string | undefined>} {
  const lines = createInterface({input: output})[Symbol.asyncIterator]();
  return {
    async next() {
      const line = await lines.next();
      return line.done === true ? undefined : line.value;
    },
  };
}

/** Starts a fixture and resolves when it stands. It leaves at the end of the stage, if not before. */
export async function start(stage: Stage, name: string, ...args: (string | number)[]): Promise<Cast> {
  const child = spawn(compile(name), args.map(String), {stdio: ['pipe', 'pipe', 'inherit'], env});
  child.stdin.on('error', () => undefined);
  const closed = once(child, 'close');
  const lines = lineReader(child.stdout);
  const leave = async () => {
    child.stdin.end();
    const rest: string[] = [];
    for (let line = await lines.next(); line !== undefined; line = await lines.next()) rest.push(line);
    await closed;
    return rest;
  };
  stage.onEnd(leave);
  const [said, ...numbers] = ((await lines.next()) ?? '').split(' ');
  if (said !== 'ready') throw new Error(`${name} ${args.join(' ')}: not ready`);
  return {numbers: numbers.map(Number), leave};
}

/** Starts a fixture and gives the pids that it says, of which there is at least one. */
export async function cast(
  stage: Stage,
  name: string,
  ...args: (string | number)[]
): Promise<[number, ...number[]]> {
  const {numbers} = await start(stage, name, ...args);
  return numbers as [number, ...number[]];
}

/** Runs a command to its end; its output. Throws what it complained about. */
export function sh(...command: [string, ...string[]]): string {
  const [file, ...args] = command;
  return execFileSync(file, args, {encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], env});
}
