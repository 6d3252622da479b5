/** What of an agent does a fleet hold need? A registration, a mirror of what is in force, and real locks; nothing else of it. */
import type {FleetConfig} from '../../lib/fleet/config.js';
import {Etcd} from '../../lib/fleet/etcd/etcd.js';
import type {Session} from '../../lib/fleet/etcd/session.js';
import {KEYS, NOW} from '../../lib/fleet/keys.js';
import type {NodeEvent, NodeParts} from '../../lib/fleet/node.js';
import {NodeHolds} from '../../lib/fleet/node-holds.js';
import {
  readPrivateKey,
  readPublicKey,
  type SigningKey,
  type Trust,
  type TrustedKey,
} from '../../lib/fleet/signing.js';
import {readSystem} from '../../lib/os/system.js';
import type {GuardedConfig} from '../../lib/recovery/guarded-config.js';
import {openScratch, type Scratch} from './scratch.js';

export const FLEET = 'test';

/** A pair of keys of one operator, in PEM. */
export interface Operator {
  readonly name: string;
  readonly publicKey: string;
  readonly privateKey: string;
}

export function signingKey({name, privateKey}: Operator): SigningKey {
  return {name, key: readPrivateKey(privateKey, name)};
}

function trustedKey({name, publicKey}: Operator): TrustedKey {
  return {name, key: readPublicKey(publicKey, name)};
}

export function trusting(operators: readonly Operator[], atLeast = 1): Trust {
  return {keys: operators.map(trustedKey), atLeast};
}

export function fleetConfig(
  endpoints: readonly string[],
  changes: Partial<FleetConfig>,
  timeout = 5000,
): FleetConfig {
  return {
    fleet: FLEET,
    node: 'operator',
    labels: {},
    etcd: {endpoints, prefix: `/locksmith/${FLEET}/`, timeout},
    operators: {keys: [], atLeast: 1},
    drivers: {keys: [], atLeast: 1},
    unsignedCommands: false,
    largest: 1024 * 1024,
    sign: undefined,
    drive: undefined,
    ...changes,
  };
}

/** How one agent is set; of plain values, so that another process can be told. */
export interface AgentSetting {
  readonly endpoints: readonly string[];
  readonly node: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly operators?: readonly Operator[];
  readonly atLeast?: number;
  /** Seconds. */
  readonly ttl?: number;
  /** Milliseconds. */
  readonly timeout?: number;
}

/** An agent that does holds only. */
export class HoldAgent {
  readonly events: NodeEvent[] = [];
  readonly locks: GuardedConfig;
  readonly #setting: AgentSetting;
  readonly #config: FleetConfig;
  readonly #etcd: Etcd;
  readonly #end = new AbortController();
  #session: Promise<Session>;
  #holds: NodeHolds | undefined;

  private constructor(setting: AgentSetting, config: FleetConfig, etcd: Etcd, locks: GuardedConfig) {
    this.#setting = setting;
    this.#config = config;
    this.#etcd = etcd;
    this.locks = locks;
    this.#session = this.#begin();
  }

  static async start(setting: AgentSetting, place: Scratch): Promise<HoldAgent> {
    const {endpoints, node, labels = {}, operators = [], atLeast = 1} = setting;
    const changes = {node, labels, operators: trusting(operators, atLeast)};
    const config = fleetConfig(endpoints, changes, setting.timeout);
    const etcd = await Etcd.connect(config.etcd);
    const agent = new HoldAgent(setting, config, etcd, await openScratch(place));
    await agent.#session;
    await agent.#follow();
    return agent;
  }

  /** Its session in force. */
  async session(): Promise<Session> {
    for (;;) {
      this.#end.signal.throwIfAborted();
      const begun = this.#session;
      const session = await begun;
      if (!session.signal.aborted) return session;
      if (this.#session === begun) this.#session = this.#begin();
    }
  }

  /** Resolves when it has told that. */
  async tells(event: string): Promise<NodeEvent> {
    for (;;) {
      const found = this.events.find(told => told.event === event);
      if (found) return found;
      await new Promise<void>(resolve => (this.#heard = resolve));
    }
  }

  async end(): Promise<void> {
    await this.#holds?.end();
    this.#end.abort();
    await this.#etcd.close();
  }

  #heard: () => void = () => undefined;

  async #begin(): Promise<Session> {
    for (;;) {
      this.#end.signal.throwIfAborted();
      try {
        const session = await this.#etcd.session({ttl: this.#setting.ttl ?? 10, signal: this.#end.signal});
        await this.#register(session);
        return session;
      } catch (error) {
        this.#end.signal.throwIfAborted();
        this.#tell({event: 'no-session', error: (error as Error).message});
      }
    }
  }

  async #register(session: Session): Promise<void> {
    const {node, labels} = this.#config;
    const known = {v: 1, node, machineId: null, version: '0', labels, epochs: {}};
    const registered = {
      ...known,
      bootId: 'b',
      locks: [this.locks.name],
      hot: [],
      since: new Date().toISOString(),
    };
    await session.transact({
      when: [],
      then: [
        {put: KEYS.knownNode(node), value: JSON.stringify(known)},
        {put: KEYS.node(node), value: JSON.stringify(registered), lease: 'session'},
      ],
    });
  }

  async #follow(): Promise<void> {
    const holds = new NodeHolds(this.#parts());
    this.#holds = holds;
    const take = (key: string, found: {value: Buffer; lease: string} | undefined) => {
      if (key.startsWith(KEYS.holds)) holds.take(key, found?.value, found?.lease ?? '0');
    };
    const mirror = await this.#etcd.mirror(NOW, {
      onChanges: changes => {
        for (const {key, value} of changes) take(key, value);
      },
      signal: this.#end.signal,
    });
    for (const [key, found] of mirror.entries) take(key, found);
  }

  #tell(event: NodeEvent): void {
    this.events.push(event);
    this.#heard();
  }

  #parts(): NodeParts {
    return {
      config: this.#config,
      version: '0',
      system: readSystem(),
      roots: this.locks.roots,
      etcd: this.#etcd,
      session: async () => this.session(),
      signal: this.#end.signal,
      hold: async (_lock, milliseconds, _reason, signal) => {
        const hold = await this.locks.hold({for: milliseconds, signal});
        return {
          acknowledgedAfter: hold.acknowledgedAfter,
          orchestrators: [],
          signal: hold.signal,
          release: async () => hold.release(),
          [Symbol.asyncDispose]: async () => hold.release(),
        };
      },
      tell: event => this.#tell(event),
    };
  }
}
