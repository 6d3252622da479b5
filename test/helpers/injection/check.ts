/** Is a lock as it must be after an operation on it was killed, or one of its calls has failed? */
import {readdirSync, readFileSync} from 'node:fs';
import {basename, dirname} from 'node:path';
import {ERRORS as REFUSALS} from '../../../lib/errors.js';
import {LockFile} from '../../../lib/os/lock-file.js';
import {verifyAudit} from '../../../lib/recovery/audit.js';
import type {GuardedConfig} from '../../../lib/recovery/guarded-config.js';
import type {Verdict} from '../../../lib/recovery/verdict.js';
import {openScratch} from '../scratch.js';
import type {Report} from './report.js';
import type {Stage} from './stage.js';

/** How long anything may take on the busiest machine, in milliseconds; far above a hold's bound. */
export const PATIENCE = 90_000;

/** Ends a wait that would never end: a hang is a finding, and names itself. */
export async function within<T>(what: string, wait: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no end of: ${what}`)), PATIENCE);
  });
  try {
    return await Promise.race([wait, over]);
  } finally {
    clearTimeout(timer);
  }
}

/** Refusals of ours have a code of our table; those of the kernel name an errno and its call. */
function checkError({outcome}: Report): string[] {
  if (outcome.done) return [];
  const {code = '', message, stack} = outcome;
  const refused = Object.hasOwn(REFUSALS, code);
  const failed = /^E[A-Z0-9]+$/.test(code) && message.startsWith(`${code}: `) && /, \w+/.test(message);
  return refused || failed ? [] : [`an error that says nothing: ${stack}`];
}

/** What a process that goes on living after a failed call may not have or have done. Its locks are looked at while it lives. */
export function checkSurvivor(report: Report): string[] {
  const {before, after, strays} = report;
  const left = after.descriptors.filter(path => !before.descriptors.includes(path));
  return [
    ...checkError(report),
    ...strays,
    ...(before.descriptors.length === after.descriptors.length
      ? []
      : [`descriptors left: ${left.join(', ')}`]),
    ...(after.timers <= before.timers ? [] : ['a timer left, which keeps the process alive']),
    ...(after.children.length === 0 ? [] : [`children left: ${after.children.join(', ')}`]),
  ];
}

/** Gate and recovery lock can be had by others; the guard as well, unless `guardIsOthers`: an owner may still have it. */
export function checkGivenBack(config: GuardedConfig, guardIsOthers: boolean): string[] {
  const {gate, recovery, guard} = config.paths;
  return [gate, recovery, ...(guardIsOthers ? [] : [guard])].flatMap(path => {
    using file = LockFile.open(path);
    const shared = path === gate && guardIsOthers;
    return file.try(shared ? 'shared' : 'exclusive') ? [] : [`${basename(path)} is still locked`];
  });
}

/** An orchestrator gets through the gate. */
async function pass(config: GuardedConfig): Promise<void> {
  using _cycle = await within('entering a cycle', config.enter());
}

/** Its owner has given up, and says so; or is another process than the one whose call has failed. */
function isDisowned(config: GuardedConfig, {owner}: Verdict, survivor: number | undefined): boolean {
  const record = config.readRecord();
  return owner?.pid !== survivor || (record.state === 'owned' && record.resigned === true);
}

/** Runs what an operator would run now. Returns what he did. */
async function takeBackAgain(
  config: GuardedConfig,
  {operation}: Stage,
  survivor: number | undefined,
): Promise<string> {
  const verdict = await within('examine', config.examine());
  const {state, owner, epoch, bit} = verdict;
  if (state === 'DEAD') return (await within('recover', config.recover())).outcome;
  if (state === 'FREE') return state;
  if (owner !== null && !isDisowned(config, verdict, survivor))
    throw new Error(`the process that failed still passes for the owner: ${state}`);
  // Who has it now has acquired it by right.
  if (operation !== 'break-glass') return `${state}, bit ${bit.value}`;
  // An old owner who is fenced may still have the guard, if nobody was left to give it back.
  if (bit.value === 0 && survivor !== undefined) throw new Error('the owner who was fenced has the guard');
  if (bit.value === 0) return `${state}, bit 0`;
  const force = {owner: owner?.pid ?? 'unknown', epoch: epoch ?? 0, reason: 'once more'};
  await within('break-glass', config.breakGlass(force));
  return `${state}, forced`;
}

async function checkState(config: GuardedConfig, stage: Stage, epochBefore: number): Promise<string[]> {
  const {file, roots} = stage.place;
  const {state} = await config.examine();
  const content = readFileSync(file, 'utf8');
  const beside = readdirSync(dirname(file)).filter(name => name !== basename(file));
  const audit = await verifyAudit(roots.state);
  const wrong = [
    ...(state === 'FREE' ? [] : [`it is ${state}`]),
    ...(config.bit.read() === 0 ? [] : ['its bit is set']),
    ...(stage.contents.includes(content) ? [] : [`the file has ${JSON.stringify(content)}`]),
    ...(beside.length === 0 ? [] : [`beside the file: ${beside.join(', ')}`]),
    ...audit.problems.map(({line, why}) => `audit log, line ${line}: ${why}`),
    ...(config.bit.epoch() >= epochBefore ? [] : ['its epoch fell']),
  ];
  if (wrong.length > 0) return wrong;
  const next = await within('acquire', config.acquire());
  await next.release();
  return next.epoch > epochBefore ? [] : ['an epoch was given twice'];
}

/**
 * Checks the lock, runs what an operator would run, and checks that it is free and whole. `survivor`: the process whose
 * call has failed, which still lives. Returns what was found, and what is wrong with it.
 */
export async function checkLock(
  stage: Stage,
  epochBefore: number,
  survivor: number | undefined,
): Promise<{found: string; wrong: string[]}> {
  const config = await within('open', openScratch(stage.place));
  const givenBack =
    survivor === undefined || stage.busy ? [] : checkGivenBack(config, stage.operation === 'break-glass');
  await pass(config);
  const found = await takeBackAgain(config, stage, survivor);
  const others = await within('the others', stage.goOn());
  return {found, wrong: [...givenBack, ...others, ...(await checkState(config, stage, epochBefore))]};
}
