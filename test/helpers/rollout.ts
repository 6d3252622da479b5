/** What do tests of roll-outs begin with? A plan, its first state, and nodes that have said something. */
import {createHash} from 'node:crypto';
import {rankOf} from '../../lib/fleet/cohort.js';
import type {Command, NodeReport, Plan, RolloutState} from '../../lib/fleet/documents.js';
import type {Member} from '../../lib/fleet/standing.js';

export const LOCK = 'aim_lock_config';
export const CONTENT = Buffer.from('gain = 9\n');
export const HASH = createHash('sha256').update(CONTENT).digest('hex');
export const AT = '2026-01-01T00:00:00.000Z';

export const PLAN: Plan = {
  v: 1,
  kind: 'plan',
  id: 'r1',
  fleet: 'default',
  lock: LOCK,
  epoch: 2,
  sha256: HASH,
  bytes: CONTENT.length,
  where: {},
  canary: 1,
  steps: [50, 100],
  soak: 1000,
  prepareWithin: 5000,
  applyWithin: 5000,
  reservation: 20_000,
  spread: 0,
  maxUnavailable: null,
  maxFailed: 0,
  health: [],
  reason: 'a test',
  by: {node: 'desk', uid: 0, pid: 1},
  at: AT,
};

export const FIRST: RolloutState = {
  v: 1,
  rollout: 'r1',
  phase: 'preparing',
  cohort: 0,
  turn: 0,
  prepareUpTo: null,
  applyUpTo: null,
  heard: 0,
  named: [],
  since: AT,
};

/** Names of so many nodes, in the order in which they come. */
export function ranked(count: number, lock = LOCK): string[] {
  return Array.from({length: count}, (_, index) => `node-${index}`).toSorted((a, b) =>
    rankOf(lock, a) < rankOf(lock, b) ? -1 : 1,
  );
}

export function rank(node: string): string {
  return rankOf(LOCK, node);
}

export function report(node: string, state: NodeReport['state'], rest: Partial<NodeReport> = {}): NodeReport {
  const done = state === 'APPLIED' ? {sha256: HASH, epoch: PLAN.epoch, health: 'passed' as const} : {};
  return {v: 1, node, rollout: 'r1', state, turn: 99, epoch: 0, sha256: null, at: AT, ...done, ...rest};
}

export function member(node: string, said?: NodeReport, rest: Partial<Member> = {}): Member {
  return {node, rank: rank(node), report: said, silent: false, waited: 0, ...rest};
}

export function command(what: Command['command'], seq = 1): Command {
  const by = {node: 'desk', uid: 0, pid: 1};
  return {
    v: 1,
    kind: 'command',
    fleet: 'default',
    rollout: 'r1',
    seq,
    command: what,
    reason: 'because',
    by,
    at: AT,
  };
}
