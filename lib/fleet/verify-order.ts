/** Is that order one that this node obeys, and what does it ask of it? Signatures, fleet, lock and epoch, before anything is done. */
import {LockError} from '../errors.js';
import {rankOf} from './cohort.js';
import type {FleetConfig} from './config.js';
import {order, type Order, parseDocument, parseEnvelope, plan, type Plan} from './documents.js';
import {KEYS} from './keys.js';
import type {NodeRecord} from './node-state.js';
import {unseal} from './signing.js';
import type {Stamped} from './stamp.js';

/** What a node is to do. */
export type Wanted = 'nothing' | 'prepare' | 'apply' | 'roll back';

function mismatched(key: string, what: string): LockError {
  return new LockError('ERR_REPLAY', `${key} is not for this place: ${what}; nothing was changed`, {key});
}

/** Both must be about the place in the store where they were found; a signature says nothing of that. */
function requirePlace(key: string, found: Record<string, unknown>, expected: Record<string, unknown>): void {
  for (const [field, value] of Object.entries(expected))
    if (found[field] !== value)
      throw mismatched(key, `its ${field} is ${JSON.stringify(found[field])}, not ${JSON.stringify(value)}`);
}

/** The order in force for a lock. Throws ERR_STORE_ANSWER, ERR_SIGNATURE, ERR_REPLAY. */
export function readOrder({fleet, drivers}: FleetConfig, lock: string, value: Buffer): Order {
  const key = KEYS.order(lock);
  const read = unseal(order, value, key, drivers);
  requirePlace(key, read, {fleet, lock});
  return read;
}

/** What an order that is not believed says of itself, so that the refusal can be reported where people look; undefined when it says nothing. */
export function claimedOrder(lock: string, value: Buffer): Order | undefined {
  const key = KEYS.order(lock);
  try {
    return parseDocument(order, parseEnvelope(value, key).document, key);
  } catch {
    return undefined;
  }
}

/** Does the order ask something of this node? By its rank, which needs no plan. */
export function wantedOf({node}: FleetConfig, lock: string, asked: Order): Wanted {
  if (asked.rollBack) return 'roll back';
  const rank = rankOf(lock, node);
  const includes = (upTo: string | null) => upTo !== null && rank <= upTo;
  if (includes(asked.applyUpTo)) return 'apply';
  return includes(asked.prepareUpTo) ? 'prepare' : 'nothing';
}

/** The plan of an order. Throws ERR_STORE_ANSWER, ERR_SIGNATURE, ERR_REPLAY. */
export function readPlan({fleet, operators}: FleetConfig, asked: Order, value: Buffer): Plan {
  const key = KEYS.plan(asked.rollout);
  const read = unseal(plan, value, key, operators);
  requirePlace(key, read, {id: asked.rollout, fleet, lock: asked.lock, epoch: asked.epoch});
  return read;
}

/** Commands of a plan run here as us, so that somebody must have signed them. Throws ERR_SIGNATURE. */
export function requireRunnable({operators, unsignedCommands, node}: FleetConfig, {id, health}: Plan): void {
  const command = health.find(({kind}) => kind === 'command');
  if (!command || operators.keys.length > 0 || unsignedCommands) return;
  throw new LockError(
    'ERR_SIGNATURE',
    `${id} has a health command, and ${node} runs none that nobody has signed: name the keys of operators in its fleet file, or allow unsigned commands there`,
  );
}

/** The epoch at which an order acts. */
export function epochOf({epoch, rollBack}: Order): number {
  return rollBack ? epoch + 1 : epoch;
}

/**
 * Refuses what is older than what was taken up here, by our own record or, where that is lost or older, by the stamp of the file. Throws
 * ERR_REPLAY.
 */
export function requireNewest(asked: Order, {seen}: NodeRecord, {origin}: Stamped): void {
  const epoch = epochOf(asked);
  const highest = origin && origin.epoch > seen.epoch ? origin : seen;
  if (epoch > highest.epoch || (epoch === highest.epoch && asked.rollout === highest.rollout)) return;
  throw new LockError(
    'ERR_REPLAY',
    `epoch ${epoch} of ${asked.rollout} is not above ${highest.epoch}, which this node has seen from ${highest.rollout}; nothing was changed`,
    {lock: asked.lock, epoch},
  );
}
