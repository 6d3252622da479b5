/** How does an operator hold a lock on many nodes at once? With a key that ends by itself, and an answer of each node. */
import type {FleetAccess} from './access.js';
import type {OnWaiting} from './approval.js';
import type {HoldAcknowledgement} from './documents.js';

export interface FleetHoldRequest {
  readonly lock: string;
  /** Labels that a node must have. */
  readonly where: Readonly<Record<string, string>>;
  /** Milliseconds, for the answers and the hold together. */
  readonly for: number;
  /** Milliseconds for a node to come to its hold point. Default: a third of `for`, at most 30 s. */
  readonly within?: number | undefined;
  readonly reason: string;
  /** Content with those that acknowledge, if any does. */
  readonly partial?: boolean | undefined;
}

export interface FleetHoldOptions {
  readonly signal?: AbortSignal | undefined;
  /** Each answer as it comes, also while the hold is in force; undefined: the node is no longer heard of, and may go on. */
  readonly onAnswer?: ((node: string, acknowledgement: HoldAcknowledgement | undefined) => void) | undefined;
  /** An approval is waited for. */
  readonly onWaiting?: OnWaiting | undefined;
}

/** How the nodes went on. */
export interface FleetReleased {
  /** Have not said that they go on. They do at the end of its time at the latest. */
  readonly silent: readonly string[];
  /** Said that something that they had stopped does not go on, and why. */
  readonly failed: ReadonlyMap<string, string>;
}

/** A hold on many nodes that was granted. */
export interface FleetHeld extends AsyncDisposable {
  readonly id: string;
  readonly lock: string;
  /** Of each node that has answered and is heard of, as it is now. */
  readonly answers: ReadonlyMap<string, HoldAcknowledgement>;
  /** Nodes in scope that do not hold, and why; none unless it is partial. As it is now. */
  readonly missing: ReadonlyMap<string, string>;
  /** Those of them that were not registered when it began. */
  readonly silent: readonly string[];
  /** Aborts when it ends: its time is over, somebody has ended it, or a node that had acknowledged says that it goes on. The reason is ERR_HOLD_EXPIRED. */
  readonly signal: AbortSignal;
  /** Milliseconds that all of them hold still at least, on our own clock. */
  remaining(): number;
  /** Ends it, and waits a little until the nodes say that they go on. Rejects when etcd is not to be reached; then it ends by itself. A second call gives the same. */
  release(): Promise<FleetReleased>;
}

/**
 * Holds a lock on all nodes with these labels. Rejects with ERR_COHORT (no such node), ERR_HOLD_REFUSED (`missing` says which nodes do not hold and why;
 * all others go on), ERR_ARGUMENT, ERR_FLEET_CONFIG, as gatherApprovals and the store do, or with signal.reason.
 */
export async function holdFleet(
  _access: FleetAccess,
  _request: FleetHoldRequest,
  _options: FleetHoldOptions = {},
): Promise<FleetHeld> {
  throw new Error('not yet');
}
