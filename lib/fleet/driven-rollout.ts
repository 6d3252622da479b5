/** How does a driver take one roll-out a step further? It looks, decides, and writes state, order and history in one transaction that only the leader can make. */
import {isLockError, LockError} from '../errors.js';
import {monotonic} from '../os/deadline.js';
import type {System} from '../os/system.js';
import type {FleetConfig} from './config.js';
import {decide, type Decision, type NextState, type Told} from './decide.js';
import {
  type Command,
  command as commandSchema,
  type HistoryEvent,
  type Order,
  type Plan,
  plan as planSchema,
  type RolloutState,
  rolloutState,
} from './documents.js';
import {
  documentAt,
  type Entries,
  historyOf,
  membersOf,
  nodesOf,
  type RankedNode,
  reportAt,
} from './entries.js';
import type {KeyValue, Operation} from './etcd/etcd.js';
import type {Session} from './etcd/session.js';
import {KEYS} from './keys.js';
import {seal, unseal} from './signing.js';
import type {Member} from './standing.js';
import {hasEnded} from './rollout-view.js';

/** What is known of the fleet, as copies that follow the store. */
export interface FleetCopy {
  /** Below `rollouts/`. */
  readonly rollouts: Entries;
  /** Below `nodes/` and `known/`; the same object until one of them changes. */
  readonly nodes: Entries;
}

/** Whoever leads, while the session lasts. */
export interface Lead {
  readonly config: FleetConfig;
  readonly system: System;
  readonly session: Session;
  /** Of the key `leader`. */
  readonly createRevision: number;
  /** Who we are, for the history. */
  readonly by: string;
  readonly signal: AbortSignal;
  readonly tell: (rollout: string, event: HistoryEvent) => void;
  /** Something in the store is not what it should be. Told as often as it is met. */
  readonly trouble: (what: string, problem: string) => void;
}

/** How a step ended. */
export type Stepped =
  /** Nothing is to do before something changes, or that many milliseconds are over. */
  | {readonly done: 'waiting'; readonly lookAfter: number | undefined}
  /** Written; the copy has it at this revision. */
  | {readonly done: 'written'; readonly revision: number}
  /** Somebody else leads, or wrote. */
  | {readonly done: 'refused'}
  | {readonly done: 'ended'};

/** How long has each node had for the order in force? On our own clock, from when this driver first saw both. */
class Waits {
  #turn = -1;
  #since = 0;
  #met = new Map<string, number>();

  restart(): void {
    this.#turn = -1;
    this.#met = new Map();
  }

  /** A higher turn is a new order. */
  begin(turn: number): void {
    if (turn === this.#turn) return;
    this.#turn = turn;
    this.#since = monotonic();
  }

  of(node: string): number {
    const now = monotonic();
    const met = this.#met.get(node) ?? now;
    this.#met.set(node, met);
    return now - Math.max(met, this.#since);
  }
}

function requireSame(key: string, what: string, is: string | number, expected: string | number): void {
  if (is === expected) return;
  throw new LockError('ERR_SIGNATURE', `${key}: it was signed for the ${what} ${is}, not for ${expected}`, {
    key,
  });
}

export class DrivenRollout {
  readonly #id: string;
  readonly #lead: Lead;
  readonly #waits = new Waits();
  /** The plan as it was verified. */
  #plan: {readonly entry: KeyValue; readonly plan: Plan} | undefined;
  /** Who takes part, of the nodes as they were; reports change far more often. */
  #ranked: {readonly of: Entries; readonly nodes: readonly RankedNode[]} | undefined;
  #announced = false;

  constructor(id: string, lead: Lead) {
    this.#id = id;
    this.#lead = lead;
  }

  /** Time in which we were cut off from the store counts for nobody. */
  restartWaits(): void {
    this.#waits.restart();
  }

  /** One step. Rejects as the session does. */
  async step(copy: FleetCopy): Promise<Stepped> {
    const key = KEYS.state(this.#id);
    const entry = copy.rollouts.get(key);
    const problem = (text: string) => this.#lead.trouble(key, text);
    const state = documentAt<RolloutState>(copy.rollouts, key, rolloutState, problem);
    if (!entry || !state) return {done: 'waiting', lookAfter: undefined};
    if (hasEnded(state.phase)) return {done: 'ended'};
    const plan = this.#verifiedPlan(copy.rollouts);
    if (isLockError(plan)) return this.#refusePlan(copy, entry, plan);
    if (!this.#announced) return this.#announce(copy, entry, state);
    const decision = this.#decide(copy, plan, state);
    return decision.next || decision.tell.length > 0
      ? this.#write(copy, entry, plan, state, decision)
      : {done: 'waiting', lookAfter: decision.lookAfter};
  }

  #decide(copy: FleetCopy, plan: Plan, state: RolloutState): Decision {
    const command = this.#nextCommand(copy.rollouts, state.heard + 1);
    if (isLockError(command)) {
      const {since: _, ...next} = state;
      const told = {event: 'command-refused', detail: command.message};
      return {next: {...next, heard: state.heard + 1}, tell: [told]};
    }
    this.#waits.begin(state.turn);
    return decide({plan, state, command, members: this.#members(copy, plan)});
  }

  #members(copy: FleetCopy, plan: Plan): Member[] {
    const problem = (text: string) => this.#lead.trouble(this.#id, text);
    if (this.#ranked?.of !== copy.nodes)
      this.#ranked = {of: copy.nodes, nodes: membersOf(plan, nodesOf(copy.nodes, problem))};
    return this.#ranked.nodes.map(({node, rank, silent}) => ({
      node,
      rank,
      silent,
      report: reportAt(copy.rollouts, this.#id, node, problem),
      waited: this.#waits.of(node),
    }));
  }

  /** By the operators' keys, and for this roll-out of this fleet. */
  #verifiedPlan(entries: Entries): Plan | LockError {
    const key = KEYS.plan(this.#id);
    const entry = entries.get(key);
    if (!entry) return new LockError('ERR_STORE_ANSWER', `${key} is not in etcd`, {key});
    if (this.#plan?.entry === entry) return this.#plan.plan;
    const {fleet, operators} = this.#lead.config;
    return orRefusal(() => {
      const plan = unseal<Plan>(planSchema, entry.value, key, operators);
      requireSame(key, 'roll-out', plan.id, this.#id);
      requireSame(key, 'fleet', plan.fleet, fleet);
      this.#plan = {entry, plan};
      return plan;
    });
  }

  /** One operator is enough. */
  #nextCommand(entries: Entries, seq: number): Command | LockError | undefined {
    const key = KEYS.command(this.#id, seq);
    const entry = entries.get(key);
    const {fleet, operators} = this.#lead.config;
    if (!entry) return undefined;
    return orRefusal(() => {
      const command = unseal<Command>(commandSchema, entry.value, key, {...operators, atLeast: 1});
      requireSame(key, 'roll-out', command.rollout, this.#id);
      requireSame(key, 'fleet', command.fleet, fleet);
      requireSame(key, 'number', command.seq, seq);
      return command;
    });
  }

  /** It stands still, and the history says so once, whoever drives. */
  #refusePlan(copy: FleetCopy, entry: KeyValue, error: LockError): Promise<Stepped> | Stepped {
    const told = {event: 'plan-refused', detail: error.message};
    this.#lead.trouble(KEYS.plan(this.#id), error.message);
    const before = historyOf(copy.rollouts, this.#id, () => {});
    return before.some(({event, detail}) => event === told.event && detail === told.detail)
      ? {done: 'waiting', lookAfter: undefined}
      : this.#transact(copy, entry, [told], []);
  }

  async #announce(copy: FleetCopy, entry: KeyValue, {turn}: RolloutState): Promise<Stepped> {
    const detail = turn === 0 ? undefined : 'the time that nodes have for the order in force starts anew';
    const stepped = await this.#transact(copy, entry, [{event: 'driven', ...(detail && {detail})}], []);
    this.#announced = stepped.done === 'written';
    return stepped;
  }

  #write(
    copy: FleetCopy,
    entry: KeyValue,
    plan: Plan,
    state: RolloutState,
    {next, tell}: Decision,
  ): Promise<Stepped> {
    const operations = next ? [this.#putState(state, next), ...this.#putOrder(plan, state, next)] : [];
    return this.#transact(copy, entry, tell, operations);
  }

  #putState(state: RolloutState, next: NextState): Operation {
    const since = next.phase === state.phase ? state.since : this.#now();
    return {put: KEYS.state(this.#id), value: JSON.stringify({...next, since})};
  }

  #putOrder({epoch, lock}: Plan, state: RolloutState, next: NextState): Operation[] {
    if (next.turn === state.turn) return [];
    const {fleet, drive} = this.#lead.config;
    const order: Order = {
      v: 1,
      kind: 'order',
      fleet,
      rollout: this.#id,
      lock,
      epoch,
      turn: next.turn,
      prepareUpTo: next.prepareUpTo,
      applyUpTo: next.applyUpTo,
      rollBack: next.phase === 'rolling-back' || next.phase === 'rolled-back',
    };
    return [{put: KEYS.order(lock), value: JSON.stringify(seal(order, drive ? [drive] : []))}];
  }

  async #transact(
    copy: FleetCopy,
    {key, modRevision}: KeyValue,
    tell: readonly Told[],
    operations: readonly Operation[],
  ): Promise<Stepped> {
    const {session, createRevision, signal} = this.#lead;
    const events = this.#numbered(copy, tell);
    const puts = events.map(event => [KEYS.event(this.#id, event.seq), JSON.stringify(event)] as const);
    const {applied, revision} = await session.transact(
      {
        when: [
          {key: KEYS.leader, createRevision},
          {key, modRevision},
          ...puts.map(([put]) => ({key: put, exists: false})),
        ],
        then: [...operations, ...puts.map(([put, value]) => ({put, value}))],
      },
      {signal},
    );
    if (!applied) return {done: 'refused'};
    for (const event of events) this.#lead.tell(this.#id, event);
    return {done: 'written', revision};
  }

  #numbered({rollouts}: FleetCopy, tell: readonly Told[]): HistoryEvent[] {
    const prefix = KEYS.history(this.#id);
    const taken = [...rollouts.keys()].filter(key => key.startsWith(prefix));
    const last = taken.reduce((highest, key) => Math.max(highest, Number(key.slice(prefix.length)) || 0), 0);
    const at = this.#now();
    return tell.map(({event, cohort, detail, by = this.#lead.by}, index) => ({
      v: 1,
      seq: last + 1 + index,
      event,
      ...(cohort !== undefined && {cohort}),
      ...(detail !== undefined && {detail: detail.slice(0, 4096)}),
      by,
      at,
    }));
  }

  #now(): string {
    return new Date(this.#lead.system.now()).toISOString();
  }
}

/** What is refused is an answer here. */
function orRefusal<T>(open: () => T): T | LockError {
  try {
    return open();
  } catch (error) {
    if (isLockError(error)) return error;
    throw error;
  }
}
