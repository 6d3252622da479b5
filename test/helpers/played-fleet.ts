/** How does a test have a fleet without its machines? It writes itself what agents, operators and drivers would, through a session, into a real etcd. */
import {writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {
  type FleetHold,
  type HistoryEvent,
  type NodeReport,
  type Plan,
  type Registration,
  type RolloutState,
} from '../../lib/fleet/documents.js';
import type {Operation} from '../../lib/fleet/etcd/etcd.js';
import type {Session} from '../../lib/fleet/etcd/session.js';
import {KEYS} from '../../lib/fleet/keys.js';
import {seal} from '../../lib/fleet/signing.js';
import {startEtcd, type TestEtcd} from './etcd.js';
import type {Ends} from './scratch.js';

export const LOCK = 'aim_lock_config';
const CONTENT = 'c'.repeat(64);
const BY = {node: 'desk', uid: 0, pid: 4242};

const now = () => new Date().toISOString();

function put(key: string, value: object, lease?: string): Operation {
  return {put: key, value: JSON.stringify(value), lease};
}

/** Everybody of a fleet, played by a test. */
export class PlayedFleet {
  readonly etcd: TestEtcd;
  readonly #session: Session;
  #told = 0;

  private constructor(etcd: TestEtcd, session: Session) {
    this.etcd = etcd;
    this.#session = session;
  }

  static async start(t: Ends): Promise<PlayedFleet> {
    const etcd = await startEtcd(t);
    const client = await etcd.connect();
    return new PlayedFleet(etcd, await client.session());
  }

  /** Writes the fleet file into that directory; its path. */
  file(directory: string): string {
    const path = join(directory, 'fleet.yaml');
    writeFileSync(path, `fleet: test\netcd: {endpoints: [${this.etcd.endpoints.join(', ')}]}\n`);
    return path;
  }

  async write(...operations: readonly Operation[]): Promise<void> {
    const {applied} = await this.#session.transact({when: [], then: operations});
    if (!applied) throw new Error('it was not written');
  }

  /** Agents that have come. */
  async nodes(names: readonly string[], said: Partial<Registration> = {}): Promise<void> {
    // etcd takes 128 operations at a time.
    for (let from = 0; from < names.length; from += 50)
      await this.write(
        ...names.slice(from, from + 50).flatMap(node => {
          const {bootId, locks, hot, since, ...known} = this.#registration(node, said);
          const registration = {...known, bootId, locks, hot, since};
          return [put(KEYS.node(node), registration), put(KEYS.knownNode(node), known)];
        }),
      );
  }

  #registration(node: string, said: Partial<Registration>): Registration {
    return {
      v: 1,
      node,
      machineId: 'm'.repeat(32),
      bootId: 'b',
      version: '0.1.0',
      labels: {site: 'oslo'},
      locks: [LOCK],
      hot: [],
      epochs: {[LOCK]: 1},
      since: now(),
      ...said,
    };
  }

  /** Agents that came once, and are silent. */
  async known(names: readonly string[]): Promise<void> {
    for (let from = 0; from < names.length; from += 100)
      await this.write(
        ...names.slice(from, from + 100).map(node => {
          const {bootId: _, locks: __, hot: ___, since: ____, ...known} = this.#registration(node, {});
          return put(KEYS.knownNode(node), known);
        }),
      );
  }

  /** An agent's lease is over. */
  async silence(node: string): Promise<void> {
    await this.write({delete: KEYS.node(node)});
  }

  async lead(): Promise<void> {
    await this.write(put(KEYS.leader, {v: 1, by: BY, since: now()}, 'session'));
  }

  async plan(id: string, wanted: Partial<Plan> = {}): Promise<void> {
    const plan: Plan = {
      v: 1,
      kind: 'plan',
      id,
      fleet: 'test',
      lock: LOCK,
      epoch: 7,
      sha256: CONTENT,
      bytes: 1234,
      where: {},
      canary: 1,
      steps: [100],
      soak: 60_000,
      prepareWithin: 60_000,
      applyWithin: 60_000,
      reservation: 60_000,
      spread: 0,
      maxUnavailable: null,
      maxFailed: 0,
      health: [],
      reason: 'CR 1234',
      by: BY,
      at: now(),
      ...wanted,
    };
    await this.write(put(KEYS.plan(id), seal(plan, [])));
  }

  async state(id: string, phase: RolloutState['phase'], more: Partial<RolloutState> = {}): Promise<void> {
    const state: RolloutState = {
      v: 1,
      rollout: id,
      phase,
      cohort: 0,
      turn: 1,
      prepareUpTo: null,
      applyUpTo: null,
      heard: 0,
      named: [],
      since: now(),
      ...more,
    };
    await this.write(put(KEYS.state(id), state));
  }

  async report(
    id: string,
    node: string,
    state: NodeReport['state'],
    more: Partial<NodeReport> = {},
  ): Promise<void> {
    const report = {
      v: 1,
      node,
      rollout: id,
      state,
      turn: 1,
      epoch: 0,
      sha256: state === 'APPLIED' ? CONTENT : null,
      at: now(),
      ...more,
    };
    await this.write(put(KEYS.report(id, node), report));
  }

  async tell(id: string, event: string, more: Partial<HistoryEvent> = {}): Promise<void> {
    const seq = ++this.#told;
    await this.write(put(KEYS.event(id, seq), {v: 1, seq, event, by: 'desk', at: now(), ...more}));
  }

  async hold(id: string, more: Partial<FleetHold> = {}): Promise<void> {
    const hold: FleetHold = {
      v: 1,
      kind: 'hold',
      id,
      fleet: 'test',
      lock: LOCK,
      where: {},
      for: 600_000,
      within: 10_000,
      reason: 'drill',
      by: BY,
      at: now(),
      ...more,
    };
    await this.write(put(KEYS.hold(id), seal(hold, []), 'session'));
  }
}
