/** Is a lock of this node HOT, who has it, and when is it worth to look again? */
import {watch} from 'node:fs';
import {once} from 'node:events';
import {isLockError, LockError} from '../errors.js';
import {isClosed, waitUntilOpen} from '../lock/gate.js';
import {LockFile} from '../os/lock-file.js';
import {untilGone} from '../os/process.js';
import type {GuardedConfig} from '../recovery/guarded-config.js';
import {readRules, recoveryOptions} from '../recovery/policy/rules.js';
import type {Verdict} from '../recovery/verdict.js';
import {pause} from './pause.js';

/** Somebody who only passes through the guard leaves no event when he goes: so much later it is looked again, in milliseconds. */
const PASSING = 1000;

/** What an agent acquires a lock for; whoever finds its orphan knows by that whose it was. */
export function purposeOf(rollout: string, epoch: number): string {
  return `fleet ${rollout} epoch ${epoch}`;
}

const OWN_PURPOSE = /^fleet [a-z0-9][a-z0-9-]{0,62} epoch \d+$/;

/** Is that what an agent acquires a lock for? */
export function isOwnPurpose(purpose: string): boolean {
  return OWN_PURPOSE.test(purpose);
}

/** An agent died in the middle of its own apply, or roll-back. */
export function isOwnOrphan({state, owner}: Pick<Verdict, 'state' | 'owner'>): boolean {
  return state === 'DEAD' && owner !== null && isOwnPurpose(owner.purpose);
}

/** In the words of a report: `DEAD: pid 123 on node-7, for "nightly"`. */
export function describeOwner({state, owner, bit}: Pick<Verdict, 'state' | 'owner' | 'bit'>): string {
  const purpose = owner?.purpose ? `, for "${owner.purpose}"` : '';
  const stranger = bit.owner
    ? `pid ${bit.owner.pid}, which left no record`
    : 'an owner that nobody vouches for';
  return `${state}: ${owner ? `pid ${owner.pid} on ${owner.node} since ${owner.since}${purpose}` : stranger}`;
}

/** The refusal of a node whose lock is not free. `verdict` and `owner` are fields of it. */
export function mismatch(verdict: Verdict, who: string = describeOwner(verdict)): LockError {
  return new LockError('ERR_HOT', `lock mismatch: ${verdict.name} HOT (${who})`, {
    lock: verdict.name,
    path: verdict.file,
    verdict,
    ...(verdict.owner && {owner: verdict.owner}),
  });
}

/** Takes the orphan of an agent back by the safe release; a ghost of anybody else is left to people. Says whether it did. */
export async function recoverOwn(
  config: GuardedConfig,
  verdict: Verdict,
  signal: AbortSignal,
): Promise<boolean> {
  if (!isOwnOrphan(verdict)) return false;
  const {settings} = (await readRules(config.system)).of(config.name);
  try {
    const reason = `an agent died in the middle of "${verdict.owner?.purpose}"`;
    await config.recover({...recoveryOptions({}, settings), reason, signal});
    return true;
  } catch (error) {
    if (signal.aborted || !isLockError(error)) throw error;
    throw mismatch(verdict, `${describeOwner(verdict)}; it could not be taken back: ${error.message}`);
  }
}

/** Resolves when the lock is free, after taking an orphan of our own back. Rejects with ERR_HOT, which names the owner. */
export async function requireFree(config: GuardedConfig, signal: AbortSignal): Promise<void> {
  for (;;) {
    const verdict = await config.examine();
    if (verdict.state === 'FREE') return;
    if (!(await recoverOwn(config, verdict, signal))) throw mismatch(verdict);
  }
}

/** A lock that is free, but not to be had: a hold is in force, or somebody was quicker. */
export async function refusedAnyway(config: GuardedConfig): Promise<LockError> {
  const verdict = await config.examine();
  if (verdict.state !== 'FREE') return mismatch(verdict);
  return mismatch(verdict, onHold(config) ? 'a hold is in force' : 'somebody passes through');
}

function onHold(config: GuardedConfig): boolean {
  using gate = LockFile.open(config.paths.gate);
  return isClosed(gate);
}

async function untilOpen(config: GuardedConfig, signal: AbortSignal): Promise<void> {
  using gate = LockFile.open(config.paths.gate);
  await waitUntilOpen(gate, signal);
}

/** When the owner ends, if he can be watched. */
async function untilOwnerGone(
  {system}: GuardedConfig,
  {owner, state}: Verdict,
  signal: AbortSignal,
): Promise<void> {
  const here = owner?.bootId === system.bootId && owner.pidNamespace === system.pidNamespace;
  const death = owner && here && state !== 'DEAD' ? await untilGone(system, owner, signal) : 'unknown';
  if (death === 'unknown') await never(signal);
}

function never(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason as Error);
    signal.addEventListener('abort', () => reject(signal.reason as Error), {once: true});
  });
}

function isOutdated({bit}: GuardedConfig, {bit: {value}, epoch}: Verdict): boolean {
  return bit.read() !== value || (epoch !== null && bit.epoch() > epoch);
}

/** Resolves when the lock may be another than that verdict says: its bit has changed, its owner has ended, or a hold has. */
export async function untilChanged(
  config: GuardedConfig,
  verdict: Verdict,
  signal: AbortSignal,
): Promise<void> {
  const done = new AbortController();
  const ends = AbortSignal.any([signal, done.signal]);
  // Watched first, looked at afterwards: what changes in between is an event.
  const watcher = watch(config.bit.directory);
  try {
    const changed = once(watcher, 'change', {signal: ends});
    const waits: Promise<unknown>[] = [changed, untilOwnerGone(config, verdict, ends)];
    if (onHold(config)) waits.push(untilOpen(config, ends));
    else if (verdict.bit.value !== 1) waits.push(pause(PASSING, ends));
    for (const wait of waits) wait.catch(() => undefined);
    if (isOutdated(config, verdict)) return;
    await Promise.race(waits);
  } catch (error) {
    throw signal.aborted ? signal.reason : error;
  } finally {
    done.abort();
    watcher.close();
  }
}
