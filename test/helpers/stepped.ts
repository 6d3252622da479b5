/** How does a test walk through an operation call by call? Starts a fixture, holds it at its N-th call, and hands it to the test. */
import {type ChildProcessByStdio, spawn} from 'node:child_process';
import {once} from 'node:events';
import type {Readable, Writable} from 'node:stream';
import {text} from 'node:stream/consumers';
import {fileURLToPath} from 'node:url';
import anyTest, {type ExecutionContext, type ImplementationFn} from 'ava';
import {testWith} from './here.js';
import {type Action, attach, canTrace, type Outcome, traceable} from './stepper.js';

/** Far more calls than any operation here makes. */
const MOST_POINTS = 5000;

const untraceable = await canTrace();

/** A test that walks through system calls, one at a time. */
export function steppedTest(title: string, run: ImplementationFn<[]>): void {
  const missing = untraceable === undefined ? undefined : `a process that can be traced: ${untraceable}`;
  testWith(missing, title, run, anyTest.serial);
}

export interface Stepped {
  readonly outcome: Outcome;
  readonly child: ChildProcessByStdio<Writable, Readable, null>;
  /** Its last line: how the operation came out. */
  readonly result: Promise<string>;
  /** Resolves when it has been reaped. */
  readonly exit: Promise<unknown>;
}

/** Runs fixtures/NAME.js with the stepper at its call number `n`, of `calls` if there are any. */
export async function runStepped(
  t: ExecutionContext,
  name: string,
  facts: object,
  n: number,
  action: Action,
  calls: readonly string[] = [],
): Promise<Stepped> {
  const program = fileURLToPath(new URL(`../fixtures/${name}.js`, import.meta.url));
  const child = spawn(...(await traceable(process.execPath, [program, JSON.stringify(facts)])), {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  const exit = once(child, 'exit');
  await once(child.stdout, 'readable');
  const stepper = await attach(child.pid ?? 0, n, action, calls);
  const result = text(child.stdout).then(output => output.trim().split('\n').at(-1) ?? '');
  child.stdin.end('go\n');
  return {outcome: await stepper.outcome, child, result, exit};
}

/** How many calls more are tried once an operation has ended before its N-th: threads make a few more or less each time. */
const BEYOND_END = 12;

/** Calls `examine` for every call of the operation from the first to the last, and returns how many there were. */
export async function forEachCall(
  t: ExecutionContext,
  run: (n: number) => Promise<Stepped>,
  examine: (stepped: Stepped) => Promise<void>,
): Promise<number> {
  let last = 0;
  for (let n = 1; n <= MOST_POINTS; n++) {
    const stepped = await run(n);
    if (stepped.outcome.kind === 'end') {
      await stepped.exit;
      if (n - last > BEYOND_END) return last;
    } else {
      await examine(stepped);
      last = n;
    }
  }
  t.fail(`no end after ${MOST_POINTS} calls`);
  return MOST_POINTS;
}
