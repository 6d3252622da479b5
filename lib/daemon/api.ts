/** What can be asked of the daemon, and what does it answer? One schema for the server, the client and docs/openapi.json. */
import {z} from 'zod';
import {
  fleetHold,
  HEALTH,
  historyEvent,
  leaderRecord,
  memberName,
  NODE_STATES,
  nodeReport,
  plan,
  registration,
  rolloutState,
} from '../fleet/documents.js';
import {MAX_PURPOSE} from '../lock/owner-record.js';
import {LONGEST_HOLD} from '../recovery/hold.js';
import {LONGEST_REASON, SHORTEST_FORCE} from './reasons.js';

/** Version of the API: what is answered only grows; whatever else changes gets another. */
export const API = '/v1';

const time = z.iso.datetime().describe('UTC, as in RFC 3339');
const milliseconds = z.number().nonnegative().describe('milliseconds');
const epoch = z.int().nonnegative().describe('fencing token');
const pid = z.int().nonnegative();
const lockName = z.string().min(1).max(63).describe('name of a lock');
const purpose = z.string().max(MAX_PURPOSE);
const reason = z.string().max(LONGEST_REASON).describe('the audit log keeps it');

/** Undefined where nobody wrote one: 0 stands for what the kernel can't name here. */
export const ownerSchema = z.strictObject({
  node: z.string(),
  pid,
  bootId: z.string(),
  identity: z.string().describe('names one incarnation of a process within one boot'),
  exe: z.string(),
  uid: z.int(),
  purpose,
  since: time,
});

const evidence = z.strictObject({looked: z.string(), saw: z.string(), follows: z.string()});

const number = z.union([z.number(), z.string()]).describe('a string where it is above 2^53');

const mode = z.enum(['shared', 'exclusive']);
const holder = z.strictObject({
  pid,
  kind: z.string(),
  mode,
  via: z.string().describe('how that is known'),
  identity: z.string().nullable(),
});
const suspect = z.strictObject({
  pid: pid.nullable(),
  place: z.enum(['mapping', 'io_uring', 'socket', 'loop']),
  because: z.string(),
});
const waiter = z.strictObject({
  pid: pid.nullable(),
  kind: z.string(),
  mode,
  start: number,
  end: number.nullable(),
  behind: pid.nullable(),
});
const gap = z.strictObject({
  what: z.string(),
  why: z.string(),
  visibleTo: z.enum(['root', 'host']).nullable(),
});

const bit = z.strictObject({
  path: z.string(),
  kind: z.enum(['kernel', 'soft']),
  value: z.union([z.literal(0), z.literal(1)]).nullable(),
  owner: z.strictObject({pid, alive: z.boolean()}).nullable(),
});

const state = z.enum(['FREE', 'ALIVE', 'FROZEN', 'DEAD', 'UNKNOWN']);

/** As `locksmith explain --json`. */
export const verdictSchema = z.strictObject({
  name: lockName,
  file: z.string(),
  hot: z.boolean().describe('the bit is set'),
  state,
  epoch: epoch.nullable(),
  owner: ownerSchema.nullable(),
  bit,
  holders: z.array(holder),
  suspects: z.array(suspect),
  waiters: z.array(waiter),
  evidence: z.array(evidence),
  complete: z.boolean(),
  missing: z.array(gap),
  next: z.array(z.string()).describe('what to do next, most careful first'),
});

/** How an owner gets on that has registered by its heartbeat. */
export const livenessSchema = z.strictObject({
  heartbeat: milliseconds.describe('milliseconds since the last beat'),
  progress: milliseconds.describe('milliseconds since it got further'),
  suspect: z
    .enum(['heartbeat', 'progress'])
    .nullable()
    .describe('what is late; never a reason to take the lock away'),
});

/** Longest time between two beats. */
const DAY = 86_400_000;

export const beatSchema = z.strictObject({
  epoch,
  every: z.int().min(10).max(DAY).describe('milliseconds in which the next beat will come'),
  progress: z.int().nonnegative().describe('grows whenever the owner gets further'),
  progressEvery: z
    .int()
    .min(10)
    .max(DAY)
    .optional()
    .describe('milliseconds in which it will have grown; by default ten beats'),
});

export const orchestratorRequestSchema = z.strictObject({
  name: z.string().min(1).max(200).describe('for people'),
  locks: z.array(lockName).min(1).max(1000).describe('whose holds it wants to hear of'),
});

export const orchestratorSchema = z.strictObject({
  id: z.string(),
  name: z.string(),
  pid,
  uid: z.int(),
  locks: z.array(lockName),
  cycles: z.array(lockName).describe('in which it says to be in a cycle'),
  holds: z.array(z.strictObject({hold: z.string(), lock: lockName, acknowledged: z.boolean()})),
});

export const cycleSchema = z.strictObject({lock: lockName, running: z.boolean()});

export const acknowledgementSchema = z.strictObject({
  hold: z.string().min(1).describe('its id, as announced'),
});

/** One line of the list: what the daemon knows without looking again. */
export const lockSchema = z.strictObject({
  name: lockName,
  file: z.string(),
  hot: z.boolean().nullable().describe('null: the bit can not be read'),
  state: state.nullable().describe('as it was examined last, at `examined`; null: not yet at this epoch'),
  examined: time.nullable(),
  epoch: epoch.nullable(),
  owner: ownerSchema.nullable(),
  waiters: z.int().nonnegative(),
  recovering: z.boolean(),
  liveness: livenessSchema.nullable(),
});

export const recoverySchema = z.strictObject({
  hold: z
    .int()
    .min(1)
    .max(LONGEST_HOLD)
    .optional()
    .describe('bound of the hold, milliseconds; by default that of the policy'),
  reason: reason.optional(),
});

export const breakGlassSchema = z.strictObject({
  owner: z.union([pid, z.string().min(1)]).describe('as the verdict names it: pid, identity, or "unknown"'),
  epoch,
  reason: reason.min(SHORTEST_FORCE),
  kill: z.boolean().optional(),
  hold: z.int().min(1).max(LONGEST_HOLD).optional(),
});

const contender = z.strictObject({
  pid: pid.optional(),
  doing: z.enum(['waits for the guard', 'has the file open for writing']),
});

export const certificateSchema = z.looseObject({
  lock: lockName,
  file: z.string(),
  forced: z.boolean(),
  reason: z.string(),
  by: z.strictObject({node: z.string(), pid, uid: z.int()}),
  at: time,
  verdict: verdictSchema,
  epochs: z.strictObject({before: epoch, after: epoch}),
  outcome: z.enum(['untouched', 'rolled-forward', 'rolled-back', 'changed-by-others']),
  sha256: z.string().nullable(),
  removedShadows: z.array(z.string()),
  drained: z.array(contender).describe('who had to be waited for'),
  took: milliseconds,
  audit: z.strictObject({seq: z.int(), hash: z.string()}),
});

export const holdRequestSchema = z.strictObject({
  lock: lockName,
  for: z
    .int()
    .min(1)
    .max(LONGEST_HOLD)
    .optional()
    .describe('bound, milliseconds; by default that of the policy, else 90 s'),
  reason: reason.optional(),
});

export const holdSchema = z.strictObject({
  id: z.string(),
  lock: lockName,
  reason: z.string(),
  by: z.strictObject({pid, uid: z.int()}),
  since: time,
  remaining: milliseconds,
  acknowledgedAfter: milliseconds,
  acknowledgements: z.array(z.strictObject({adapter: z.string(), what: z.string(), after: milliseconds})),
});

export const statusSchema = z.strictObject({
  version: z.string(),
  pid,
  node: z.string(),
  since: time,
  locks: z.int(),
  hot: z.int(),
  recovering: z.int(),
  holds: z.int(),
  listeners: z.int(),
  sweep: z
    .strictObject({finished: time, took: milliseconds, locks: z.int()})
    .nullable()
    .describe('the last look at all locks'),
  policy: z.strictObject({read: time, problem: z.string().nullable()}),
  fleet: z.string().nullable().describe('name of the fleet that it looks at; null: none'),
});

const count = z.int().nonnegative();
const problems = z
  .array(z.string())
  .describe('what in etcd is not what Locksmith writes there, at most a hundred');

const rolloutSummary = z.strictObject({
  id: z.string(),
  plan: plan.nullable().describe('what it is to do; null: missing or invalid, and `problems` says which'),
  state: rolloutState.nullable().describe('where it is; null: as above'),
  active: z.boolean().describe('it has not come to its end'),
});

/** A node as it says itself, or as it said last when it is silent. */
const fleetNodeSchema = z.strictObject({
  node: z.string(),
  silent: z.boolean().describe('it has no session with etcd, which proves nothing of the machine'),
  version: z.string().nullable(),
  labels: registration.shape.labels,
  locks: count.nullable().describe('how many it has; null: nobody knows'),
  hot: registration.shape.hot.describe('those that are HOT or orphaned'),
  epochs: registration.shape.epochs,
  since: time.nullable().describe('when its agent began'),
});

/** What is known of the fleet. */
export const fleetSchema = z.strictObject({
  fleet: z.string(),
  standing: z.strictObject({
    current: z.boolean().describe('it is what stands in etcd now'),
    since: time.describe('so long it has been so, or not'),
    why: z.string().nullable().describe('why it is not'),
  }),
  leader: leaderRecord.nullable().describe('who drives the roll-outs; null: nobody'),
  counts: z
    .strictObject({nodes: count, silent: count, hot: count, inNeed: count, ended: count, problems: count})
    .describe('of nodes; `inNeed`: those that are silent, or have locks that are HOT'),
  nodes: z.array(fleetNodeSchema).describe('those in need of attention first'),
  rollouts: z.array(rolloutSummary).describe('the active ones first, then the newest'),
  holds: z.array(fleetHold),
  problems,
});

const byState = z.record(z.enum([...NODE_STATES, 'SILENT']), count);

const rolloutNode = z.strictObject({
  node: memberName,
  state: z.enum([...NODE_STATES, 'SILENT']),
  cohort: count.describe('index into the cohorts'),
  sha256: nodeReport.shape.sha256.describe('of the file, as read back'),
  epoch: count.describe('0: none of a roll-out'),
  health: z.enum(HEALTH).nullable(),
  reason: z.string().nullable(),
  owner: nodeReport.shape.owner.unwrap().nullable().describe('who has the lock there'),
});

/** How far a roll-out is. */
export const rolloutSchema = rolloutSummary.extend({
  cohorts: z
    .array(z.strictObject({nodes: count, counts: byState, health: z.record(z.enum(HEALTH), count)}))
    .describe('the canary first'),
  counts: byState,
  nodes: z
    .array(rolloutNode)
    .describe('those in need of attention first, then in the order in which they come'),
  inNeed: count.describe('how many nodes need attention'),
  history: z.array(historyEvent).describe('oldest first'),
  problems,
});

export const failureSchema = z.strictObject({
  error: z.looseObject({code: z.string().optional(), message: z.string()}),
});

export type Lock = z.infer<typeof lockSchema>;
export type Liveness = z.infer<typeof livenessSchema>;
export type BeatRequest = z.infer<typeof beatSchema>;
export type OrchestratorRequest = z.infer<typeof orchestratorRequestSchema>;
export type OrchestratorAnswer = z.infer<typeof orchestratorSchema>;
export type FleetAnswer = z.infer<typeof fleetSchema>;
export type FleetNodeAnswer = z.infer<typeof fleetNodeSchema>;
export type RolloutAnswer = z.infer<typeof rolloutSchema>;
export type RolloutNodeAnswer = z.infer<typeof rolloutNode>;
export type Status = z.infer<typeof statusSchema>;
export type HoldAnswer = z.infer<typeof holdSchema>;
export type HoldRequest = z.infer<typeof holdRequestSchema>;
export type RecoveryRequest = z.infer<typeof recoverySchema>;
export type BreakGlassRequest = z.infer<typeof breakGlassSchema>;
export type VerdictAnswer = z.infer<typeof verdictSchema>;
export type CertificateAnswer = z.infer<typeof certificateSchema>;

/** JSON Schema of a schema, for Fastify and for OpenAPI 3.1. */
export function jsonSchema(schema: z.ZodType): Record<string, unknown> {
  const {$schema: _, ...rest} = z.toJSONSchema(schema, {target: 'draft-7', io: 'input'}) as Record<
    string,
    unknown
  >;
  return rest;
}
