/** How does a roll-out begin? Its plan is checked, signed and approved; then one transaction puts all of it, or nothing. What is outlived goes. */
import {randomBytes} from 'node:crypto';
import {LockError} from '../errors.js';
import {sha256} from '../lock/update.js';
import type {FleetAccess} from './access.js';
import {cohortsOf} from './cohort.js';
import {
  type Envelope,
  epochRecord,
  type HistoryEvent,
  order,
  parseDocument,
  type Plan,
  plan as planSchema,
  type Probe,
  type RolloutState,
} from './documents.js';
import {aboutNode, documentAt, type FleetNode, nodesOf, sealedAt} from './entries.js';
import type {Compare, KeyValue} from './etcd/etcd.js';
import {KEYS} from './keys.js';
import {ourselves, personText, sealAsOperator} from './operator.js';
import {type Pruned, pruneRollouts} from './prune-rollouts.js';
import {hasEnded, readRollout} from './rollout-view.js';

/** What an operator asks for. Times in milliseconds. */
export interface RolloutRequest {
  readonly lock: string;
  readonly content: Buffer;
  /** Labels that a node must have. */
  readonly where: Readonly<Record<string, string>>;
  readonly canary: number;
  /** Cumulative percentages, ascending; the last one is 100. */
  readonly steps: readonly number[];
  readonly soak: number;
  readonly prepareWithin: number;
  readonly applyWithin: number;
  /** At least a second. Where it is over before the others are prepared, a node prepares anew before it applies. */
  readonly reservation: number;
  /** Nodes take a step within so long of one another; by default a millisecond for each. */
  readonly spread?: number | undefined;
  readonly maxUnavailable: number | null;
  readonly maxFailed: number;
  readonly health: readonly Probe[];
  readonly reason: string;
}

export interface StartOptions {
  readonly signal?: AbortSignal | undefined;
  /** Gathers the signatures that others have to give, where `operators.atLeast` is more than one. */
  readonly approve?: ((envelope: Envelope) => Promise<Envelope>) | undefined;
  /** Roll-outs of the lock that the store keeps, this one among them. Default 20. */
  readonly keep?: number | undefined;
}

export interface StartedRollout {
  readonly plan: Plan;
  /** What was removed of earlier ones, or why it was not: that is no failure of this one. */
  readonly pruned: Pruned;
}

/** What stood in the store when the plan was made. */
interface Before {
  readonly epoch: KeyValue | undefined;
  readonly order: KeyValue | undefined;
}

/** Milliseconds; in less a slow disk would never come to its rename. */
const LEAST_RESERVATION = 1000;

function refuse(message: string): never {
  throw new LockError('ERR_ARGUMENT', message);
}

function checkRequest({config}: FleetAccess, request: RolloutRequest): void {
  const {content, steps, reservation} = request;
  if (content.length > config.largest)
    throw new LockError(
      'ERR_TOO_LARGE',
      `the content has ${content.length} bytes, and a roll-out of this fleet carries ${config.largest}`,
      {bytes: content.length, largest: config.largest},
    );
  if (steps.some((step, index) => step <= (steps[index - 1] ?? 0)))
    refuse(`steps must be ascending percentages above 0, not ${steps.join(', ')}`);
  if (steps.at(-1) !== 100)
    refuse(`the last step must be 100, not ${steps.at(-1) ?? 'missing'}: every node comes in the end`);
  if (reservation < LEAST_RESERVATION)
    refuse(`a reservation lasts ${LEAST_RESERVATION} ms at least, not ${reservation}`);
}

/** Sorts by time, and no two are the same. */
function newId(now: number): string {
  const [day, time] = new Date(now)
    .toISOString()
    .replaceAll(/[-:]|\..*/g, '')
    .split('T');
  return `${day}-${time}-${randomBytes(3).toString('hex')}`;
}

/** Two above all that was ever seen: the one in between was to roll back. A store put back from an old copy may know less than its nodes. */
function nextEpoch(lock: string, before: Before, nodes: readonly FleetNode[]): number {
  const given = before.epoch ? parseDocument(epochRecord, before.epoch.value, KEYS.epoch(lock)).epoch : 0;
  const seen = nodes.map(node => aboutNode(node)?.epochs[lock] ?? 0);
  return seen.reduce((highest, epoch) => Math.max(highest, epoch), given) + 2;
}

function makePlan(
  {config, system}: FleetAccess,
  request: RolloutRequest,
  {epoch, count}: {readonly epoch: number; readonly count: number},
): Plan {
  const {content, ...rest} = request;
  const now = system.now();
  const parsed = planSchema.safeParse({
    v: 1,
    kind: 'plan',
    id: newId(now),
    fleet: config.fleet,
    epoch,
    sha256: sha256(content),
    bytes: content.length,
    ...rest,
    spread: rest.spread ?? count,
    by: ourselves(config, system),
    at: new Date(now).toISOString(),
  });
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  return refuse(`${issue?.path.join('.') ?? 'the plan'}: ${issue?.message ?? 'is not valid'}`);
}

async function readNodes({etcd}: FleetAccess, signal: AbortSignal | undefined): Promise<FleetNode[]> {
  const lists = await Promise.all([KEYS.nodes, KEYS.known].map(prefix => etcd.list(prefix, {signal})));
  // What is invalid of a node is shown by `fleet nodes`; it takes no part.
  return nodesOf(new Map(lists.flatMap(({items}) => items.map(item => [item.key, item]))), () => {});
}

async function readBefore(
  {etcd}: FleetAccess,
  lock: string,
  signal: AbortSignal | undefined,
): Promise<Before> {
  const [epoch, inForce] = await Promise.all([
    etcd.get(KEYS.epoch(lock), {signal}),
    etcd.get(KEYS.order(lock), {signal}),
  ]);
  return {epoch, order: inForce};
}

/** Roll-outs that may be under way: the one that was started last, and the one whose order is in force. */
function rolloutsIn(lock: string, before: Before): Set<string> {
  const given = Object.entries({[KEYS.epoch(lock)]: before.epoch, [KEYS.order(lock)]: before.order});
  const entries = new Map(given.flatMap(([key, value]) => (value ? [[key, value] as const] : [])));
  const last = documentAt(entries, KEYS.epoch(lock), epochRecord, () => {});
  const inForce = sealedAt(entries, KEYS.order(lock), order, () => {});
  return new Set([last?.rollout, inForce?.rollout].filter(id => id !== undefined));
}

async function requireNoneActive(
  access: FleetAccess,
  lock: string,
  before: Before,
  signal: AbortSignal | undefined,
): Promise<void> {
  for (const id of rolloutsIn(lock, before)) {
    const state = await access.etcd.get(KEYS.state(id), {signal});
    if (!state) continue;
    const view = await readRollout(access, id, {signal});
    if (view.state && hasEnded(view.state.phase)) continue;
    const by = view.plan ? personText(view.plan.by) : 'nobody knows whom';
    const phase = view.state?.phase ?? 'in a state that can not be read';
    throw new LockError(
      'ERR_ROLLOUT_ACTIVE',
      `${lock} has a roll-out under way: ${id}, started by ${by} at ${view.plan?.at ?? 'an unknown time'}, now ${phase}`,
      {lock, rollout: id, phase},
    );
  }
}

/** As it was read. */
function unchanged(key: string, before: KeyValue | undefined): Compare {
  return before ? {key, modRevision: before.modRevision} : {key, exists: false};
}

function firstState({id, at}: Plan): RolloutState {
  return {
    v: 1,
    rollout: id,
    phase: 'preparing',
    cohort: 0,
    turn: 0,
    prepareUpTo: null,
    applyUpTo: null,
    heard: 0,
    named: [],
    since: at,
  };
}

function firstEvent({epoch, reason, by, at}: Plan): HistoryEvent {
  return {
    v: 1,
    seq: 1,
    event: 'started',
    detail: `epoch ${epoch}: ${reason}`.slice(0, 4096),
    by: personText(by),
    at,
  };
}

async function putAll(
  {session}: FleetAccess,
  plan: Plan,
  envelope: Envelope,
  content: Buffer,
  before: Before,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const {id, lock, epoch} = plan;
  const json = (key: string, value: unknown) => ({put: key, value: JSON.stringify(value)});
  const {applied} = await session.transact(
    {
      when: [
        unchanged(KEYS.epoch(lock), before.epoch),
        unchanged(KEYS.order(lock), before.order),
        {key: KEYS.plan(id), exists: false},
      ],
      then: [
        {put: KEYS.blob(plan.sha256), value: content},
        json(KEYS.plan(id), envelope),
        json(KEYS.state(id), firstState(plan)),
        json(KEYS.epoch(lock), {v: 1, lock, epoch, rollout: id}),
        json(KEYS.event(id, 1), firstEvent(plan)),
      ],
    },
    {signal},
  );
  return applied;
}

/** With as many signatures as nodes will ask for. */
async function signPlan({config}: FleetAccess, plan: Plan, {approve}: StartOptions): Promise<Envelope> {
  const {keys, atLeast} = config.operators;
  const envelope = sealAsOperator(config, plan);
  if (keys.length === 0 || atLeast <= 1) return envelope;
  if (approve) return approve(envelope);
  throw new LockError(
    'ERR_SIGNATURE',
    `a plan has to be signed by ${atLeast} operators, and nobody was asked to approve this one`,
    {needed: atLeast},
  );
}

/**
 * Starts a roll-out; whoever drives takes it on from there. Rejects with ERR_ARGUMENT, ERR_TOO_LARGE, ERR_COHORT, ERR_SIGNATURE,
 * ERR_ROLLOUT_ACTIVE, and as the store does.
 */
export async function startRollout(
  access: FleetAccess,
  request: RolloutRequest,
  options: StartOptions = {},
): Promise<StartedRollout> {
  const {lock, content} = request;
  const {signal} = options;
  checkRequest(access, request);
  const before = await readBefore(access, lock, signal);
  await requireNoneActive(access, lock, before, signal);
  const nodes = await readNodes(access, signal);
  const cohorts = cohortsOf(
    request,
    nodes.flatMap(({registration}) => registration ?? []),
  );
  const count = cohorts.reduce((sum, cohort) => sum + cohort.nodes.length, 0);
  const plan = makePlan(access, request, {epoch: nextEpoch(lock, before, nodes), count});
  const envelope = await signPlan(access, plan, options);
  if (await putAll(access, plan, envelope, content, before, signal))
    return {plan, pruned: await pruneRollouts(access, lock, options)};
  await requireNoneActive(access, lock, await readBefore(access, lock, signal), signal);
  throw new LockError(
    'ERR_ROLLOUT_ACTIVE',
    `${lock} had another roll-out between the check of this plan and its start; that one has ended. Nothing was written: start it anew`,
    {lock},
  );
}
