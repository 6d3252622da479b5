/** How does this machine take part in a fleet? What the fleet file says, `/etc/locksmith/fleet/fleet.yaml`. */
import type {EtcdOptions} from './etcd/etcd.js';
import type {SigningKey, Trust} from './signing.js';

export interface FleetConfig {
  readonly fleet: string;
  /** This node's name in the fleet; by default that of the machine. */
  readonly node: string;
  readonly labels: Readonly<Record<string, string>>;
  /** With the prefix of the fleet. */
  readonly etcd: EtcdOptions;
  /** Whose plans, holds and commands are believed. `atLeast` is one more than the approvals that are demanded. */
  readonly operators: Trust;
  /** Whose orders are believed. */
  readonly drivers: Trust;
  /** May health commands be run although nobody has to sign the plans that they come in? */
  readonly unsignedCommands: boolean;
  /** Of a content, in bytes. */
  readonly largest: number;
  /** What we sign plans, holds and commands with. */
  readonly sign: SigningKey | undefined;
  /** What we sign orders with when we drive. */
  readonly drive: SigningKey | undefined;
}
