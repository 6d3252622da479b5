/** What is a fleet for a test of its holds? A real etcd, agents with locks of their own, and operators with keys. */
import {spawn} from 'node:child_process';
import {fileURLToPath} from 'node:url';
import type {FleetAccess} from '../../lib/fleet/access.js';
import {Etcd} from '../../lib/fleet/etcd/etcd.js';
import {generateKeys} from '../../lib/fleet/signing.js';
import {readSystem} from '../../lib/os/system.js';
import {startEtcd, type TestEtcd} from './etcd.js';
import {
  type AgentSetting,
  fleetConfig,
  HoldAgent,
  type Operator,
  signingKey,
  trusting,
} from './hold-agent.js';
import {type Ends, type Scratch, scratch} from './scratch.js';
import {Started} from './started.js';

export const LOCK = 'aim_lock_config';

export function operator(name: string): Operator {
  return {name, ...generateKeys()};
}

export const alice = operator('alice');
export const bob = operator('bob');

export class HeldFleet {
  readonly etcd: TestEtcd;
  readonly operators: readonly Operator[];
  readonly atLeast: number;
  readonly #t: Ends;

  private constructor(t: Ends, etcd: TestEtcd, operators: readonly Operator[], atLeast: number) {
    this.#t = t;
    this.etcd = etcd;
    this.operators = operators;
    this.atLeast = atLeast;
  }

  static async start(t: Ends, operators: readonly Operator[] = [alice], atLeast = 1): Promise<HeldFleet> {
    return new HeldFleet(t, await startEtcd(t), operators, atLeast);
  }

  setting(node: string, changes: Partial<AgentSetting> = {}): AgentSetting {
    const {operators, atLeast} = this;
    return {endpoints: this.etcd.endpoints, node, operators, atLeast, ...changes};
  }

  /** An agent with a lock of its own. */
  async node(
    node: string,
    changes: Partial<AgentSetting> = {},
    place: Scratch = scratch(this.#t),
  ): Promise<HoldAgent> {
    const agent = await HoldAgent.start(this.setting(node, changes), place);
    this.#t.teardown(() => agent.end());
    return agent;
  }

  /** What an operator has; undefined: he has no key. */
  async access(who: Operator | undefined = alice): Promise<FleetAccess> {
    const changes = {operators: trusting(this.operators, this.atLeast), sign: who && signingKey(who)};
    const config = fleetConfig(this.etcd.endpoints, changes);
    const etcd = await Etcd.connect(config.etcd);
    this.#t.teardown(() => etcd.close());
    return {config, etcd, session: await etcd.session(), system: readSystem()};
  }
}

/** Starts a program of the fixtures with one argument, and waits until it says that. */
export async function started(t: Ends, fixture: string, argument: object, says: string): Promise<Started> {
  const program = fileURLToPath(new URL(`../fixtures/${fixture}.js`, import.meta.url));
  const child = spawn(process.execPath, [program, JSON.stringify(argument)], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const running = new Started(child);
  t.teardown(async () => {
    if (child.exitCode === null && child.signalCode === null) await running.kill();
  });
  if (await running.reaches(says)) return running;
  throw new Error(`${fixture} ended: ${(await running.ended).stderr}`);
}
