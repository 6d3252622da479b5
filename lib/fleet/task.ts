/** What do the steps of one roll-out share on this node? */
import {appendAudit} from '../recovery/audit.js';
import type {GuardedConfig} from '../recovery/guarded-config.js';
import type {NodeReport, Plan} from './documents.js';
import type {NodeParts} from './node.js';
import type {NodeState} from './node-state.js';
import type {Fence} from './reservation.js';

/** What a step has to say. */
export type Said = Pick<NodeReport, 'state'> & Partial<Pick<NodeReport, 'reason' | 'owner' | 'health'>>;

/** A roll-out of a lock, as this node works on it. */
export interface Task {
  readonly parts: NodeParts;
  readonly fence: Fence;
  readonly lock: string;
  readonly rollout: string;
  /** The lock. */
  readonly config: GuardedConfig;
  /** What is durably known of it. */
  readonly state: NodeState;
  readonly plan: Plan;
  /** Aborts when another order has come in its place, or the agent ends. */
  readonly signal: AbortSignal;
  report(said: Said): void;
}

/** What a record says of all steps alike; of an order that was refused there may be no plan. */
export type Recorded = Pick<Task, 'parts' | 'lock' | 'rollout'> & {readonly plan?: Plan};

/** Writes what is done into the machine's audit log, and tells it. On failure what the record describes must not happen. */
export async function record(
  {parts: {system, roots, tell}, lock, rollout, plan}: Recorded,
  event: string,
  epoch: number,
  facts: Readonly<Record<string, unknown>> = {},
): Promise<void> {
  const all = {rollout, epoch, ...(plan && {sha256: plan.sha256}), ...facts};
  await appendAudit(system, roots.state, event, lock, all);
  tell({event, lock, ...all});
}

/** As `record`, of something that has happened already: gives what kept it from being written down. */
export async function recordAfter(...given: Parameters<typeof record>): Promise<string | undefined> {
  try {
    await record(...given);
    return undefined;
  } catch (error) {
    return `it could not be written to the audit log: ${(error as Error).message}`;
  }
}
