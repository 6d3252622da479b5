/** What do the parts of an agent share? */
import type {Roots} from '../lock/layout.js';
import type {System} from '../os/system.js';
import type {FleetConfig} from './config.js';
import type {Etcd} from './etcd/etcd.js';
import type {Session} from './etcd/session.js';

/** A hold that was granted on this node, whoever keeps it. */
export interface NodeHold extends AsyncDisposable {
  readonly acknowledgedAfter: number;
  /** What was stopped for it, in words. */
  readonly orchestrators: readonly string[];
  /** Aborts when it has ended by itself. */
  readonly signal: AbortSignal;
  release(): Promise<void>;
}

/** Holds a lock of this node, with all its orchestrators, for so many milliseconds at most. Rejects as GuardedConfig.hold does. */
export type HoldLock = (
  lock: string,
  milliseconds: number,
  reason: string,
  signal: AbortSignal,
) => Promise<NodeHold>;

/** What happens on a node, as the agent tells it. */
export interface NodeEvent {
  readonly event: string;
  readonly lock?: string;
  readonly rollout?: string;
  readonly [fact: string]: unknown;
}

export interface NodeParts {
  readonly config: FleetConfig;
  readonly version: string;
  readonly system: System;
  readonly roots: Roots;
  readonly etcd: Etcd;
  /** The session in force; while there is none, waits for the next one. Rejects when the agent ends. */
  session(): Promise<Session>;
  /** Aborts when the agent ends. */
  readonly signal: AbortSignal;
  readonly hold: HoldLock;
  readonly tell: (event: NodeEvent) => void;
}
