/** How does a test play the rest of a fleet for an agent? It signs plans and orders, and hears what nodes report. */
import {randomUUID} from 'node:crypto';
import {EventEmitter, once} from 'node:events';
import type {ExecutionContext, TestFn} from 'ava';
import {LockError} from '../../lib/errors.js';
import {Agent, type AgentOptions} from '../../lib/fleet/agent.js';
import type {FleetConfig} from '../../lib/fleet/config.js';
import type {NodeReport, Order, Plan, Registration} from '../../lib/fleet/documents.js';
import {Etcd, type EtcdOptions} from '../../lib/fleet/etcd/etcd.js';
import type {Mirror} from '../../lib/fleet/etcd/mirror.js';
import type {Session} from '../../lib/fleet/etcd/session.js';
import {KEYS} from '../../lib/fleet/keys.js';
import type {NodeEvent} from '../../lib/fleet/node.js';
import {seal, type SigningKey} from '../../lib/fleet/signing.js';
import {system} from '../../lib/os/system.js';
import {type AuditRecord, auditRecords} from '../../lib/recovery/audit.js';
import {driver, NODE, operator, orderOf} from './fleet-documents.js';
import {PREFIX, startEtcd, type TestEtcd} from './etcd.js';
import {fixture} from './native.js';
import {startProgram} from './program.js';
import type {Started} from './started.js';
import {type Ends, NEW, openScratch, type Scratch, scratch} from './scratch.js';

export * from './fleet-documents.js';

/** One store for all tests of a file that do not hurt it. */
export function storeFor(test: TestFn): () => TestEtcd {
  const teardowns: (() => unknown)[] = [];
  let store: TestEtcd | undefined;
  test.before(async () => {
    store = await startEtcd({teardown: end => teardowns.unshift(end)});
  });
  test.after.always(async () => {
    for (const end of teardowns) await end();
  });
  return () => store as TestEtcd;
}

/** An agent, its lock, and what it told. */
export interface TestNode {
  readonly place: Scratch;
  readonly options: AgentOptions;
  readonly agent: Agent;
  readonly events: readonly NodeEvent[];
}

/** The store of a fleet, with a session of our own. */
export class TestFleet {
  readonly store: TestEtcd;
  readonly etcd: Etcd;
  readonly #t: Ends;
  readonly #options: EtcdOptions;
  readonly #session: Session;
  readonly #changes = new EventEmitter().setMaxListeners(0);
  #mirror: Mirror | undefined;

  private constructor(t: Ends, store: TestEtcd, options: EtcdOptions, etcd: Etcd, session: Session) {
    this.#t = t;
    this.store = store;
    this.#options = options;
    this.etcd = etcd;
    this.#session = session;
  }

  /** In a store of its own, or beside other fleets. */
  static async start(t: Ends, store?: TestEtcd): Promise<TestFleet> {
    const there = store ?? (await startEtcd(t));
    const prefix = `${PREFIX}${randomUUID()}/`;
    const options = {endpoints: there.endpoints, prefix};
    const etcd = await Etcd.connect(options);
    t.teardown(() => etcd.close());
    const fleet = new TestFleet(t, there, options, etcd, await etcd.session({ttl: 600}));
    fleet.#mirror = await etcd.mirror('', {onChanges: () => fleet.#changes.emit('change')});
    return fleet;
  }

  async put(key: string, value: string | Buffer): Promise<void> {
    await this.#session.transact({when: [], then: [{put: key, value}]});
  }

  async delete(key: string): Promise<void> {
    await this.#session.transact({when: [], then: [{delete: key}]});
  }

  /** Puts content and plan there. */
  async announce(
    plan: Plan,
    {content = NEW, by = [operator.signing]}: {content?: string | null; by?: SigningKey[]} = {},
  ): Promise<Plan> {
    if (content !== null) await this.put(KEYS.blob(plan.sha256), content);
    await this.put(KEYS.plan(plan.id), JSON.stringify(seal(plan, by)));
    return plan;
  }

  async order(plan: Plan, changes: Partial<Order>, by: SigningKey[] = [driver.signing]): Promise<void> {
    await this.put(KEYS.order(plan.lock), JSON.stringify(seal(orderOf(plan, changes), by)));
  }

  config(changes: Partial<FleetConfig> = {}): FleetConfig {
    return {
      fleet: 'test',
      node: NODE,
      labels: {},
      etcd: this.#options,
      operators: {keys: [operator.trusted], atLeast: 1},
      drivers: {keys: [driver.trusted], atLeast: 1},
      unsignedCommands: false,
      largest: 1_000_000,
      sign: undefined,
      drive: undefined,
      ...changes,
    };
  }

  /** What an agent on that place is started with; it never holds. */
  options(
    place: Scratch,
    changes: Partial<AgentOptions> = {},
    config: Partial<FleetConfig> = {},
  ): AgentOptions {
    return {
      config: this.config(config),
      version: '0.0.0',
      system: system(),
      roots: place.roots,
      hold: () => Promise.reject(new LockError('ERR_HOLD_REFUSED', 'nothing is held in this test')),
      ...changes,
    };
  }

  /** Starts an agent on a lock of its own, or on one that is there; it ends with the test. */
  async node(
    changes: Partial<AgentOptions> = {},
    config: Partial<FleetConfig> = {},
    place: Scratch = scratch(this.#t),
  ): Promise<TestNode> {
    await openScratch(place);
    const events: NodeEvent[] = [];
    const options = this.options(place, {onEvent: event => events.push(event), ...changes}, config);
    const agent = await Agent.start(options);
    this.#t.teardown(() => agent.end());
    return {place, options, agent, events};
  }

  /** The same as a program of its own, which is killed with the test, or kills or stops itself at a step. */
  program(
    t: ExecutionContext,
    place: Scratch,
    at: {readonly killAt?: string; readonly stopAt?: string; readonly ttl?: number},
  ): Started {
    const keys = {operator: operator.publicKey, driver: driver.publicKey};
    const facts = {place, node: NODE, etcd: this.#options, keys, ...at};
    return startProgram(t, process.execPath, fixture('fleet-agent'), JSON.stringify(facts));
  }

  report(rollout = 'r1', node = NODE): NodeReport | undefined {
    return this.#json(KEYS.report(rollout, node)) as NodeReport | undefined;
  }

  registration(node = NODE): Registration | undefined {
    return this.#json(KEYS.node(node)) as Registration | undefined;
  }

  #json(key: string): unknown {
    const entry = this.#mirror?.entries.get(key);
    return entry && JSON.parse(entry.value.toString());
  }

  /** Resolves with what it gives as soon as that is something, at once or after a change in the store. */
  async until<T>(look: () => T | undefined | false): Promise<T> {
    for (;;) {
      const seen = look();
      if (seen !== undefined && seen !== false) return seen;
      await once(this.#changes, 'change');
    }
  }

  /** The first report of that state, since when it is asked. */
  async reported(
    state: NodeReport['state'],
    rollout = 'r1',
    fits: (report: NodeReport) => boolean = () => true,
  ) {
    return this.until(() => {
      const report = this.report(rollout);
      return report?.state === state && fits(report) && report;
    });
  }

  /** Applied, and the soak time is over. */
  async applied(rollout = 'r1'): Promise<NodeReport> {
    return this.reported('APPLIED', rollout, ({health}) => health !== undefined && health !== 'soaking');
  }
}

/** What a node has in its audit log of roll-outs, oldest first. */
export async function fleetRecords({roots}: Scratch): Promise<AuditRecord[]> {
  const records: AuditRecord[] = [];
  for await (const record of auditRecords(roots.state))
    if (record.event.startsWith('fleet-')) records.push(record);
  return records;
}

export async function fleetEvents(place: Scratch): Promise<string[]> {
  return (await fleetRecords(place)).map(({event}) => event.slice('fleet-'.length));
}
