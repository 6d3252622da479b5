/**
 * Walks through an operation call by call, at each point kills it, stops it until its hold has ended, or lets that call fail,
 * then checks the lock. Runs as a program of its own, as the first process of a pid namespace: then searches among processes are short.
 */
import {spawn} from 'node:child_process';
import {fixture} from '../native.js';
import {Started} from '../started.js';
import {NEW, type Ends, openScratch} from '../scratch.js';
import {attach, type Outcome, traceable} from '../stepper.js';
import {callsThatMayFail, CHANGING, type InjectedError} from './calls.js';
import {checkLock, checkSurvivor, PATIENCE, within} from './check.js';
import type {Report} from './report.js';
import {mustBeDone, TooSlow, wakeLate} from './wake.js';
import {HOLD, type Stage, stageOf, type Subject} from './stage.js';

export interface Walk {
  readonly subject: Subject;
  /** Killed or stopped before every call, or before each that changes something, or each call fails with an error that it may fail with. */
  readonly how: 'kill' | 'kill at changes' | 'stop' | 'stop at changes' | InjectedError;
  /** Every so many-eth point, from `first` on, which is 1 or more. */
  readonly every: number;
  readonly first: number;
}

export interface Walked extends Walk {
  readonly points: number;
  /** How often each state was found afterwards. */
  readonly found: Readonly<Record<string, number>>;
  readonly violations: readonly string[];
}

/** Points in a row at which the operation was over already: threads make a few calls more or less each time. A sample has far less than all. */
const BEYOND_END = {all: 3, sample: 1};

/** Violations after which a walk ends: it may not come to its end where even the undisturbed operation fails. */
const ENOUGH = 20;

/** So many at once where most of the time is spent waiting for the end of a hold. */
const LANES = 4;

/** Bound of the hold in which a recoverer is stopped: longer than its whole work takes on a machine at rest, as its end is waited for. */
const SHORT_HOLD = 4000;

interface How {
  readonly action: 'kill' | 'stop' | {readonly fail: string};
  readonly calls: readonly string[];
  readonly hold: number;
}

function howOf({how}: Walk): How {
  switch (how) {
    case 'kill':
      return {action: 'kill', calls: [], hold: HOLD};
    case 'kill at changes':
      return {action: 'kill', calls: CHANGING, hold: HOLD};
    case 'stop':
      return {action: 'stop', calls: [], hold: SHORT_HOLD};
    case 'stop at changes':
      return {action: 'stop', calls: CHANGING, hold: SHORT_HOLD};
    default:
      return {action: {fail: how}, calls: callsThatMayFail(how), hold: HOLD};
  }
}

/** Starts the operation with the stepper at its call number `n`. */
async function operate(
  stage: Stage,
  n: number,
  {action, calls, hold}: How,
): Promise<{started: Started; outcome: Promise<Outcome>; epochBefore: number}> {
  const {file, roots} = stage.place;
  const force = await stage.begin();
  const epochBefore = stage.operation === 'update' ? 0 : (await openScratch(stage.place)).bit.epoch();
  const task = {file, roots, operation: stage.operation, content: NEW, hold, force};
  const [command, args] = await traceable(process.execPath, [fixture('injected'), JSON.stringify(task)]);
  const started = new Started(spawn(command, args, {stdio: ['pipe', 'pipe', 'pipe']}));
  await started.line();
  const {outcome} = await attach(started.pid, n, action, calls);
  started.child.stdin.write('go\n');
  return {started, outcome, epochBefore};
}

/** Its report, once the call has failed. */
async function reportOf(started: Started): Promise<Report> {
  const died = started.ended.then(({code, signal, stderr}): never => {
    throw new Error(`it died (${code ?? signal}): ${stderr}`);
  });
  return JSON.parse(await within('the operation', Promise.race([started.line(), died]))) as Report;
}

/** What is wrong after one point, and what was found; undefined when the operation was over before it. */
async function tryPoint(
  stage: Stage,
  n: number,
  how: How,
): Promise<{where: string; found: string; wrong: string[]} | undefined> {
  const {started, epochBefore, ...stepper} = await operate(stage, n, how);
  const came = await within('the operation', stepper.outcome);
  if (came.kind === 'exited') throw new Error(`it exited: ${JSON.stringify(await started.ended)}`);
  if (came.kind === 'end') {
    const report = await reportOf(started);
    await started.finish();
    mustBeDone(report);
    const {wrong} = await checkLock(stage, epochBefore, undefined);
    if (wrong.length > 0) throw new Error(`undisturbed: ${wrong.join('; ')}`);
    return undefined;
  }
  const where = `${came.kind} at ${n}, ${came.call}`;
  try {
    return {where, ...(await afterwards(came.kind, stage, started, {epochBefore, hold: how.hold}))};
  } catch (error) {
    throw error instanceof TooSlow ? error : new Error(where, {cause: error});
  } finally {
    started.child.kill('SIGCONT');
    await started.finish();
  }
}

/** The same with longer and longer holds, until the work is done within one. */
async function tryPatiently(stage: Stage, n: number, how: How): ReturnType<typeof tryPoint> {
  for (let {hold} = how; ; hold *= 2) {
    try {
      return await tryPoint(stage, n, {...how, hold});
    } catch (error) {
      if (!(error instanceof TooSlow) || hold > PATIENCE) throw error;
    }
  }
}

async function afterwards(
  kind: 'killed' | 'stopped' | 'failed',
  stage: Stage,
  started: Started,
  {epochBefore, hold}: {readonly epochBefore: number; readonly hold: number},
): Promise<{found: string; wrong: string[]}> {
  if (kind === 'killed') {
    await started.ended;
    return checkLock(stage, epochBefore, undefined);
  }
  if (kind === 'stopped') {
    const woken = await wakeLate(await openScratch(stage.place), hold, () => {
      started.child.kill('SIGCONT');
      return reportOf(started);
    });
    const {found, wrong} = await checkLock(stage, epochBefore, started.pid);
    return {found: `${woken.found}, then ${found}`, wrong: [...woken.wrong, ...wrong]};
  }
  const report = await reportOf(started);
  const said = report.outcome.done ? 'done' : (report.outcome.code ?? report.outcome.name);
  const {found, wrong} = await checkLock(stage, epochBefore, started.pid);
  return {found: `${said}, then ${found}`, wrong: [...checkSurvivor(report), ...wrong]};
}

/** An error, what caused it, and whose line that was. */
function inOneLine({message, stack = '', cause}: Error): string {
  const where = /at [^\n]*\/lib\/[^\n]*/.exec(stack)?.[0] ?? '';
  return `${message} ${where}${cause instanceof Error ? `: ${inOneLine(cause)}` : ''}`.replaceAll(
    /\s+/g,
    ' ',
  );
}

/** Walks. A stage that was left in a bad state is made anew. */
async function walk(t: Ends, task: Walk): Promise<Walked> {
  const how = howOf(task);
  const found: Record<string, number> = {};
  const violations: string[] = [];
  let points = 0;
  let n = task.first;
  let beyond = 0;
  const beyondEnd = task.every === 1 ? BEYOND_END.all : BEYOND_END.sample;
  const lane = async () => {
    let stage = await stageOf(t, task.subject);
    while (beyond < beyondEnd && violations.length < ENOUGH) {
      const point = n;
      n += task.every;
      try {
        const tried = await tryPatiently(stage, point, how);
        beyond = tried ? 0 : beyond + 1;
        if (!tried) continue;
        points++;
        found[tried.found] = (found[tried.found] ?? 0) + 1;
        violations.push(...tried.wrong.map(what => `${tried.where}: ${what}`));
        if (tried.wrong.length === 0) continue;
      } catch (error) {
        points++;
        violations.push(`point ${point}: ${inOneLine(error as Error)}`);
      }
      stage = await stageOf(t, task.subject);
    }
  };
  await Promise.all(Array.from({length: how.action === 'stop' ? LANES : 1}, lane));
  return {...task, points, found, violations};
}

const teardowns: (() => void | PromiseLike<void>)[] = [];
const walked = await walk({teardown: act => teardowns.push(act)}, JSON.parse(process.argv[2] ?? '') as Walk);
for (const act of teardowns.toReversed()) await act();
process.stdout.write(`${JSON.stringify(walked)}\n`);
process.exit();
