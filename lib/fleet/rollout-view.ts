/** How far is a roll-out, and who is in the fleet? Told from what stands in the store; what is invalid there is shown as a problem. */
import type {z} from 'zod';
import {LockError} from '../errors.js';
import type {FleetAccess} from './access.js';
import {type Cohort, cohortsOf} from './cohort.js';
import {
  type FleetHold,
  fleetHold,
  type HistoryEvent,
  leaderRecord,
  NODE_STATES,
  type NodeReport,
  type NodeState,
  type Plan,
  plan as planSchema,
  rolloutId,
  type RolloutState,
  rolloutState,
} from './documents.js';
import {
  documentAt,
  type Entries,
  type FleetNode,
  historyOf,
  membersOf,
  nodesOf,
  type OnProblem,
  type RankedNode,
  reportAt,
  sealedAt,
} from './entries.js';
import type {Etcd, KeyValue} from './etcd/etcd.js';
import {KEYS} from './keys.js';
import {Wake} from './wake.js';

export type {Entries, FleetNode} from './entries.js';
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

/** What has a wrong value is said once. */
function problemList(): {readonly problems: string[]; readonly problem: OnProblem} {
  const problems = new Set<string>();
  const list: string[] = [];
  const problem = (text: string) => {
    if (!problems.has(text)) list.push(text);
    problems.add(text);
  };
  return {problems: list, problem};
}

/** As they would be formed now; one of all nodes when there are fewer than the canary needs. */
function cohortsNow(plan: Plan, members: readonly RankedNode[], problem: OnProblem): Cohort[] {
  const labelled = members.map(({node}) => ({node, labels: {}}));
  try {
    return cohortsOf({...plan, where: {}}, labelled);
  } catch (error) {
    problem((error as Error).message);
    return [{upTo: members.at(-1)?.rank ?? '', nodes: members.map(({node}) => node)}];
  }
}

/** SILENT: it has no registration, or whoever drives has waited for its answer as long as the plan says. */
function shownState(
  member: RankedNode,
  report: NodeReport | undefined,
  state: RolloutState | undefined,
): NodeState {
  const named = state?.named.find(({node}) => node === member.node);
  const unanswered = named?.state === 'SILENT' && (!report || (state && report.turn < state.turn));
  return member.silent || unanswered ? 'SILENT' : (report?.state ?? 'PENDING');
}

function rolloutNode(
  member: RankedNode,
  cohort: number,
  report: NodeReport | undefined,
  state: RolloutState | undefined,
): RolloutNode {
  return {
    node: member.node,
    state: shownState(member, report, state),
    cohort,
    sha256: report?.sha256 ?? null,
    epoch: report?.epoch ?? 0,
    health: report?.health,
    reason: report?.reason,
    owner: report?.owner,
  };
}

function countStates(nodes: readonly RolloutNode[]): Record<NodeState, number> {
  const counts = Object.fromEntries([...NODE_STATES, 'SILENT'].map(state => [state, 0])) as Record<
    NodeState,
    number
  >;
  for (const {state} of nodes) counts[state] += 1;
  return counts;
}

/** Never throws. `entries`: of the roll-out, `nodes/` and `known/` at least. */
export function rolloutView(entries: Entries, id: string): RolloutView {
  const {problems, problem} = problemList();
  const {plan, state} = summaryOf(entries, id, problem);
  const members = plan ? membersOf(plan, nodesOf(entries, problem)) : [];
  const cohorts = plan ? cohortsNow(plan, members, problem) : [];
  const nodes = members.map(member => {
    const cohort = cohorts.findIndex(({upTo}) => member.rank <= upTo);
    return rolloutNode(member, cohort, reportAt(entries, id, member.node, problem), state);
  });
  const history = historyOf(entries, id, problem);
  return {id, plan, state, cohorts, nodes, counts: countStates(nodes), history, problems};
}

function summaryOf(entries: Entries, id: string, problem: OnProblem): RolloutSummary {
  const [planKey, stateKey] = [KEYS.plan(id), KEYS.state(id)];
  for (const key of [planKey, stateKey]) if (!entries.has(key)) problem(`${key} is not in etcd`);
  const plan = sealedAt<Plan>(entries, planKey, planSchema, problem);
  const state = documentAt<RolloutState>(entries, stateKey, rolloutState, problem);
  return {id, plan, state, active: state !== undefined && !hasEnded(state.phase)};
}

/** Ids are shown, asked for and typed: whatever else somebody put there is none. */
function idsOf(entries: Entries, problem: OnProblem): Set<string> {
  const ids = new Set<string>();
  for (const key of entries.keys()) {
    const id = /^rollouts\/(.*)\/(?:plan|state)$/.exec(key)?.[1];
    if (id === undefined) continue;
    if (rolloutId.safeParse(id).success) ids.add(id);
    else problem(`${key} is about no roll-out: that is no id`);
  }
  return ids;
}

/** The active ones first, then the newest. Never throws. */
export function rolloutsIn(entries: Entries, problem: OnProblem = () => {}): RolloutSummary[] {
  const at = ({plan}: RolloutSummary) => plan?.at ?? '';
  return [...idsOf(entries, problem)]
    .map(id => summaryOf(entries, id, problem))
    .toSorted((a, b) => Number(b.active) - Number(a.active) || (at(a) < at(b) ? 1 : -1));
}

/** Never throws. `entries`: all of the fleet but its contents. */
export function fleetView(entries: Entries): FleetView {
  const {problems, problem} = problemList();
  const holds = [...entries.keys()].filter(key => key.startsWith(KEYS.holds));
  return {
    leader: documentAt<LeaderRecord>(entries, KEYS.leader, leaderRecord, problem),
    nodes: nodesOf(entries, problem),
    rollouts: rolloutsIn(entries, problem),
    holds: holds.flatMap(key => sealedAt<FleetHold>(entries, key, fleetHold, problem) ?? []),
    problems,
  };
}

/** What is below these prefixes, each as of one revision. */
async function readEntries(
  etcd: Etcd,
  prefixes: readonly string[],
  asking: Asking,
): Promise<Map<string, KeyValue>> {
  const lists = await Promise.all(prefixes.map(prefix => etcd.list(prefix, asking)));
  return new Map(lists.flatMap(({items}) => items.map(item => [item.key, item] as const)));
}

/** Throws ERR_UNKNOWN_ROLLOUT. */
export function requireRollout(entries: Entries, id: string): void {
  if (entries.has(KEYS.plan(id)) || entries.has(KEYS.state(id))) return;
  throw new LockError('ERR_UNKNOWN_ROLLOUT', `no roll-out of this fleet has the id ${id}`, {rollout: id});
}

/** Rejects with ERR_UNKNOWN_ROLLOUT, and as a read of the store does. */
export async function readRollout(
  {etcd}: Pick<FleetAccess, 'etcd'>,
  id: string,
  asking: Asking = {},
): Promise<RolloutView> {
  const entries = await readEntries(etcd, [KEYS.rollout(id), KEYS.nodes, KEYS.known], asking);
  requireRollout(entries, id);
  return rolloutView(entries, id);
}

/** All roll-outs, the active ones first, then the newest. */
export async function listRollouts(
  {etcd}: Pick<FleetAccess, 'etcd'>,
  asking: Asking = {},
): Promise<readonly RolloutSummary[]> {
  return rolloutsIn(await readEntries(etcd, [KEYS.rollouts], asking));
}

/** All that is known of the fleet now. */
export async function readFleet({etcd}: Pick<FleetAccess, 'etcd'>, asking: Asking = {}): Promise<FleetView> {
  const prefixes = [KEYS.leader, KEYS.nodes, KEYS.known, KEYS.rollouts, KEYS.holds];
  return fleetView(await readEntries(etcd, prefixes, asking));
}

/** Yields a view now and at each change, the last one when it has ended. Rejects as readRollout does. */
export async function* followRollout(
  {etcd}: Pick<FleetAccess, 'etcd'>,
  id: string,
  {signal}: Asking = {},
): AsyncGenerator<RolloutView, void, undefined> {
  const changed = new Wake();
  const onChanges = () => changed.wake();
  using rollout = await etcd.mirror(KEYS.rollout(id), {onChanges, signal});
  using nodes = await etcd.mirror(KEYS.nodes, {onChanges, signal});
  using known = await etcd.mirror(KEYS.known, {onChanges, signal});
  requireRollout(rollout.entries, id);
  for (;;) {
    const view = rolloutView(new Map([...rollout.entries, ...nodes.entries, ...known.entries]), id);
    yield view;
    if (view.state && hasEnded(view.state.phase)) return;
    await changed.next({signal});
  }
}
