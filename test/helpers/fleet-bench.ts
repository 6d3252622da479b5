/** How does a test have a whole fleet of its own? A real etcd, keys, and nodes with a configuration and roots each, whose agents run here or as real programs. */
import {mkdirSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import type {ExecutionContext} from 'ava';
import {nodeHold} from '../../lib/cli/fleet/node-hold.js';
import {Agent} from '../../lib/fleet/agent.js';
import {readFleetConfig} from '../../lib/fleet/config.js';
import {rankOf} from '../../lib/fleet/cohort.js';
import {generateKeys} from '../../lib/fleet/signing.js';
import {readSystem} from '../../lib/os/system.js';
import {openConfigLock} from '../../lib/recovery/guarded-config.js';
import {type Bench, bench, NAME} from './cli.js';
import {startEtcd, type TestEtcd} from './etcd.js';
import type {Ended, Started} from './started.js';

/** A machine of the fleet, or the desk of an operator. */
export interface Place {
  readonly name: string;
  readonly made: Bench;
  /** Its fleet file. */
  readonly config: string;
}

export interface FleetSetting {
  readonly nodes: number;
  /** Names of the operators; each has a desk. */
  readonly operators?: readonly string[];
  readonly approvals?: number;
  /** More lines for every fleet file. */
  readonly more?: string;
}

const DRIVER = 'driver';

export class FleetBench {
  readonly etcd: TestEtcd;
  /** By rank: the canary first. */
  readonly nodes: readonly Place[];
  readonly desks: readonly Place[];
  readonly #t: ExecutionContext;

  private constructor(t: ExecutionContext, etcd: TestEtcd, places: Pick<FleetBench, 'nodes' | 'desks'>) {
    this.#t = t;
    this.etcd = etcd;
    this.nodes = places.nodes;
    this.desks = places.desks;
  }

  /** No agent runs yet; every node has its lock, which is free. */
  static async start(t: ExecutionContext, setting: FleetSetting): Promise<FleetBench> {
    const etcd = await startEtcd(t);
    const {operators = ['alice']} = setting;
    const keys = new Map([...operators, DRIVER].map(name => [name, generateKeys()]));
    const place = (name: string, sign?: string): Place => {
      const made = bench(t);
      const directory = join(made.directory, 'fleet');
      mkdirSync(directory);
      for (const [who, {publicKey, privateKey}] of keys) {
        writeFileSync(join(directory, `${who}.pub`), publicKey, {mode: 0o644});
        writeFileSync(join(directory, `${who}.key`), privateKey, {mode: 0o600});
      }
      const named = (who: string, ending: string) => `{name: ${who}, key: ${who}.${ending}}`;
      const lines = [
        'fleet: test',
        `node: ${name}`,
        `labels: {role: ${sign === undefined ? 'node' : 'desk'}}`,
        `etcd: {endpoints: [${etcd.endpoints.join(', ')}], timeout: 20s}`,
        `operators: [${operators.map(who => named(who, 'pub')).join(', ')}]`,
        `drivers: [${named(DRIVER, 'pub')}]`,
        `drive: ${named(DRIVER, 'key')}`,
        `approvals: ${setting.approvals ?? 0}`,
        ...(sign === undefined ? [] : [`sign: ${named(sign, 'key')}`]),
        setting.more ?? '',
      ];
      const config = join(directory, 'fleet.yaml');
      writeFileSync(config, `${lines.join('\n')}\n`, {mode: 0o644});
      return {name, made, config};
    };
    const names = Array.from({length: setting.nodes}, (_, index) => `node-${index + 1}`);
    const nodes = names
      .toSorted((a, b) => (rankOf(NAME, a) < rankOf(NAME, b) ? -1 : 1))
      .map(name => place(name));
    for (const {made} of nodes) await openConfigLock(made.file, made.roots);
    return new FleetBench(t, etcd, {nodes, desks: operators.map(name => place(`desk-${name}`, name))});
  }

  get desk(): Place {
    const [desk] = this.desks;
    if (!desk) throw new Error('nobody has a desk');
    return desk;
  }

  /** Starts an agent in this process; it ends with the test. */
  async agentHere({made, config}: Place): Promise<Agent> {
    const system = readSystem({env: {...process.env, ...made.env}});
    const agent = await Agent.start({
      config: readFleetConfig(system, config),
      version: 'test',
      system,
      roots: made.roots,
      hold: nodeHold(system, made.roots),
    });
    this.#t.teardown(() => agent.end());
    return agent;
  }

  /** Starts the real program, and waits until it is ready. */
  async agent(place: Place, ...options: string[]): Promise<Started> {
    const started = start(place, 'agent', ...options);
    await ready(started);
    return started;
  }
}

/** Resolves when a program of the fleet says that it is ready. */
export async function ready(started: Started): Promise<void> {
  const early = started.ended.then(({stderr}) => {
    throw new Error(`it ended before it was ready: ${stderr}`);
  });
  await Promise.race([started.says('"msg":"ready"'), early]);
  early.catch(() => undefined);
}

/** Starts `locksmith fleet ...` at a place. */
export function start({made, config}: Place, ...words: string[]): Started {
  const [command = '', ...args] = words;
  const sub = command === 'rollout' ? [command, args.shift() ?? ''] : [command];
  return made.start('fleet', ...sub, '--config', config, ...args);
}

/** Runs `locksmith fleet ...` at a place to its end. */
export async function fleet(place: Place, ...words: string[]): Promise<Ended> {
  const started = start(place, ...words);
  started.child.stdin.end();
  return started.ended;
}
