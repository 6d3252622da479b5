/** How does a test have a fleet? A store, nodes that answer orders by a script, a driver, and an operator. */
import type {Plan} from '../../lib/fleet/documents.js';
import {type Command, type NodeReport, type Order, order as orderSchema} from '../../lib/fleet/documents.js';
import type {FleetAccess} from '../../lib/fleet/access.js';
import type {FleetConfig} from '../../lib/fleet/config.js';
import {rankOf} from '../../lib/fleet/cohort.js';
import {Driver, type DriverEvent} from '../../lib/fleet/driver.js';
import type {Etcd, EtcdOptions} from '../../lib/fleet/etcd/etcd.js';
import type {Session} from '../../lib/fleet/etcd/session.js';
import {KEYS} from '../../lib/fleet/keys.js';
import {followRollout, hasEnded, type RolloutView} from '../../lib/fleet/rollout-view.js';
import {generateKeys, readPrivateKey, readPublicKey, unseal} from '../../lib/fleet/signing.js';
import {startRollout, type RolloutRequest} from '../../lib/fleet/start-rollout.js';
import {commandRollout} from '../../lib/fleet/command-rollout.js';
import {system} from '../../lib/os/system.js';
import {PREFIX, startEtcd, type TestEtcd} from './etcd.js';
import {AT, CONTENT, HASH, LOCK} from './rollout.js';
import type {Ends} from './scratch.js';

export function keyPair(name: string) {
  const {publicKey, privateKey} = generateKeys();
  const trusted = {name, key: readPublicKey(publicKey, name)};
  return {trusted, signing: {name, key: readPrivateKey(privateKey, name)}, privateKey, publicKey};
}

export const alice = keyPair('alice');
export const driverKey = keyPair('driver-1');

export function fleetConfig(options: EtcdOptions, changes: Partial<FleetConfig> = {}): FleetConfig {
  return {
    fleet: 'test',
    node: 'desk',
    labels: {},
    etcd: options,
    operators: {keys: [alice.trusted], atLeast: 1},
    drivers: {keys: [driverKey.trusted], atLeast: 1},
    unsignedCommands: false,
    largest: 1024 * 1024,
    sign: alice.signing,
    drive: driverKey.signing,
    ...changes,
  };
}

export type Asked = 'prepare' | 'apply' | 'roll-back';
type Answer = (Partial<NodeReport> & Pick<NodeReport, 'state'>) | undefined;
/** What a node says; undefined: nothing. */
export type Script = (asked: Asked, order: Order) => Answer;

/** Does all that it is told. */
export const good: Script = (asked, {epoch}) => {
  if (asked === 'prepare') return {state: 'PREPARED'};
  return asked === 'apply'
    ? {state: 'APPLIED', sha256: HASH, epoch, health: 'passed'}
    : {state: 'ROLLED_BACK', epoch: epoch + 1};
};

function askedOf({rollBack, applyUpTo, prepareUpTo}: Order, rank: string): Asked | undefined {
  const isIn = (upTo: string | null) => upTo !== null && rank <= upTo;
  if (rollBack) return isIn(applyUpTo) ? 'roll-back' : undefined;
  if (isIn(applyUpTo)) return 'apply';
  return isIn(prepareUpTo) ? 'prepare' : undefined;
}

/** A node that answers by a script. */
export class ScriptedNode {
  readonly node: string;
  /** All orders that it has heard. */
  readonly orders: Order[] = [];
  script: Script;
  readonly #waiting = new Set<() => void>();
  readonly #session: Session;
  #order: Order | undefined;

  private constructor(node: string, script: Script, session: Session) {
    this.node = node;
    this.script = script;
    this.#session = session;
  }

  static async join(
    etcd: Etcd,
    node: string,
    script: Script = good,
    epochs: Record<string, number> = {},
  ): Promise<ScriptedNode> {
    const session = await etcd.session();
    const scripted = new ScriptedNode(node, script, session);
    const known = {v: 1, node, machineId: null, version: '1', labels: {}, epochs};
    const registration = {...known, bootId: 'b', locks: [LOCK], hot: [], since: AT};
    await session.transact({
      when: [],
      then: [
        {put: KEYS.node(node), value: JSON.stringify(registration), lease: 'session'},
        {put: KEYS.knownNode(node), value: JSON.stringify(known)},
      ],
    });
    const mirror = await etcd.mirror(KEYS.orders, {
      onChanges: changes => {
        for (const {value} of changes) if (value) scripted.#hear(value.value);
      },
    });
    for (const {value} of mirror.entries.values()) scripted.#hear(value);
    return scripted;
  }

  /** Says something of the last order, without being asked. */
  async say(answer: NonNullable<Answer>): Promise<void> {
    if (!this.#order) throw new Error('there is no order');
    await this.#report(this.#order, answer);
  }

  /** Resolves when it has heard such an order, before or later. */
  heard(isIt: (order: Order) => boolean): Promise<void> {
    return new Promise(resolve => {
      const look = () => {
        if (!this.orders.some(isIt)) return;
        this.#waiting.delete(look);
        resolve();
      };
      this.#waiting.add(look);
      look();
    });
  }

  /** Its lease ends. */
  async fallSilent(): Promise<void> {
    this.script = () => undefined;
    await this.#session.close();
  }

  #hear(value: Buffer): void {
    const order = unseal<Order>(orderSchema, value, 'the order', {keys: [driverKey.trusted], atLeast: 1});
    this.#order = order;
    this.orders.push(order);
    for (const look of this.#waiting) look();
    const asked = askedOf(order, rankOf(order.lock, this.node));
    const answer = asked && this.script(asked, order);
    if (answer) void this.#report(order, answer);
  }

  async #report({rollout, turn}: Order, answer: NonNullable<Answer>): Promise<void> {
    const report = {v: 1, node: this.node, rollout, turn, epoch: 0, sha256: null, at: AT, ...answer};
    await this.#session.transact({
      when: [],
      then: [{put: KEYS.report(rollout, this.node), value: JSON.stringify(report)}],
    });
  }
}

/** A driver in this process. */
export interface TestDriver {
  readonly events: DriverEvent[];
  /** Resolves when it has told such an event, before or later. */
  tells(event: string): Promise<DriverEvent>;
  stop(): Promise<void>;
}

export interface TestFleet {
  readonly etcd: TestEtcd;
  readonly options: EtcdOptions;
  readonly access: FleetAccess;
  readonly nodes: ReadonlyMap<string, ScriptedNode>;
  drive(access?: Partial<FleetAccess>, ttl?: number): TestDriver;
  start(changes?: Partial<RolloutRequest>): Promise<Plan>;
  command(id: string, what: Command['command']): Promise<Command>;
  /** The first view that has come so far. */
  until(id: string, isIt: (view: RolloutView) => boolean): Promise<RolloutView>;
  end(id: string): Promise<RolloutView>;
}

export const REQUEST: RolloutRequest = {
  lock: LOCK,
  content: CONTENT,
  where: {},
  canary: 1,
  steps: [50, 100],
  soak: 1,
  // Longer than a slow machine needs; a test that waits for silence gives less.
  prepareWithin: 60_000,
  applyWithin: 60_000,
  reservation: 120_000,
  maxUnavailable: null,
  maxFailed: 0,
  health: [],
  reason: 'a test',
};

export function drive(
  t: Ends,
  access: Pick<FleetAccess, 'config' | 'etcd' | 'system'>,
  ttl?: number,
): TestDriver {
  const end = new AbortController();
  const events: DriverEvent[] = [];
  const waiting = new Set<() => void>();
  const onEvent = (event: DriverEvent) => {
    events.push(event);
    for (const look of waiting) look();
  };
  const running = Driver.run(access, {signal: end.signal, onEvent, ttl});
  running.catch(() => undefined);
  const stop = () => {
    end.abort(new Error('the test ends it'));
    return running;
  };
  t.teardown(() => stop().catch(() => undefined));
  const tells = (name: string) =>
    new Promise<DriverEvent>((resolve, reject) => {
      const look = () => {
        const found = events.find(({event}) => event === name);
        if (!found) return;
        waiting.delete(look);
        resolve(found);
      };
      waiting.add(look);
      running.catch(reject);
      look();
    });
  return {events, tells, stop};
}

/** `names`: of its nodes, which all do as they are told. */
export async function testFleet(
  t: Ends,
  names: readonly string[],
  changes: Partial<FleetConfig> = {},
): Promise<TestFleet> {
  const etcd = await startEtcd(t);
  const client = await etcd.connect();
  const options: EtcdOptions = {endpoints: etcd.endpoints, prefix: PREFIX};
  const session = await client.session();
  const access: FleetAccess = {
    config: fleetConfig(options, changes),
    etcd: client,
    session,
    system: system(),
  };
  const nodes = new Map<string, ScriptedNode>();
  for (const name of names) nodes.set(name, await ScriptedNode.join(client, name));
  const until = async (id: string, isIt: (view: RolloutView) => boolean) => {
    for await (const view of followRollout(access, id)) if (isIt(view)) return view;
    throw new Error(`the roll-out ${id} has ended before that`);
  };
  return {
    etcd,
    options,
    access,
    nodes,
    until,
    drive: (other, ttl) => drive(t, {...access, ...other}, ttl),
    start: async request => (await startRollout(access, {...REQUEST, ...request})).plan,
    command: (id, what) => commandRollout(access, id, what, 'because'),
    end: id => until(id, ({state}) => state !== undefined && hasEnded(state.phase)),
  };
}
