/** How does a roll-out begin? Its plan is checked, signed and approved; then one transaction puts all of it, or nothing. */
import type {FleetAccess} from './access.js';
import type {Envelope, Plan, Probe} from './documents.js';

/** What an operator asks for. Times in milliseconds. */
export interface RolloutRequest {
  readonly lock: string;
  readonly content: Buffer;
  /** Labels that a node must have. */
  readonly where: Readonly<Record<string, string>>;
  readonly canary: number;
  /** Cumulative percentages, ascending; the last one is 100. */
  readonly steps: readonly number[];
  readonly soak: number;
  readonly prepareWithin: number;
  readonly applyWithin: number;
  readonly reservation: number;
  readonly maxUnavailable: number | null;
  readonly maxFailed: number;
  readonly health: readonly Probe[];
  readonly reason: string;
}

export interface StartOptions {
  readonly signal?: AbortSignal | undefined;
  /** Gathers the signatures that others have to give, where `operators.atLeast` is more than one. */
  readonly approve?: ((envelope: Envelope) => Promise<Envelope>) | undefined;
}

/**
 * Starts a roll-out; whoever drives takes it on from there. Rejects with ERR_ARGUMENT, ERR_TOO_LARGE, ERR_COHORT, ERR_SIGNATURE,
 * ERR_ROLLOUT_ACTIVE, and as the store does.
 */
export async function startRollout(
  _access: FleetAccess,
  _request: RolloutRequest,
  _options: StartOptions = {},
): Promise<Plan> {
  throw new Error('not yet');
}
