/** Which order is in force for which lock of this node? Each change of `now/rollouts/` comes here; one lock is worked on by one roll-out at a time. */
import {setImmediate as nextTurn} from 'node:timers/promises';
import type {Order} from './documents.js';
import {lastOf} from './keys.js';
import type {NodeParts} from './node.js';
import {Reporter} from './reporter.js';
import type {Fence} from './reservation.js';
import {type Asked, RolloutHere, type Shared} from './rollout-here.js';
import {claimedOrder, epochOf, readOrder, wantedOf} from './verify-order.js';
import {Deadline} from '../os/deadline.js';
import {unlessAborted} from './pause.js';

/** How long the last reports may take when the agent ends, in milliseconds; the next one reports again. */
const LAST_REPORTS = 2000;

/** An earlier order of a roll-out whose later one is known: from a watch that lags, or brought back by somebody. */
function isOlder(than: Order, order: Order): boolean {
  return epochOf(order) < epochOf(than) || (epochOf(order) === epochOf(than) && order.turn < than.turn);
}

/** The orders of one lock. */
class LockOrders {
  readonly #shared: Shared;
  readonly #lock: string;
  #current: RolloutHere | undefined;
  /** What came last and was not looked at yet. */
  #next: {readonly value: Buffer | undefined} | undefined;
  #handling: Promise<void> | undefined;

  constructor(shared: Shared, lock: string) {
    this.#shared = shared;
    this.#lock = lock;
  }

  /** Resolves when it was looked at; what it asks for goes on. */
  take(value: Buffer | undefined): Promise<void> {
    this.#next = {value};
    this.#handling ??= this.#handleAll();
    return this.#handling;
  }

  async end(): Promise<void> {
    await this.#handling;
    await this.#current?.supersede();
  }

  async #handleAll(): Promise<void> {
    try {
      // In a later turn of the loop than `take`: then #handling is set.
      await Promise.resolve();
      for (let next = this.#next; next; next = this.#next) {
        this.#next = undefined;
        await this.#handle(next.value);
      }
    } finally {
      this.#handling = undefined;
    }
  }

  async #handle(value: Buffer | undefined): Promise<void> {
    if (value === undefined) return this.#begin(undefined);
    // Whatever else came with it is heard before the work begins: a hold, or orders of other locks.
    await nextTurn();
    const asked = this.#read(value);
    if (!asked) return;
    const current = this.#current;
    if (current?.order.rollout !== asked.order.rollout) return this.#begin(asked);
    if (isOlder(current.order, asked.order)) return this.#tellOlder(asked.order);
    const same = current.wanted === asked.wanted;
    const further = current.wanted === 'prepare' && asked.wanted === 'apply';
    if (same || further) current.goOn(asked);
    else await this.#begin(asked);
  }

  /** One that is not believed changes nothing; it is told, and reported where it claims to belong, unless that is under way in good order. */
  #read(value: Buffer): Asked | undefined {
    const {config, system, tell} = this.#shared.parts;
    try {
      const order = readOrder(config, this.#lock, value);
      const wanted = wantedOf(config, this.#lock, order);
      tell({event: 'order', lock: this.#lock, rollout: order.rollout, turn: order.turn, wanted});
      return {order, wanted, value};
    } catch (error) {
      const reason = (error as Error).message;
      const claimed = claimedOrder(this.#lock, value);
      tell({event: 'order-refused', lock: this.#lock, reason, ...(claimed && {rollout: claimed.rollout})});
      if (!claimed || claimed.rollout === this.#current?.order.rollout) return undefined;
      const {rollout, turn} = claimed;
      const at = new Date(system.now()).toISOString();
      const said = {state: 'FAILED', epoch: 0, sha256: null, reason, at} as const;
      this.#shared.reporter.report({v: 1, node: config.node, rollout, turn, ...said});
      return undefined;
    }
  }

  #tellOlder({rollout, turn}: Order): void {
    this.#shared.parts.tell({event: 'order-older', lock: this.#lock, rollout, turn});
  }

  async #begin(asked: Asked | undefined): Promise<void> {
    await this.#current?.supersede();
    this.#current = undefined;
    if (!asked || asked.wanted === 'nothing' || this.#shared.parts.signal.aborted) return;
    this.#current = new RolloutHere(this.#shared, asked, found => this.take(found));
  }
}

/** The roll-outs of all locks of a node. */
export class NodeRollouts {
  readonly #shared: Shared;
  readonly #locks = new Map<string, LockOrders>();
  #ended = false;

  /** `fence`: who keeps a node that was stopped from applying too late. */
  constructor(parts: NodeParts, fence: Fence = 'supervisor') {
    this.#shared = {parts, fence, reporter: new Reporter(parts)};
  }

  /** A key of `now/rollouts/` and what is there now; undefined: nothing any more. */
  take(key: string, value: Buffer | undefined): void {
    if (this.#ended) return;
    const lock = lastOf(key);
    let orders = this.#locks.get(lock);
    if (!orders) this.#locks.set(lock, (orders = new LockOrders(this.#shared, lock)));
    void orders.take(value);
  }

  /** Cuts all short; a rename that is under way comes to its end. What came of it is reported if the store answers in time. */
  async end(): Promise<void> {
    this.#ended = true;
    await Promise.all([...this.#locks.values()].map(orders => orders.end()));
    using deadline = new Deadline(LAST_REPORTS, this.#shared.parts.signal);
    await unlessAborted(this.#shared.reporter.flushed(), deadline.signal).catch(() => undefined);
  }
}
