/** Has a second operator agreed? A document that needs more signatures waits in the store until others have added theirs. */
import type {FleetAccess} from './access.js';
import type {Command, Envelope, FleetHold, Plan} from './documents.js';

/** Document kinds that operators sign. */
export type ApprovedKind = 'plan' | 'hold' | 'command';

/** A document that waits for signatures. */
export interface Proposal {
  /** From the SHA-256 of the document: what was seen under it is what is approved under it. */
  readonly id: string;
  readonly document: Plan | FleetHold | Command;
  /** Names of the trusted keys that have signed. */
  readonly signers: readonly string[];
  /** So many of them are needed. */
  readonly needed: number;
}

/** `id` is what an operator approves. */
export type OnWaiting = (id: string, signers: readonly string[], needed: number) => void;

export interface GatherOptions {
  readonly signal?: AbortSignal | undefined;
  /** At first, and after each approval that was not the last one. */
  readonly onWaiting?: OnWaiting | undefined;
}

/**
 * The document with as many signatures as nodes demand; waits for other operators when there are too few. Rejects with
 * ERR_SIGNATURE when nobody who is trusted has signed it or the proposal was removed, and with signal.reason.
 */
export async function gatherApprovals(
  _access: FleetAccess,
  _envelope: Envelope,
  _kind: ApprovedKind,
  _options: GatherOptions = {},
): Promise<Envelope> {
  throw new Error('not yet');
}

/** All that waits. What is no proposal is left out, and said of in `problems`. */
export async function listProposals(
  _access: FleetAccess,
): Promise<{readonly proposals: readonly Proposal[]; readonly problems: readonly string[]}> {
  throw new Error('not yet');
}

/**
 * Adds our signature and gives what was approved. Rejects with ERR_ARGUMENT (nothing waits under that id), ERR_FLEET_CONFIG (we have no key),
 * ERR_SIGNATURE (our key is not trusted or has signed it already, or nobody trusted asks for it) and ERR_STORE_ANSWER.
 */
export async function approve(_access: FleetAccess, _id: string): Promise<Proposal> {
  throw new Error('not yet');
}
