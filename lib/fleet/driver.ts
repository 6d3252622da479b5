/** Who brings the roll-outs of a fleet to their end? One driver at a time: it leads while its session lasts, and can write nothing after it. */
import type {FleetAccess} from './access.js';

/** What a driver tells: 'campaigning', 'leading', 'lost' (with `error`), 'step' (with `rollout` and its history event), 'trouble' (with `what`, `error`). */
export interface DriverEvent {
  readonly event: string;
  readonly rollout?: string;
  readonly [fact: string]: unknown;
}

export interface DriverOptions {
  /** Ends it. */
  readonly signal: AbortSignal;
  readonly onEvent?: ((event: DriverEvent) => void) | undefined;
  /** Seconds that its lease lasts without it. Default 30. */
  readonly ttl?: number | undefined;
}

/** Drives when it leads. */
export class Driver {
  /** Resolves when the signal aborts. Rejects with ERR_SIGNATURE when orders have to be signed and we have no key for it. */
  static async run(
    _access: Pick<FleetAccess, 'config' | 'etcd' | 'system'>,
    _options: DriverOptions,
  ): Promise<void> {
    throw new Error('not yet');
  }
}
