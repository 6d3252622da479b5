/** How does one roll-out go on this node? From its verified plan, step by step, until another order comes in its place. */
import {isLockError, LockError} from '../errors.js';
import {findConfigLock, type GuardedConfig} from '../recovery/guarded-config.js';
import type {Verdict} from '../recovery/verdict.js';
import {apply, findApplied} from './apply.js';
import {matches, rankOf, turnOf} from './cohort.js';
import type {NodeReport, Order, Plan} from './documents.js';
import {soak} from './health.js';
import {untilChanged} from './hot.js';
import {KEYS} from './keys.js';
import type {NodeParts} from './node.js';
import {type NodeChange, NodeState} from './node-state.js';
import {pause, unlessAborted} from './pause.js';
import {prepare} from './prepare.js';
import {backOff, untilReached} from './reach.js';
import type {Reporter} from './reporter.js';
import type {Fence, Reservation} from './reservation.js';
import {rollBack} from './roll-back.js';
import {readStamped, type Stamped} from './stamp.js';
import {recordAfter, type Said, type Task} from './task.js';
import {epochOf, readPlan, requireNewest, type Wanted} from './verify-order.js';

/** What the roll-outs of all locks here share. */
export interface Shared {
  readonly parts: NodeParts;
  readonly fence: Fence;
  readonly reporter: Reporter;
}

/** What the order in force for a lock asks of this node. */
export interface Asked {
  readonly order: Order;
  readonly wanted: Wanted;
  /** As it stands in the store. */
  readonly value: Buffer;
}

/** The epoch that a file has by now: by its stamp, or by our own record of this very content; 0: none of a roll-out. */
function fileEpoch({sha256, origin}: Stamped, change: NodeChange | undefined): number {
  if (origin) return origin.epoch;
  if (change?.phase === 'applied' && change.sha256 === sha256) return change.epoch;
  return change?.phase === 'rolled-back' && change.before === sha256 ? change.epoch + 1 : 0;
}

/** Something that happens once, later. */
class Later {
  resolve: () => void = () => undefined;
  readonly promise = new Promise<void>(resolve => {
    this.resolve = resolve;
  });
}

/** One roll-out of one lock. */
export class RolloutHere {
  readonly #shared: Shared;
  readonly #superseded = new AbortController();
  readonly #signal: AbortSignal;
  /** Asks the lock's orders to look at the store again; resolves when they have. */
  readonly #refresh: (found: Buffer | undefined) => Promise<void>;
  #asked: Asked;
  /** Settles when a later order of this roll-out is there. */
  #later = new Later();
  #config: GuardedConfig | undefined;
  #state: NodeState | undefined;
  #reservation: Reservation | undefined;
  /** The refusal that was told last. */
  #refused = '';
  readonly done: Promise<void>;

  constructor(shared: Shared, asked: Asked, refresh: (found: Buffer | undefined) => Promise<void>) {
    this.#shared = shared;
    this.#asked = asked;
    this.#refresh = refresh;
    this.#signal = AbortSignal.any([this.#superseded.signal, shared.parts.signal]);
    this.done = this.#run();
  }

  get order(): Order {
    return this.#asked.order;
  }

  get wanted(): Wanted {
    return this.#asked.wanted;
  }

  /** A later order of the same roll-out that asks the same, or what comes next: nothing is begun anew. */
  goOn(asked: Asked): void {
    const {resolve} = this.#later;
    this.#asked = asked;
    this.#later = new Later();
    resolve();
  }

  /** Cuts it short where that is possible; resolves when it has come to its end. */
  async supersede(): Promise<void> {
    this.#superseded.abort(new DOMException('another order is in force', 'AbortError'));
    await this.done;
  }

  /** Reports why nothing is done. */
  async #fail(error: unknown): Promise<void> {
    const reason = error instanceof Error ? error.message : String(error);
    const epoch = epochOf(this.order);
    const {lock, rollout} = this.order;
    const unrecorded = await recordAfter({parts: this.#shared.parts, lock, rollout}, 'fleet-failed', epoch, {
      reason,
    });
    this.#report({state: 'FAILED', reason: unrecorded ? `${reason}; ${unrecorded}` : reason});
  }

  #report(said: Said): void {
    const {parts, reporter} = this.#shared;
    const {config, system} = parts;
    const file = this.#config ? this.#lookAtFile(this.#config) : {sha256: null, epoch: 0};
    const report: NodeReport = {
      v: 1,
      node: config.node,
      rollout: this.order.rollout,
      turn: this.order.turn,
      ...file,
      ...said,
      at: new Date(system.now()).toISOString(),
    };
    reporter.report(report);
  }

  #lookAtFile({file}: GuardedConfig): Pick<NodeReport, 'sha256' | 'epoch'> {
    const stamped = readStamped(file);
    return {sha256: stamped.sha256, epoch: fileEpoch(stamped, this.#state?.read().change)};
  }

  async #run(): Promise<void> {
    try {
      const task = await this.#begin();
      if (task) await this.#work(task);
    } catch (error) {
      if (!this.#signal.aborted) await this.#failAnyway(error);
    }
  }

  /** The report itself may be what failed: the file can not be read, or the record. */
  async #failAnyway(error: unknown): Promise<void> {
    try {
      await this.#fail(error);
    } catch {
      this.#config = undefined;
      await this.#fail(error);
    }
  }

  /** Everything is verified and our own record raised before anything is done. Undefined: this node does not take part. */
  async #begin(): Promise<Task | undefined> {
    const {parts, fence} = this.#shared;
    const {order} = this;
    const plan = await this.#fetchPlan();
    if (!matches(parts.config, plan.where)) return undefined;
    const config = await this.#findLock(plan);
    const state = new NodeState(parts.system, parts.roots, plan.lock);
    this.#config = config;
    this.#state = state;
    const record = state.read();
    requireNewest(order, record, readStamped(config.file));
    const seen = {epoch: epochOf(order), rollout: order.rollout};
    if (seen.epoch > record.seen.epoch) await state.write({...record, seen});
    const {lock, rollout} = order;
    parts.tell({event: 'fleet-taken-up', lock, rollout, epoch: seen.epoch});
    return {
      parts,
      fence,
      lock,
      rollout,
      config,
      state,
      plan,
      signal: this.#signal,
      report: said => this.#report(said),
    };
  }

  async #fetchPlan(): Promise<Plan> {
    const {parts} = this.#shared;
    const key = KEYS.plan(this.order.rollout);
    const found = await untilReached(parts, () => parts.etcd.get(key, {signal: this.#signal}), this.#signal);
    if (!found) throw new LockError('ERR_UNKNOWN_ROLLOUT', `${key} is not in etcd: there is no such plan`);
    return readPlan(parts.config, this.order, found.value);
  }

  async #findLock({lock}: Plan): Promise<GuardedConfig> {
    const {system, roots, config} = this.#shared.parts;
    const found = findConfigLock(lock, {system, ...roots});
    if (found) return found;
    throw new LockError('ERR_UNKNOWN_LOCK', `no lock is called ${lock} on ${config.node}`, {lock});
  }

  async #work(task: Task): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      // An order that comes while one is at it must not be missed.
      const later = this.#later.promise;
      try {
        if (await this.#step(task, later)) return;
      } catch (error) {
        task.signal.throwIfAborted();
        if (isLockError(error, 'ERR_HOT')) await this.#waitForLock(task, error, later);
        else if (isLockError(error, 'ERR_RESERVATION_OVER')) await this.#tryAnew(task, error, attempt);
        else if (this.wanted !== 'roll back') throw error;
        else await this.#tryAgainWhenAsked(task, error, later);
      }
    }
  }

  /** One step further; true when nothing is left to be done. */
  async #step(task: Task, later: Promise<void>): Promise<boolean> {
    if (this.wanted === 'roll back') {
      const {reason} = await rollBack(task);
      task.report({state: 'ROLLED_BACK', ...(reason !== undefined && {reason})});
      return true;
    }
    const applied = await findApplied(task);
    if (applied) return this.#soak(task, applied);
    await pause(turnOf(rankOf(task.lock, task.parts.config.node), task.plan.spread), task.signal);
    if (!this.#reservation || this.#reservation.remaining() === 0)
      this.#reservation = await prepare(task, () => this.#isInForce());
    if (this.wanted === 'apply') return this.#soak(task, await apply(task, this.#reservation));
    await unlessAborted(later, task.signal);
    return false;
  }

  /** Watches whether the node stays well; what came out before is not asked again. */
  async #soak(task: Task, applied: NodeChange): Promise<true> {
    if (applied.health === undefined || applied.health === 'soaking') {
      task.report({state: 'APPLIED', health: 'soaking', ...(applied.reason && {reason: applied.reason})});
      const answer = await soak(task.plan.health, task.plan.soak, task.signal);
      const reason = 'why' in answer ? answer.why : applied.reason;
      const change = {...applied, health: answer.result, ...(reason !== undefined && {reason})};
      await task.state.write({...task.state.read(), change});
      await recordAfter(task, 'fleet-health', applied.epoch, {health: answer.result, reason});
      task.report({state: 'APPLIED', health: answer.result, ...(reason !== undefined && {reason})});
      return true;
    }
    const {health, reason} = applied;
    task.report({state: 'APPLIED', health, ...(reason !== undefined && {reason})});
    return true;
  }

  /** Refused; it is tried again when the lock changes, or a later order comes. */
  async #waitForLock(task: Task, error: LockError, later: Promise<void>): Promise<void> {
    const {owner} = error as {owner?: Verdict['owner']};
    const {pid, node, uid, exe, purpose, since} = owner ?? {};
    const shown = owner ? {owner: {pid, node, uid, exe, purpose, since}} : {};
    const reason = error.message;
    // A lock that is used all the time would fill the log with one and the same.
    if (reason !== this.#refused)
      await recordAfter(task, 'fleet-refused', epochOf(this.order), {reason, ...shown});
    this.#refused = reason;
    task.report({state: 'REFUSED_HOT', reason, ...shown});
    const done = new AbortController();
    const signal = AbortSignal.any([task.signal, done.signal]);
    try {
      await Promise.race([untilChanged(task.config, error.verdict as Verdict, signal), later]);
    } finally {
      done.abort();
    }
  }

  async #tryAnew(task: Task, error: LockError, attempt: number): Promise<void> {
    this.#reservation = undefined;
    await recordAfter(task, 'fleet-refused', epochOf(this.order), {reason: error.message});
    await pause(backOff(Math.min(attempt, 10)), task.signal);
  }

  /** What had to be put back is not given up: a later order tries again. */
  async #tryAgainWhenAsked(task: Task, error: unknown, later: Promise<void>): Promise<void> {
    await this.#fail(error);
    await unlessAborted(later, task.signal);
  }

  /** Resolves when the order that we work on is the one in the store; one that has come in its place meanwhile is taken up first. */
  async #isInForce(): Promise<void> {
    const {parts} = this.#shared;
    const key = KEYS.order(this.order.lock);
    for (;;) {
      const found = await untilReached(
        parts,
        () => parts.etcd.get(key, {signal: this.#signal}),
        this.#signal,
      );
      if (found?.value.equals(this.#asked.value)) return;
      const later = this.#later.promise;
      // Where another roll-out or nothing is in force, that ends us meanwhile.
      await unlessAborted(this.#refresh(found?.value), this.#signal);
      if (!found?.value.equals(this.#asked.value)) await unlessAborted(later, this.#signal);
    }
  }
}
