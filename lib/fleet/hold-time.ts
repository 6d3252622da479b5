/** How long does a fleet hold last, as its operator, etcd and each node count it? So that no node goes on before its operator thinks so. */
import {LockError} from '../errors.js';
import {monotonic} from '../os/deadline.js';
import type {FleetHold} from './documents.js';
import type {Etcd} from './etcd/etcd.js';

/** Milliseconds that a node may wait for etcd to say how long a lease still lasts. */
const ASKING = 5000;

/**
 * Seconds of its lease. A node counts what is left of them from before it asked, and etcd rounds that down: by so much they
 * are more than the hold. Whoever hears of it at once holds for no longer than what was signed all the same.
 */
export function leaseSeconds({for: lasts}: FleetHold): number {
  return Math.ceil((lasts + ASKING) / 1000) + 1;
}

/** Milliseconds that its operator counts on: timers may ring a little early, and a node's clock run faster by one in a thousand. */
export function operatorsTime({for: lasts}: FleetHold): number {
  return Math.max(0, lasts - 10 - lasts / 1000);
}

/** Milliseconds that a node may hold from now on. Throws ERR_HOLD_EXPIRED when its lease is over, or does not bound it. */
export async function nodesTime(
  etcd: Etcd,
  lease: string,
  {id, lock, for: lasts}: FleetHold,
  signal: AbortSignal,
): Promise<number> {
  const asked = monotonic();
  const left = lease === '0' ? undefined : await etcd.leaseRemaining(lease, {signal});
  const took = monotonic() - asked;
  if (left !== undefined && took <= ASKING) return Math.min(left, lasts) - took;
  const why =
    left === undefined
      ? 'has no lease that lasts: nothing bounds it'
      : `is not taken: etcd took ${Math.ceil(took)} ms to say how long it lasts`;
  throw new LockError('ERR_HOLD_EXPIRED', `hold ${id} ${why}`, {lock, hold: id});
}
