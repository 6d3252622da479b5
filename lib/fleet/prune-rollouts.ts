/** What is still kept of roll-outs that have ended? The last few of each lock; of older ones all is removed, so that the store does not grow for ever. */
import {isLockError} from '../errors.js';
import type {FleetAccess} from './access.js';
import {order, parseDocument, parseEnvelope} from './documents.js';
import type {Entries} from './entries.js';
import type {KeyValue, Transaction} from './etcd/etcd.js';
import {KEYS} from './keys.js';
import {hasEnded, rolloutsIn, type RolloutSummary} from './rollout-view.js';

/** Roll-outs of a lock that are kept, the one that was just started among them. */
const KEPT = 20;

/** In one transaction, of which etcd takes 128 operations; each start adds one. A roll-out may have thousands of keys. */
const AT_ONCE = 8;

const PLAN_KEY = /^rollouts\/[^/]+\/plan$/;

export interface PruneOptions {
  /** Roll-outs of the lock that are kept, the newest ones. Default 20. */
  readonly keep?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface Pruned {
  /** Ids of those of which nothing is left. */
  readonly removed: readonly string[];
  /** Why nothing was removed that could be; the next start of a roll-out of that lock tries it again. */
  readonly problem?: string | undefined;
}

/** The roll-out whose order is in force. Throws ERR_STORE_ANSWER: when that is not known, nobody knows what is still needed. */
function inForce(found: KeyValue | undefined): string | undefined {
  if (!found) return undefined;
  const {key, value} = found;
  return parseDocument(order, parseEnvelope(value, key).document, key).rollout;
}

/** The oldest first. Nobody's signature is asked for: whoever could forge a plan in the store could remove one as well. */
function outlived(
  entries: Entries,
  lock: string,
  keep: number,
  needed: string | undefined,
): RolloutSummary[] {
  const epochOf = ({plan}: RolloutSummary) => plan?.epoch ?? 0;
  return rolloutsIn(entries)
    .filter(({plan}) => plan?.lock === lock)
    .toSorted((a, b) => epochOf(b) - epochOf(a))
    .slice(keep)
    .filter(({id, state}) => id !== needed && state !== undefined && hasEnded(state.phase))
    .toReversed()
    .slice(0, AT_ONCE);
}

/** A content goes with the last plan that names it. Where another one does, it must still be there: it may be about to be removed too. */
function removeContent(sha256: string, plans: readonly KeyValue[], revision: number): Transaction {
  const key = KEYS.blob(sha256);
  // Also one that can not be read, by whomever it was written.
  const another = plans.find(({value}) => value.includes(sha256));
  return another
    ? {when: [{key: another.key, exists: true}], then: []}
    : {when: [{key, notAfter: revision}], then: [{delete: key}]};
}

/**
 * All that was looked at is as it was at that revision. An order is written together with the state of its roll-out, and a content with its
 * plan, so that one that is needed again by now is noticed.
 */
function removal(entries: Entries, old: readonly RolloutSummary[], revision: number): Transaction {
  const gone = new Set(old.map(({id}) => KEYS.plan(id)));
  const remaining = [...entries.values()].filter(({key}) => PLAN_KEY.test(key) && !gone.has(key));
  const contents = new Set(old.flatMap(({plan}) => plan?.sha256 ?? []));
  const parts = [
    ...old.map(({id}) => ({
      when: [{key: KEYS.state(id), notAfter: revision}],
      then: [{deletePrefix: KEYS.rollout(id)}],
    })),
    ...[...contents].map(sha256 => removeContent(sha256, remaining, revision)),
  ];
  return {when: parts.flatMap(({when}) => when), then: parts.flatMap(({then}) => then)};
}

/**
 * Removes what belongs to roll-outs of a lock that have ended, beyond the newest ones: never one that is under way or in a state that can not be read,
 * and never the one whose order is in force. Does not fail for a reason that passes, the store or the signal: `problem` says it.
 */
export async function pruneRollouts(
  {etcd, session}: Pick<FleetAccess, 'etcd' | 'session'>,
  lock: string,
  {keep = KEPT, signal}: PruneOptions = {},
): Promise<Pruned> {
  try {
    const {items, revision} = await etcd.list(KEYS.rollouts, {signal});
    const entries = new Map(items.map(item => [item.key, item]));
    // Later than the list: an order of before could name an older roll-out.
    const needed = inForce(await etcd.get(KEYS.order(lock), {signal}));
    const old = outlived(entries, lock, keep, needed);
    if (old.length === 0) return {removed: []};
    const {applied} = await session.transact(removal(entries, old, revision), {signal});
    return applied
      ? {removed: old.map(({id}) => id)}
      : {removed: [], problem: 'another roll-out was started or removed meanwhile'};
  } catch (error) {
    if (!isLockError(error) && !signal?.aborted) throw error;
    return {removed: [], problem: (error as Error).message};
  }
}
