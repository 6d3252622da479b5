/** How does a test take one step of a roll-out without a store? As the agent of a node would, with nobody who hears its reports. */
import type {NodeReport} from '../../lib/fleet/documents.js';
import type {Etcd} from '../../lib/fleet/etcd/etcd.js';
import {NodeState} from '../../lib/fleet/node-state.js';
import type {Task} from '../../lib/fleet/task.js';
import {system} from '../../lib/os/system.js';
import type {GuardedConfig} from '../../lib/recovery/guarded-config.js';
import {planOf} from './fleet-documents.js';

export interface TestTask extends Task {
  readonly reports: Pick<NodeReport, 'state'>[];
}

/** The roll-out of planOf, of one lock. */
export function taskOn(config: GuardedConfig, signal: AbortSignal = new AbortController().signal): TestTask {
  const {roots} = config;
  const plan = planOf();
  const reports: Pick<NodeReport, 'state'>[] = [];
  const never = () => Promise.reject(new Error('there is no store in this test'));
  const trust = {keys: [], atLeast: 0};
  const here = {
    fleet: 'test',
    node: 'node-7',
    labels: {},
    etcd: {endpoints: [], prefix: ''},
    operators: trust,
    drivers: trust,
    unsignedCommands: false,
    largest: 1_000_000,
    sign: undefined,
    drive: undefined,
  };
  const parts = {
    config: here,
    version: '0.0.0',
    system: system(),
    roots,
    etcd: {get: never} as unknown as Etcd,
    session: never,
    signal,
    hold: never,
    tell: () => undefined,
  };
  return {
    parts,
    fence: 'supervisor',
    lock: plan.lock,
    rollout: plan.id,
    config,
    state: new NodeState(parts.system, roots, plan.lock),
    plan,
    signal,
    report: said => reports.push(said),
    reports,
  };
}
