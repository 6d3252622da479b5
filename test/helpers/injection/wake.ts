/** Does a recoverer that was stopped, and wakes after its hold has ended, change nothing any more? */
import {readFileSync} from 'node:fs';
import {isClosed} from '../../../lib/lock/gate.js';
import {readRecord} from '../../../lib/lock/owner-record.js';
import {LockFile} from '../../../lib/os/lock-file.js';
import {monotonic} from '../../../lib/os/deadline.js';
import type {GuardedConfig} from '../../../lib/recovery/guarded-config.js';
import {within} from './check.js';
import type {Report} from './report.js';

/** How much later than its bound a hold may end: the machine is busy. */
const LATE = 20_000;

/** What is said by those whose hold ended before their work was done. */
const EXPIRED = new Set<string | undefined>(['ERR_HOLD_EXPIRED', 'ERR_CONTENDED', 'ERR_HOLD_REFUSED']);

/** The machine was too busy for the work to be done within the hold. */
export class TooSlow extends Error {
  override readonly name = 'TooSlow';
}

/** An operation that nobody disturbed is done, if its hold was long enough. Throws TooSlow when not, and for what else it came to. */
export function mustBeDone({outcome}: Report): void {
  if (outcome.done) return;
  if (EXPIRED.has(outcome.code)) throw new TooSlow(outcome.message);
  throw new Error(`undisturbed it came to ${outcome.message}`);
}

/** What may not change any more once the hold has ended. */
interface Settled {
  readonly bit: number;
  readonly epoch: number;
  readonly owner: unknown;
  readonly content: string;
}

/**
 * That its owner has given up is all that a record may say anew while the bit is set: the epoch is in force already, and the
 * guard is held. Of a clear bit no record says anything.
 */
function settled({bit, paths, file}: GuardedConfig): Settled {
  const record = readRecord(paths.owner);
  const {resigned: _, ...claim} = {resigned: undefined, ...record};
  const value = bit.read();
  const owner = value === 1 ? claim : undefined;
  return {bit: value, epoch: bit.epoch(), owner, content: readFileSync(file, 'utf8')};
}

/** An orchestrator enters: that is the end of the hold. Returns what was wrong with when it came. */
async function holdEnds(config: GuardedConfig, bound: number): Promise<string[]> {
  const since = monotonic();
  using _cycle = await within('the hold', config.enter());
  const took = monotonic() - since;
  return took <= bound + LATE ? [] : [`the hold ended after ${took} ms only`];
}

/** A recoverer stands still. Lets its hold end, wakes it, and looks what it did. */
export async function wakeLate(
  config: GuardedConfig,
  bound: number,
  wake: () => Promise<Report>,
): Promise<{found: string; wrong: string[]}> {
  using gate = LockFile.open(config.paths.gate);
  if (!isClosed(gate)) {
    mustBeDone(await wake());
    return {found: 'stopped outside its hold, done', wrong: []};
  }
  const wrong = await holdEnds(config, bound);
  const before = JSON.stringify(settled(config));
  const {outcome} = await wake();
  const after = JSON.stringify(settled(config));
  if (after !== before) wrong.push(`after its hold it made ${after} of ${before}`);
  // What was done within the hold may be reported as done, also late.
  const done = outcome.done && settled(config).bit === 0;
  if (!done && (outcome.done || !EXPIRED.has(outcome.code)))
    wrong.push(`it came to ${outcome.done ? 'an ALL CLEAR' : outcome.message}`);
  return {found: outcome.done ? 'done before' : (outcome.code ?? ''), wrong};
}
