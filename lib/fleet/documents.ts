/** What may stand in the store? The shape of each value. All of it is untrusted input: anybody who may write to etcd may have written it. */
import {z} from 'zod';
import {LockError} from '../errors.js';
import {checkName} from '../lock/layout.js';

/** Longer than any document that we write; content is not a document. */
const LONGEST_DOCUMENT = 256 * 1024;

const lockName = z.string().refine(name => {
  try {
    return checkName(name) === name;
  } catch {
    return false;
  }
}, 'no name for a lock');

/** Name of a node or of a key: a part of a key in etcd, and shown to people. */
export const memberName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, 'expected 1 to 63 of A-Z a-z 0-9 . _ -');

const id = z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/);
export {id as rolloutId};
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const rank = z.string().regex(/^[0-9a-f]{16}$/);
const epoch = z.int().min(1);
const milliseconds = z.int().min(0);
/** What somebody wrote for people; shown, never interpreted. */
const words = z.string().max(4096);
const labels = z.record(memberName, z.string().max(255));
const time = z.iso.datetime();

/** Who did it: shown, not believed. */
const person = z.object({node: words, uid: z.int(), pid: z.int()});

/** How is it found out that a node is well? Each probe is repeated until the soak time is over. */
export const probe = z.discriminatedUnion('kind', [
  z.object({kind: z.literal('command'), command: z.string().min(1).max(4096), within: milliseconds}),
  z.object({kind: z.literal('http'), url: z.url({protocol: /^https?$/}).max(2048), within: milliseconds}),
  z.object({
    kind: z.literal('metric'),
    url: z.url({protocol: /^https?$/}).max(2048),
    /** As Prometheus writes a sample: a name, with labels or without. */
    metric: z.string().min(1).max(1024),
    compare: z.enum(['<', '<=', '>', '>=', '==']),
    threshold: z.number(),
    within: milliseconds,
  }),
]);
export type Probe = z.infer<typeof probe>;

/** What a roll-out is. Never changes; signed by operators. It takes two epochs: `epoch`, and the one above to roll back at. */
export const plan = z.object({
  v: z.literal(1),
  kind: z.literal('plan'),
  id,
  fleet: memberName,
  lock: lockName,
  epoch,
  sha256,
  bytes: z.int().min(0),
  /** Labels that a node must have to take part. */
  where: labels,
  /** So many nodes first. */
  canary: z.int().min(1),
  /** Cumulative percentages of all nodes, ascending; the last one is 100. */
  steps: z.array(z.number().gt(0).max(100)).min(1).max(100),
  soak: milliseconds,
  /** Bounds for a cohort to prepare, and to apply before it soaks. Silence counts as failure then. */
  prepareWithin: milliseconds,
  applyWithin: milliseconds,
  /** How long a node that is prepared may apply, on its own clock. */
  reservation: milliseconds,
  /** Nodes take a step within so long of one another, by rank: neither etcd nor what they reload has all of them at once. */
  spread: milliseconds,
  /** Nodes that may be changing at a time; null: a whole cohort. */
  maxUnavailable: z.int().min(1).nullable(),
  /** Nodes of all cohorts so far that may fail without stopping the roll-out. */
  maxFailed: z.int().min(0),
  health: z.array(probe).max(16),
  reason: words,
  by: person,
  at: time,
});
export type Plan = z.infer<typeof plan>;

/** What the nodes are to do about a lock now; signed by a driver. */
export const order = z.object({
  v: z.literal(1),
  kind: z.literal('order'),
  fleet: memberName,
  rollout: id,
  lock: lockName,
  /** That of the plan; who rolls back does so at the one above. */
  epoch,
  /** Counts the orders of a roll-out; a node that was refused tries again at a higher one. */
  turn: z.int().min(1),
  /** All nodes up to these ranks prepare, and apply. null: none. */
  prepareUpTo: rank.nullable(),
  applyUpTo: rank.nullable(),
  /** All nodes that applied put back what they had. */
  rollBack: z.boolean(),
});
export type Order = z.infer<typeof order>;

/** What an operator says of a roll-out. */
export const command = z.object({
  v: z.literal(1),
  kind: z.literal('command'),
  fleet: memberName,
  rollout: id,
  seq: z.int().min(1),
  command: z.enum(['pause', 'promote', 'abort']),
  reason: words,
  by: person,
  at: time,
});
export type Command = z.infer<typeof command>;

/** Everything that passes the gate of these locks stands still, on every node with these labels. */
export const fleetHold = z.object({
  v: z.literal(1),
  kind: z.literal('hold'),
  id,
  fleet: memberName,
  lock: lockName,
  where: labels,
  /** Milliseconds. Its lease in etcd, which is never renewed, lasts a little longer. */
  for: z.int().min(1),
  /** Milliseconds for a node to come to its hold point. */
  within: z.int().min(1),
  reason: words,
  by: person,
  at: time,
});
export type FleetHold = z.infer<typeof fleetHold>;

/** A document as it was signed, to the letter. */
const envelope = z.object({
  document: z.string().max(LONGEST_DOCUMENT),
  signatures: z.array(z.object({name: memberName, signature: z.base64().max(128)})).max(16),
});
export type Envelope = z.infer<typeof envelope>;

/** Who has the lock, as the node's own kernel knows. Shown to people. */
const shownOwner = z.looseObject({
  pid: z.int().optional(),
  node: words.optional(),
  purpose: words.optional(),
});

/** A lock of a node that is not FREE. */
const lockReport = z.object({
  lock: lockName,
  state: z.enum(['ALIVE', 'FROZEN', 'DEAD', 'UNKNOWN']),
  summary: words,
  owner: shownOwner.nullable(),
});

/** What an agent says of its node; below a lease. */
export const registration = z.object({
  v: z.literal(1),
  node: memberName,
  machineId: words.nullable(),
  bootId: words,
  version: words,
  labels,
  /** Names of all locks here. */
  locks: z.array(lockName).max(10_000),
  /** Those that are HOT or orphaned. */
  hot: z.array(lockReport).max(10_000),
  /** The highest epoch of a roll-out that this node has seen, by lock. */
  epochs: z.record(lockName, z.int().min(0)),
  since: time,
});
export type Registration = z.infer<typeof registration>;

/** What remains known of a node that is silent. */
export const knownNode = registration.pick({
  v: true,
  node: true,
  machineId: true,
  version: true,
  labels: true,
  epochs: true,
});
export type KnownNode = z.infer<typeof knownNode>;

export const NODE_STATES = [
  'PENDING',
  'SHADOWED',
  'PREPARED',
  'APPLIED',
  'REFUSED_HOT',
  'FAILED',
  'ROLLED_BACK',
] as const;

/** Of how a node came through the soak time. */
export const HEALTH = ['soaking', 'passed', 'failed', 'inconclusive'] as const;

/** How far a node is with a roll-out. */
export const nodeReport = z.object({
  v: z.literal(1),
  node: memberName,
  rollout: id,
  state: z.enum(NODE_STATES),
  /** Of the order that it answers. */
  turn: z.int().min(0),
  /** The epoch that the file has by now, as far as this agent knows; 0: none of a roll-out. */
  epoch: z.int().min(0),
  /** Of the file as it is now, read back. null: there is none. */
  sha256: sha256.nullable(),
  /** Why it was refused or failed. */
  reason: words.optional(),
  owner: shownOwner.optional(),
  health: z.enum(HEALTH).optional(),
  at: time,
});
export type NodeReport = z.infer<typeof nodeReport>;
export type NodeState = NodeReport['state'] | 'SILENT';

export const PHASES = [
  'preparing',
  'applying',
  'paused',
  'rolling-back',
  'converged',
  'rolled-back',
  'stopped',
] as const;

/** Where the state machine of a roll-out is; written by whoever drives it. */
export const rolloutState = z.object({
  v: z.literal(1),
  rollout: id,
  phase: z.enum(PHASES),
  /** Where it goes on when it is promoted. */
  paused: z.enum(['preparing', 'applying']).optional(),
  /** Index into the cohorts; the canary is 0. */
  cohort: z.int().min(0),
  /** The order in force. */
  turn: z.int().min(0),
  prepareUpTo: rank.nullable(),
  applyUpTo: rank.nullable(),
  /** An operator has promoted it although the health of nodes up to this rank was inconclusive. */
  accepted: rank.optional(),
  /** The last command that was heard. */
  heard: z.int().min(0),
  /** Why it is paused, was stopped or rolled back. */
  reason: words.optional(),
  /** Nodes that it stopped for or left behind, and why: the first hundred. */
  named: z.array(z.object({node: memberName, state: words, reason: words.optional()})).max(100),
  since: time,
});
export type RolloutState = z.infer<typeof rolloutState>;

/** Something that happened in a roll-out, for people. */
export const historyEvent = z.object({
  v: z.literal(1),
  seq: z.int().min(1),
  event: words,
  cohort: z.int().min(0).optional(),
  detail: words.optional(),
  by: words,
  at: time,
});
export type HistoryEvent = z.infer<typeof historyEvent>;

/** A node's answer to a hold. */
export const holdAcknowledgement = z.object({
  v: z.literal(1),
  node: memberName,
  hold: id,
  held: z.boolean(),
  /** Milliseconds from hearing of it to the last acknowledgement of an orchestrator. */
  acknowledgedAfter: z.number().min(0).optional(),
  /** What was stopped there, in words. */
  orchestrators: z.array(words).max(1000),
  /** Why it is not held. */
  reason: words.optional(),
  at: time,
});
export type HoldAcknowledgement = z.infer<typeof holdAcknowledgement>;

/** The last roll-out of a lock that was started, and its epoch: no other one of that lock can be active. */
export const epochRecord = z.object({v: z.literal(1), lock: lockName, epoch, rollout: id});

/** Who drives. */
export const leaderRecord = z.object({v: z.literal(1), by: person, since: time});

function firstProblem({issues}: z.core.$ZodError): string {
  const [issue] = issues;
  return issue
    ? `${issue.path.map(String).join('.') || 'it'}: ${issue.message}`
    : 'it is not what it should be';
}

/** Parses a value of the store. Throws ERR_STORE_ANSWER, which names the key. */
export function parseDocument<T>(schema: z.ZodType<T>, text: string | Buffer, key: string): T {
  let problem: string;
  try {
    if (text.length > 2 * LONGEST_DOCUMENT)
      throw new Error(`it is longer than ${2 * LONGEST_DOCUMENT} bytes`);
    const parsed = schema.safeParse(JSON.parse(text.toString()));
    if (parsed.success) return parsed.data;
    problem = firstProblem(parsed.error);
  } catch (error) {
    problem = (error as Error).message;
  }
  throw new LockError('ERR_STORE_ANSWER', `${key} in etcd is not what Locksmith writes there: ${problem}`, {
    key,
  });
}

export function parseEnvelope(text: string | Buffer, key: string): Envelope {
  return parseDocument(envelope, text, key);
}
