/** How is a process of a test fleet started, hurt, and started again? */
import {spawn} from 'node:child_process';
import {fileURLToPath} from 'node:url';
import type {FleetConfig} from '../../../lib/fleet/config.js';
import {generateKeys, readPrivateKey, readPublicKey} from '../../../lib/fleet/signing.js';
import type {Roots} from '../../../lib/lock/layout.js';
import {PREFIX} from '../etcd.js';
import type {Ends} from '../scratch.js';
import {Started} from '../started.js';

/** Keys of an operator and of a driver, in PEM. */
export interface TestKeys {
  readonly operator: ReturnType<typeof generateKeys>;
  readonly driver: ReturnType<typeof generateKeys>;
}

export function testKeys(): TestKeys {
  return {operator: generateKeys(), driver: generateKeys()};
}

/** What a member is, as it is told by JSON. */
export interface MemberSpec {
  readonly role: 'agent' | 'driver';
  readonly node: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly endpoints: readonly string[];
  readonly keys: TestKeys;
  readonly roots: Roots;
}

/** Everybody has all keys: a test is operator and driver as well. */
export function toConfig({node, labels, endpoints, keys}: Omit<MemberSpec, 'role' | 'roots'>): FleetConfig {
  const {operator, driver} = keys;
  const trust = (name: string, {publicKey}: TestKeys['driver']) => ({
    keys: [{name, key: readPublicKey(publicKey, name)}],
    atLeast: 1,
  });
  const own = (name: string, {privateKey}: TestKeys['driver']) => ({
    name,
    key: readPrivateKey(privateKey, name),
  });
  return {
    fleet: 'test',
    node,
    labels,
    etcd: {endpoints, prefix: PREFIX},
    operators: trust('operator', operator),
    drivers: trust('driver', driver),
    unsignedCommands: false,
    largest: 1024 * 1024,
    sign: own('operator', operator),
    drive: own('driver', driver),
  };
}

/** A member, through all the processes that it has had. */
export class Member {
  readonly spec: MemberSpec;
  readonly #t: Ends;
  #process: Started | undefined;
  /** What it said on stderr, all processes together: nothing, if all is well. */
  complaints = '';

  constructor(t: Ends, spec: MemberSpec) {
    this.#t = t;
    this.spec = spec;
  }

  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  get runs(): boolean {
    return this.#process !== undefined;
  }

  /** Resolves when it says that it is there, or has ended. */
  async start(): Promise<void> {
    const program = fileURLToPath(new URL('../../fixtures/fleet-member.js', import.meta.url));
    const child = spawn(process.execPath, [program, JSON.stringify(this.spec)], {
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.#t.teardown(() => child.kill('SIGKILL'));
    const started = new Started(child);
    child.stderr.on('data', (chunk: Buffer) => (this.complaints += chunk.toString()));
    this.#process = started;
  }

  async kill(): Promise<void> {
    await this.#process?.kill();
    this.#process = undefined;
  }

  stop(): void {
    this.#process?.child.kill('SIGSTOP');
  }

  goOn(): void {
    this.#process?.child.kill('SIGCONT');
  }

  /** By SIGTERM, as a service manager does. */
  async end(): Promise<void> {
    this.#process?.child.kill('SIGTERM');
    await this.#process?.ended;
    this.#process = undefined;
  }
}
