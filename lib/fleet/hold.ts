/** How does an operator hold a lock on many nodes at once? With a key that ends by itself, and an answer of each node. */
import {randomBytes} from 'node:crypto';
import {isLockError, LockError} from '../errors.js';
import {Deadline} from '../os/deadline.js';
import {LONGEST_HOLD} from '../recovery/hold.js';
import type {FleetAccess} from './access.js';
import {gatherApprovals, type OnWaiting} from './approval.js';
import {whereText} from './cohort.js';
import type {Envelope, FleetHold, HoldAcknowledgement} from './documents.js';
import {HoldAnswers} from './hold-answers.js';
import {type HoldScope, holdScope} from './hold-scope.js';
import {KEYS} from './keys.js';
import {seal} from './signing.js';

/** Milliseconds for a node to come to its hold point, unless another time is asked for. */
const LONGEST_WITHIN = 30_000;
/** Milliseconds that an answer may be on its way. */
const TRANSIT = 5_000;
/** Milliseconds for the nodes to say that they go on. */
const FAREWELL = 10_000;

export interface FleetHoldRequest {
  readonly lock: string;
  /** Labels that a node must have. */
  readonly where: Readonly<Record<string, string>>;
  /** Milliseconds, for the answers and the hold together. */
  readonly for: number;
  /** Milliseconds for a node to come to its hold point. Default: a third of `for`, at most 30 s. */
  readonly within?: number | undefined;
  readonly reason: string;
  /** Content with those that acknowledge, if any does. */
  readonly partial?: boolean | undefined;
}

export interface FleetHoldOptions {
  readonly signal?: AbortSignal | undefined;
  /** Each answer as it comes, also while the hold is in force; undefined: the node is no longer heard of, and may go on. */
  readonly onAnswer?: ((node: string, acknowledgement: HoldAcknowledgement | undefined) => void) | undefined;
  /** An approval is waited for. */
  readonly onWaiting?: OnWaiting | undefined;
}

/** How the nodes went on. */
export interface FleetReleased {
  /** Have not said that they go on. They do at the end of its time at the latest. */
  readonly silent: readonly string[];
  /** Said that something that they had stopped does not go on, and why. */
  readonly failed: ReadonlyMap<string, string>;
}

/** What a hold that stands in the store is made of. */
interface Standing {
  readonly access: FleetAccess;
  readonly hold: FleetHold;
  readonly scope: HoldScope;
  readonly lease: string;
  /** Our own clock. */
  readonly deadline: Deadline;
  readonly answers: HoldAnswers;
}

/** A hold on many nodes that was granted. */
export class FleetHeld implements AsyncDisposable {
  readonly id: string;
  readonly lock: string;
  /** Nodes that were known and not registered when it began. They may have the lock. */
  readonly silent: readonly string[];
  /** Aborts when it ends: its time is over, somebody has ended it, or a node that had acknowledged says that it goes on. */
  readonly signal: AbortSignal;
  readonly #standing: Standing;
  #released: Promise<FleetReleased> | undefined;

  constructor(standing: Standing) {
    const {hold, scope, deadline, answers} = standing;
    this.id = hold.id;
    this.lock = hold.lock;
    this.silent = scope.silent;
    this.signal = AbortSignal.any([deadline.signal, answers.broken]);
    this.#standing = standing;
  }

  /** Of each node that has answered and is heard of, as it is now. */
  get answers(): ReadonlyMap<string, HoldAcknowledgement> {
    return this.#standing.answers.all;
  }

  /** Nodes in scope that do not hold, and why; none at first unless it is partial. As it is now. */
  get missing(): ReadonlyMap<string, string> {
    const {scope, answers, hold} = this.#standing;
    return missingOf(scope, answers, hold);
  }

  /** Milliseconds that all of them hold still at least, on our own clock. */
  remaining(): number {
    return this.#released || this.signal.aborted ? 0 : this.#standing.deadline.remaining();
  }

  /**
   * Ends it, and waits up to 10 s until the nodes say that they go on. Rejects when etcd is not to be reached; then it ends by
   * itself. A second call gives the same.
   */
  async release(): Promise<FleetReleased> {
    this.#released ??= end(this.#standing);
    return this.#released;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release();
  }
}

/** Why each node in scope that does not hold does not. */
function missingOf(
  {nodes, silent, unreadable}: HoldScope,
  answers: HoldAnswers,
  {within}: FleetHold,
): Map<string, string> {
  const missing = new Map(unreadable);
  for (const node of silent) missing.set(node, 'SILENT: it is known, and not registered now');
  for (const node of nodes) {
    const answer = answers.all.get(node);
    if (answer?.held) continue;
    const none = answers.lost.has(node)
      ? 'it had acknowledged, and is no longer heard of'
      : `it has not answered within ${within} ms`;
    missing.set(node, answer ? (answer.reason ?? 'it gives no reason') : none);
  }
  return missing;
}

function refusal({lock, id}: FleetHold, missing: ReadonlyMap<string, string>, rest: string): LockError {
  const named = [...missing].map(([node, why]) => `${node}: ${why}`);
  return new LockError(
    'ERR_HOLD_REFUSED',
    `${lock} is not held by all nodes, and ${rest}. ${named.join('; ')}`,
    {lock, hold: id, missing: Object.fromEntries(missing)},
  );
}

/** Refuses before anything is held what could not be granted. */
function checkScope(scope: HoldScope, hold: FleetHold, partial: boolean): void {
  const {nodes, silent, unreadable} = scope;
  if (nodes.length + silent.length === 0)
    throw new LockError('ERR_COHORT', `no node with ${whereText(hold.where)} has a lock ${hold.lock}`, {
      lock: hold.lock,
    });
  const missing = missingOf({nodes: [], silent, unreadable}, new HoldAnswers(), hold);
  if (nodes.length === 0 || (missing.size > 0 && !partial)) throw refusal(hold, missing, 'none was asked');
}

function checked({for: lasts, within}: Pick<FleetHold, 'for' | 'within'>): void {
  const wrong =
    !Number.isInteger(lasts) || lasts < 1 || lasts > LONGEST_HOLD
      ? `a hold lasts a whole number of milliseconds from 1 to ${LONGEST_HOLD}, not ${lasts}`
      : !Number.isInteger(within) || within < 1 || within > lasts
        ? `nodes come to their hold point within 1 to ${lasts} ms, the time of the hold, not ${within}`
        : undefined;
  if (wrong !== undefined) throw new LockError('ERR_ARGUMENT', wrong);
}

function documentOf({config, system}: FleetAccess, request: FleetHoldRequest): FleetHold {
  const {lock, where, reason} = request;
  const within = request.within ?? Math.min(Math.ceil(request.for / 3), LONGEST_WITHIN);
  checked({for: request.for, within});
  return {
    v: 1,
    kind: 'hold',
    id: randomBytes(8).toString('hex'),
    fleet: config.fleet,
    lock,
    where: {...where},
    for: request.for,
    within,
    reason,
    by: {node: system.node, uid: system.uid, pid: process.pid},
    at: new Date(system.now()).toISOString(),
  };
}

function sealed({config}: FleetAccess, hold: FleetHold): Envelope {
  if (config.sign) return seal(hold, [config.sign]);
  if (config.operators.keys.length === 0) return seal(hold, []);
  throw new LockError(
    'ERR_FLEET_CONFIG',
    'the fleet file names no key to sign a hold with, and nodes demand it',
  );
}

/**
 * Writes it under a lease of its own. etcd counts in whole seconds, and tells the nodes what is left rounded down: a second more makes that nobody
 * goes on before `for` is over on our clock.
 */
async function stand(
  access: FleetAccess,
  envelope: Envelope,
  hold: FleetHold,
  scope: HoldScope,
  {signal, onAnswer}: FleetHoldOptions,
): Promise<Standing> {
  const {etcd, session} = access;
  const deadline = new Deadline(hold.for);
  const {id: lease} = await etcd.grantLease(Math.ceil(hold.for / 1000) + 1, {signal});
  const answers = new HoldAnswers(onAnswer);
  const standing = {access, hold, scope, lease, deadline, answers};
  try {
    await answers.listen(etcd, hold);
    const key = KEYS.hold(hold.id);
    const put = {put: key, value: JSON.stringify(envelope), lease};
    await session.transact({when: [{key, exists: false}], then: [put]}, {signal});
    return standing;
  } catch (error) {
    throw await giveUp(standing, error);
  }
}

/** Ends what was not granted, and gives why. That it could not be ended is added. */
async function giveUp(standing: Standing, why: unknown): Promise<unknown> {
  try {
    await end(standing);
    return why;
  } catch (error) {
    const {code, message} = error as LockError;
    return new LockError(code, `${(why as Error).message}; and ${message}`, {}, {cause: why});
  }
}

/** Rejects as the store does. */
async function end({access, hold, lease, deadline, answers}: Standing): Promise<FleetReleased> {
  const {id, lock} = hold;
  const left = Math.ceil(deadline.remaining() / 1000) + 2;
  deadline.cancel();
  try {
    const held = answers.release();
    await access.etcd.revokeLease(lease);
    return await answers.goOn(held, FAREWELL, access.session);
  } catch (cause) {
    if (!isLockError(cause)) throw cause;
    const what = `hold ${id} of ${lock} could not be ended, or not all of it: ${cause.message}; it ends by itself in ${left} s at the latest`;
    throw new LockError(cause.code, what, {lock, hold: id}, {cause});
  } finally {
    answers.close();
  }
}

/** Waits for all answers; throws when it is not granted. */
async function judge(
  {hold, scope, deadline, answers}: Standing,
  partial: boolean,
  signal: AbortSignal | undefined,
): Promise<void> {
  using patience = new Deadline(
    Math.min(hold.within + TRANSIT, deadline.remaining()),
    signal ? AbortSignal.any([signal, answers.broken]) : answers.broken,
  );
  await answers.of(scope.nodes, patience.signal);
  signal?.throwIfAborted();
  if (answers.gone) throw answers.gone;
  const missing = missingOf(scope, answers, hold);
  const held = scope.nodes.filter(node => answers.all.get(node)?.held);
  if (held.length > 0 && (partial || missing.size === 0) && !deadline.expired) return;
  throw refusal(hold, missing, `the ${held.length} that were have been let go on`);
}

/**
 * Holds a lock on all nodes with these labels. Rejects with ERR_COHORT (no such node), ERR_HOLD_REFUSED (`missing` says which nodes do not hold and why;
 * all others go on), ERR_ARGUMENT, ERR_FLEET_CONFIG, as gatherApprovals and the store do, or with signal.reason.
 */
export async function holdFleet(
  access: FleetAccess,
  request: FleetHoldRequest,
  options: FleetHoldOptions = {},
): Promise<FleetHeld> {
  const {partial = false} = request;
  const {signal, onWaiting} = options;
  const hold = documentOf(access, request);
  const envelope = sealed(access, hold);
  // Before others are asked to approve what can not be; and again, for that may take its time.
  checkScope(await holdScope(access.etcd, hold.lock, hold.where, signal), hold, partial);
  const approved = await gatherApprovals(access, envelope, 'hold', {signal, onWaiting});
  const scope = await holdScope(access.etcd, hold.lock, hold.where, signal);
  checkScope(scope, hold, partial);
  const standing = await stand(access, approved, hold, scope, options);
  try {
    await judge(standing, partial, signal);
  } catch (error) {
    throw await giveUp(standing, error);
  }
  return new FleetHeld(standing);
}
