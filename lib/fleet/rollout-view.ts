/** How far is a roll-out, and who is in the fleet? Told from what stands in the store; what is invalid there is shown as a problem. */
import type {FleetAccess} from './access.js';
import type {Cohort} from './cohort.js';
import type {
  FleetHold,
  HistoryEvent,
  KnownNode,
  leaderRecord,
  NodeReport,
  NodeState,
  Plan,
  Registration,
  RolloutState,
} from './documents.js';
import type {KeyValue} from './etcd/etcd.js';
import type {z} from 'zod';

export type Entries = ReadonlyMap<string, KeyValue>;
export type LeaderRecord = z.infer<typeof leaderRecord>;

/** A node of a roll-out. All but its name and cohort is what it said last; SILENT says that it may be otherwise by now. */
export interface RolloutNode {
  readonly node: string;
  readonly state: NodeState;
  /** Index into the cohorts. */
  readonly cohort: number;
  /** Of the file, as read back. null: there is none, or nothing is known. */
  readonly sha256: string | null;
  /** 0: none of a roll-out. */
  readonly epoch: number;
  readonly health: NodeReport['health'];
  readonly reason: string | undefined;
  readonly owner: NodeReport['owner'];
}

export interface RolloutView {
  readonly id: string;
  /** Undefined: missing or invalid; `problems` says which. */
  readonly plan: Plan | undefined;
  readonly state: RolloutState | undefined;
  /** The canary first. */
  readonly cohorts: readonly Cohort[];
  /** By rank: in the order in which they come. */
  readonly nodes: readonly RolloutNode[];
  readonly counts: Readonly<Record<NodeState, number>>;
  readonly history: readonly HistoryEvent[];
  /** What in the store is not what Locksmith writes there. */
  readonly problems: readonly string[];
}

export interface RolloutSummary {
  readonly id: string;
  readonly plan: Plan | undefined;
  readonly state: RolloutState | undefined;
  /** It has not come to its end. */
  readonly active: boolean;
}

export interface FleetNode {
  readonly node: string;
  /** It has no registration. That proves nothing of the machine. */
  readonly silent: boolean;
  readonly registration: Registration | undefined;
  /** What remains known when it is silent. */
  readonly known: KnownNode | undefined;
}

export interface FleetView {
  /** Who drives; undefined: nobody. */
  readonly leader: LeaderRecord | undefined;
  readonly nodes: readonly FleetNode[];
  /** The active ones first, then the newest. */
  readonly rollouts: readonly RolloutSummary[];
  readonly holds: readonly FleetHold[];
  readonly problems: readonly string[];
}

interface Asking {
  readonly signal?: AbortSignal | undefined;
}

/** Is that the end of a roll-out? */
export function hasEnded(phase: RolloutState['phase']): boolean {
  return phase === 'converged' || phase === 'rolled-back' || phase === 'stopped';
}

/** Never throws. `entries`: of the roll-out, `nodes/` and `known/` at least. */
export function rolloutView(_entries: Entries, _id: string): RolloutView {
  throw new Error('not yet');
}

/** Never throws. `entries`: all of the fleet but its contents. */
export function fleetView(_entries: Entries): FleetView {
  throw new Error('not yet');
}

/** Rejects with ERR_UNKNOWN_ROLLOUT, and as a read of the store does. */
export async function readRollout(
  _access: Pick<FleetAccess, 'etcd'>,
  _id: string,
  _asking: Asking = {},
): Promise<RolloutView> {
  throw new Error('not yet');
}

/** All roll-outs, the active ones first, then the newest. */
export async function listRollouts(
  _access: Pick<FleetAccess, 'etcd'>,
  _asking: Asking = {},
): Promise<readonly RolloutSummary[]> {
  throw new Error('not yet');
}

/** All that is known of the fleet now. */
export async function readFleet(
  _access: Pick<FleetAccess, 'etcd'>,
  _asking: Asking = {},
): Promise<FleetView> {
  throw new Error('not yet');
}

/** Yields a view now and at each change, the last one when it has ended. Rejects as readRollout does. */
// oxlint-disable-next-line require-yield
export async function* followRollout(
  _access: Pick<FleetAccess, 'etcd'>,
  _id: string,
  _asking: Asking = {},
): AsyncGenerator<RolloutView, void, undefined> {
  throw new Error('not yet');
}
