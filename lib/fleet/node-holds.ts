/** Which fleet holds are in force on this node? Each is verified, held for no longer than its time, and answered. */
import {join} from 'node:path';
import {LockError} from '../errors.js';
import {Deadline, monotonic} from '../os/deadline.js';
import {findHolders} from '../os/lock-survey.js';
import {appendAudit} from '../recovery/audit.js';
import {findConfigLock} from '../recovery/guarded-config.js';
import {matches} from './cohort.js';
import {type FleetHold, fleetHold, type HoldAcknowledgement} from './documents.js';
import {HeardHolds} from './heard-holds.js';
import {KEYS, lastOf} from './keys.js';
import type {NodeHold, NodeParts} from './node.js';
import {NodeAnswer} from './node-answer.js';
import {unseal} from './signing.js';

/** Milliseconds for the store to hear that we end. */
const FAREWELL = 2000;

/** What stands in the store. */
interface Asked {
  readonly key: string;
  readonly value: Buffer;
  readonly lease: string;
  /** Aborts when it is there no more. */
  readonly gone: AbortController;
}

/** What we know of one, while its key is there. */
interface Taken extends Asked {
  readonly done: Promise<void>;
}

/** What is to be said when nothing is held. */
interface Not {
  readonly why: string;
  /** Something that was stopped does not go on: that is said even to whoever has ended it. */
  readonly broken: boolean;
}

/** A hold that is in force here, and its end on our own clock. */
interface InForce {
  readonly hold: FleetHold;
  readonly kept: NodeHold;
  readonly until: number;
}

/** Resolves when one of them has aborted. */
async function aborted(signals: readonly AbortSignal[]): Promise<void> {
  const either = AbortSignal.any([...signals]);
  if (!either.aborted) await new Promise(resolve => either.addEventListener('abort', resolve, {once: true}));
}

/** Of one agent. */
export class NodeHolds {
  readonly #parts: NodeParts;
  readonly #heard: HeardHolds;
  readonly #taken = new Map<string, Taken>();
  /** Ids by lock. */
  readonly #inForce = new Map<string, string>();
  readonly #ending = new AbortController();
  /** Aborts when this agent ends. */
  readonly #ended: AbortSignal;

  constructor(parts: NodeParts) {
    this.#parts = parts;
    this.#ended = AbortSignal.any([this.#ending.signal, parts.signal]);
    this.#heard = new HeardHolds(join(parts.roots.state, 'fleet', 'holds.json'), parts.system);
  }

  /** A key below `now/holds/` is there (`lease`: its own), or has gone (undefined). Never throws; what happens is told. */
  take(key: string, value: Buffer | undefined, lease: string): void {
    const before = this.#taken.get(key);
    if (!value) return before?.gone.abort();
    if (this.#ended.aborted) return;
    // The document of a hold never changes: what somebody writes over it is none, and changes nothing of ours.
    if (before && !before.gone.signal.aborted) return this.#ignore(before, value);
    const asked = {key, value, lease, gone: new AbortController()};
    const done = this.#after(before?.done, asked);
    this.#taken.set(key, {...asked, done});
  }

  /** Lets everything go on and tells the store so, if it is to be reached. Resolves when nothing is held. */
  async end(): Promise<void> {
    this.#ending.abort(new DOMException('the agent ends', 'AbortError'));
    await Promise.all([...this.#taken.values()].map(async ({done}) => done));
  }

  #ignore({key, value: ours}: Taken, value: Buffer): void {
    if (!ours.equals(value)) this.#parts.tell({event: 'fleet-hold-overwritten', key});
  }

  async #after(before: Promise<void> | undefined, asked: Asked): Promise<void> {
    await before;
    try {
      await this.#answer(asked);
    } catch (error) {
      this.#parts.tell({event: 'fleet-hold-failed', key: asked.key, error: (error as Error).message});
    } finally {
      if (this.#taken.get(asked.key)?.gone === asked.gone) this.#taken.delete(asked.key);
    }
  }

  /** From its key to its end. What is said of it stays until the key has gone. */
  async #answer(asked: Asked): Promise<void> {
    const {node} = this.#parts.config;
    const id = lastOf(asked.key);
    const answer = new NodeAnswer(this.#parts, KEYS.holdAcknowledgement(id, node), asked.key);
    const not = await this.#holdAndSay(asked, answer);
    if (!not) return answer.takeBack();
    answer.say(this.#acknowledgement(id, {held: false, reason: not.why}), not.broken);
    if (!not.broken) {
      await aborted([asked.gone.signal, this.#ended]);
      if (asked.gone.signal.aborted) return answer.takeBack();
    }
    using bound = new Deadline(FAREWELL);
    // Too late: who has asked finds that we have gone.
    await answer.said(bound.signal).catch(() => undefined);
    answer.leave();
  }

  /** Resolves when nothing is held. Undefined: nothing is to be said, as it is none of ours or has gone. */
  async #holdAndSay(asked: Asked, answer: NodeAnswer): Promise<Not | undefined> {
    let inForce: InForce;
    try {
      const hold = this.#read(asked);
      if (!hold) return undefined;
      inForce = await this.#hold(asked, hold);
    } catch (error) {
      if (asked.gone.signal.aborted) return undefined;
      return {why: await this.#refuse(asked, error as Error), broken: false};
    }
    const {kept, hold} = inForce;
    answer.say(
      this.#acknowledgement(hold.id, {
        held: true,
        acknowledgedAfter: kept.acknowledgedAfter,
        orchestrators: [...kept.orchestrators],
      }),
    );
    return this.#untilItEnds(asked, inForce);
  }

  /** Undefined: it is not for this node. Throws ERR_STORE_ANSWER and ERR_SIGNATURE. */
  #read({key, value}: Asked): FleetHold | undefined {
    const {config, roots, system} = this.#parts;
    const claimed = unseal(fleetHold, value, key, {keys: [], atLeast: 0});
    if (!matches(config, claimed.where)) return undefined;
    if (!findConfigLock(claimed.lock, {...roots, system})) return undefined;
    const hold = unseal(fleetHold, value, key, config.operators);
    if (hold.id === lastOf(key) && hold.fleet === config.fleet) return hold;
    throw new LockError(
      'ERR_STORE_ANSWER',
      `${key} in etcd is hold ${hold.id} of the fleet ${hold.fleet}: it was signed for another key`,
      {key},
    );
  }

  /** Its end on our own clock. Counted from before we ask, so that we are never later than the store. */
  async #bound({lease, key, gone}: Asked, hold: FleetHold): Promise<number> {
    const {etcd} = this.#parts;
    const asked = monotonic();
    const lasts = lease === '0' ? undefined : await etcd.leaseRemaining(lease, {signal: gone.signal});
    if (lasts === undefined)
      throw new LockError('ERR_HOLD_EXPIRED', `${key} has no lease that lasts: nothing bounds it`, {
        lock: hold.lock,
      });
    const left = asked + Math.min(lasts, hold.for) - monotonic();
    return monotonic() + (await this.#heard.hear(hold, left));
  }

  async #hold(asked: Asked, hold: FleetHold): Promise<InForce> {
    const until = await this.#bound(asked, hold);
    const {lock} = hold;
    const other = this.#inForce.get(lock);
    if (other !== undefined)
      throw new LockError('ERR_HOLD_REFUSED', `hold ${other} of ${lock} is in force here already`, {lock});
    this.#inForce.set(lock, hold.id);
    try {
      await this.#record('fleet-hold', lock, {
        hold: hold.id,
        by: hold.by,
        reason: hold.reason,
        milliseconds: Math.floor(until - monotonic()),
      });
      return {hold, until, kept: await this.#holdHere(asked, hold, until)};
    } catch (error) {
      this.#inForce.delete(lock);
      if (asked.gone.signal.aborted)
        await this.#recordEnd(hold, 'it was ended before it was granted', undefined);
      throw error;
    }
  }

  /** Rejects with ERR_HOLD_REFUSED, which names who did not come, as a local hold does, or with the reason of a signal. */
  async #holdHere({gone}: Asked, hold: FleetHold, until: number): Promise<NodeHold> {
    const {lock, reason, within} = hold;
    const end = AbortSignal.any([gone.signal, this.#ended]);
    end.throwIfAborted();
    using patience = new Deadline(Math.min(within, Math.max(0, until - monotonic())), end);
    const milliseconds = Math.floor(until - monotonic());
    if (milliseconds < 1) throw over(hold);
    let kept: NodeHold;
    try {
      kept = await this.#parts.hold(lock, milliseconds, reason, patience.signal);
    } catch (error) {
      if (end.aborted || !patience.expired || !patience.signal.aborted) throw error;
      throw await this.#notCome(hold);
    }
    // We may have been stopped in between.
    if (monotonic() < until && !end.aborted) return kept;
    await kept.release();
    end.throwIfAborted();
    throw over(hold);
  }

  async #notCome({lock, within}: FleetHold): Promise<LockError> {
    const {system, roots} = this.#parts;
    const gate = findConfigLock(lock, {...roots, system})?.paths.gate;
    const holders = gate === undefined ? [] : await findHolders(system, gate);
    const pids = holders.filter(pid => pid !== process.pid);
    const who = pids.length > 0 ? `pid ${pids.join(', pid ')}` : 'somebody who can not be seen by now';
    return new LockError(
      'ERR_HOLD_REFUSED',
      `${who} did not come to the hold point of ${lock} within ${within} ms`,
      {lock, pids},
    );
  }

  async #untilItEnds({gone}: Asked, {hold, kept, until}: InForce): Promise<Not | undefined> {
    using clock = new Deadline(Math.max(0, until - monotonic()));
    await aborted([gone.signal, this.#ended, clock.signal, kept.signal]);
    const why = gone.signal.aborted
      ? 'it was ended'
      : this.#ended.aborted
        ? 'the agent ends'
        : clock.expired
          ? 'its time is over'
          : 'the hold of this node has ended before its time';
    const failure = await kept.release().then(
      () => undefined,
      (error: Error) => error.message,
    );
    this.#inForce.delete(hold.lock);
    await this.#recordEnd(hold, why, failure);
    if (failure !== undefined) return {why: `${why}; ${failure}`, broken: true};
    return gone.signal.aborted ? undefined : {why, broken: false};
  }

  /** It has ended, whether that can be recorded or not. */
  async #recordEnd({id, lock}: FleetHold, why: string, failure: string | undefined): Promise<void> {
    try {
      await this.#record('fleet-hold-ended', lock, {hold: id, why, ...(failure && {failure})});
    } catch (error) {
      this.#parts.tell({event: 'unrecorded', lock, hold: id, error: (error as Error).message});
    }
  }

  /** Gives why. */
  async #refuse({key}: Asked, {message, lock = ''}: Error & {readonly lock?: string}): Promise<string> {
    try {
      await this.#record('fleet-hold-refused', lock, {hold: lastOf(key), why: message});
    } catch (error) {
      return `${message}; and that could not be recorded: ${(error as Error).message}`;
    }
    return message;
  }

  async #record(event: string, lock: string, facts: Readonly<Record<string, unknown>>): Promise<void> {
    const {system, roots} = this.#parts;
    await appendAudit(system, roots.state, event, lock, facts);
    this.#parts.tell({...facts, event, lock});
  }

  #acknowledgement(
    hold: string,
    said: Pick<HoldAcknowledgement, 'held'> & Partial<HoldAcknowledgement>,
  ): HoldAcknowledgement {
    const {config, system} = this.#parts;
    const at = new Date(system.now()).toISOString();
    return {v: 1, node: config.node, hold, orchestrators: [], at, ...said};
  }
}

function over({id, lock}: FleetHold): LockError {
  return new LockError('ERR_HOLD_EXPIRED', `the time of hold ${id} was over before ${lock} was held`, {lock});
}
