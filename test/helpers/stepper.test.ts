import {type ChildProcessByStdio, spawn} from 'node:child_process';
import {once} from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type {Readable, Writable} from 'node:stream';
import {text} from 'node:stream/consumers';
import {fileURLToPath} from 'node:url';
import type {ExecutionContext} from 'ava';
import {steppedTest} from './stepped.js';
import {type Action, attach, type Outcome, traceable} from './stepper.js';

const writer = fileURLToPath(new URL('../fixtures/stepped-writer.js', import.meta.url));
const mostPoints = 2000;
const mostRounds = 6;

interface Run {
  outcome: Outcome;
  folder: string;
  child: ChildProcessByStdio<Writable, Readable, null>;
  /** Exit code or signal. */
  exit: Promise<number | string | null>;
  output: Promise<string>;
}

/** Runs the writer in a folder of its own with the stepper at call `n`. */
async function run(
  t: ExecutionContext,
  n: number,
  action: Action,
  calls: readonly string[] = [],
): Promise<Run> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'locksmith-stepper-'));
  const child = spawn(...(await traceable(process.execPath, [writer, folder])), {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  t.teardown(() => {
    child.kill('SIGKILL');
    fs.rmSync(folder, {recursive: true, force: true});
  });
  const exit = once(child, 'exit').then(() => child.exitCode ?? child.signalCode);
  await once(child.stdout, 'readable'); // "up" is there, unread
  const stepper = await attach(child.pid ?? 0, n, action, calls);
  const output = text(child.stdout);
  child.stdin.end('go\n');
  return {outcome: await stepper.outcome, folder, child, exit, output};
}

/**
 * Calls `examine` with a run for each call up to the end of the operation; logs what that took. The futexes of
 * V8's threads make the N-th call of one run the N+1st of another, so a loop may step over a call: it is
 * repeated until `complete`.
 */
async function runAll(
  t: ExecutionContext,
  action: Action,
  complete: () => boolean,
  examine: (run: Run) => Promise<void>,
) {
  for (let round = 1; round <= mostRounds; round++) {
    await runEach(t, action, examine);
    if (complete()) return;
  }
  t.fail(`something was stepped over in ${mostRounds} rounds`);
}

async function runEach(t: ExecutionContext, action: Action, examine: (run: Run) => Promise<void>) {
  const start = performance.now();
  for (let n = 1; n <= mostPoints; n++) {
    const one = await run(t, n, action);
    if (one.outcome.kind === 'end') {
      t.true(one.outcome.count < n);
      t.is(await one.exit, 0);
      t.log(`${n - 1} points, ${Math.round((performance.now() - start) / n)} ms each`);
      return;
    }
    await examine(one);
  }
  t.fail(`no end after ${mostPoints} calls`);
}

/** File contents by name, in the order of the names. */
function contents(folder: string): Record<string, string> {
  const names = fs.readdirSync(folder).toSorted((a, b) => (a < b ? -1 : 1));
  return Object.fromEntries(names.map(name => [name, fs.readFileSync(path.join(folder, name), 'utf8')]));
}

const finished = {one: 'first\nsecond\n', two: 'third\n'};

/** Every state in which the writer may be left, in order. */
const states = [
  {},
  {'one.tmp': ''},
  {'one.tmp': 'first\n'},
  {'one.tmp': finished.one},
  {one: finished.one},
  {one: finished.one, 'two.tmp': ''},
  {one: finished.one, 'two.tmp': finished.two},
  finished,
].map(state => JSON.stringify(state));

/** The states right before the two blocking writes. */
const firstTwoWrites = states.slice(1, 3);

/** The states right before a call of the writer, if the writer is all that makes such calls. */
const before: Record<string, string[]> = {
  rename: [3, 6].map(i => states[i] ?? ''),
};

steppedTest('counting leaves a process to its end and finds its calls', async t => {
  const {outcome, exit, output, folder} = await run(t, 0, 'count');
  t.is(outcome.kind, 'end');
  t.true(outcome.kind === 'end' && outcome.count >= 10);
  t.is(await exit, 0);
  t.is(await output, 'up\ndone\n');
  t.deepEqual(contents(folder), finished);
});

steppedTest('a process is killed before each call, in each state between two of them', async t => {
  const seen = new Set<string>();
  await runAll(
    t,
    'kill',
    () => seen.size === states.length,
    async ({outcome, exit, folder}) => {
      t.is(outcome.kind, 'killed');
      t.is(await exit, 'SIGKILL');
      const state = JSON.stringify(contents(folder));
      t.true(states.includes(state), state);
      if (outcome.kind === 'killed')
        t.true(before[outcome.call]?.includes(state) ?? true, `${outcome.call} ${state}`);
      seen.add(state);
    },
  );
});

steppedTest(
  'a process is stopped before each call, which takes effect only when it is continued',
  async t => {
    const writes = new Set<string>();
    await runAll(
      t,
      'stop',
      () => firstTwoWrites.every(state => writes.has(state)),
      async ({outcome, child, exit, output, folder}) => {
        if (outcome.kind !== 'stopped') {
          t.fail(outcome.kind);
          return;
        }
        const status = fs.readFileSync(`/proc/${child.pid}/status`, 'utf8');
        t.regex(status, /^State:\tT \(stopped\)$/m);
        t.regex(status, /^TracerPid:\t0$/m);

        const state = JSON.stringify(contents(folder));
        t.true(states.includes(state), state);
        t.true(before[outcome.call]?.includes(state) ?? true, `${outcome.call} ${state}`);
        if (outcome.call === 'write') writes.add(state);

        child.kill('SIGCONT');
        t.is(await exit, 0, outcome.call);
        t.is(await output, 'up\ndone\n');
        t.deepEqual(contents(folder), finished);
      },
    );
    t.false(writes.has(states[3] ?? ''));
  },
);

steppedTest('only the calls that were named count', async t => {
  const renames = await run(t, 0, 'count', ['rename']);
  t.deepEqual(renames.outcome, {kind: 'end', count: 2});
  const {outcome, exit, folder} = await run(t, 2, 'kill', ['openat:create']);
  t.deepEqual(outcome, {kind: 'killed', count: 2, call: 'openat:create'});
  t.is(await exit, 'SIGKILL');
  t.deepEqual(contents(folder), {one: finished.one});
});

steppedTest('a call that is to fail does not run, and the process goes on with its error', async t => {
  const {outcome, exit, output, folder} = await run(t, 2, {fail: 'ENOSPC'}, ['write']);
  t.deepEqual(outcome, {kind: 'failed', count: 2, call: 'write'});
  t.is(await exit, 0);
  t.is(await output, 'up\nENOSPC write\n');
  t.deepEqual(contents(folder), {'one.tmp': 'first\n'});
});

steppedTest('only close runs although it fails: its descriptor is given back', async t => {
  const {outcome, exit, output} = await run(t, 1, {fail: 'EIO'}, ['close']);
  t.deepEqual(outcome, {kind: 'failed', count: 1, call: 'close'});
  t.is(await exit, 0);
  t.is(await output, 'up\nEIO close, closed\n');
});

steppedTest('a process that exits before its operation ends is reported', async t => {
  const child = spawn(...(await traceable('cat', [])), {stdio: ['pipe', 'pipe', 'inherit']});
  child.stdin.write('up\n');
  await once(child.stdout, 'data');
  const {outcome} = await attach(child.pid ?? 0, 1, 'kill');
  child.stdin.end();
  t.deepEqual(await outcome, {kind: 'exited'});
});

steppedTest("a process that isn't there can't be attached to", async t => {
  const child = spawn('true', {stdio: 'ignore'});
  const {pid} = child;
  await once(child, 'exit');
  await t.throwsAsync(attach(pid ?? 0, 1, 'kill'), {message: /^stepper: no such process/});
});
