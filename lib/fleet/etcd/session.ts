/** Who writes? A session: a lease that is kept, and transactions whose outcome is always settled. */

/** What must be so for a transaction to be applied. */
export type Compare =
  | {readonly key: string; readonly exists: boolean}
  | {readonly key: string; readonly modRevision: number}
  | {readonly key: string; readonly createRevision: number};

/** What a transaction does. */
export type Operation =
  /** `lease`: `session` or the id of another; default none. */
  | {readonly put: string; readonly value: string | Buffer; readonly lease?: string | undefined}
  | {readonly delete: string};

export interface Transaction {
  readonly when: readonly Compare[];
  readonly then: readonly Operation[];
}

/** How a transaction ended. `applied: false` is definite: a compare failed. */
export interface Outcome {
  readonly applied: boolean;
  readonly revision: number;
}

/** Writes under one lease. */
export class Session implements AsyncDisposable {
  readonly id: string;
  readonly lease: string;
  /** Aborts when the session is lost; the reason is ERR_SESSION_LOST. */
  readonly signal: AbortSignal = new AbortController().signal;

  constructor(id: string, lease: string) {
    this.id = id;
    this.lease = lease;
  }

  /** Milliseconds that the lease lasts at least, on our own clock; 0: lost. */
  remaining(): number {
    throw new Error('not yet');
  }

  /** One after the other. Rejects with ERR_SESSION_LOST, ERR_OUTCOME_UNKNOWN, or as a read does; then nothing was written. */
  async transact(
    _transaction: Transaction,
    _options: {readonly signal?: AbortSignal | undefined} = {},
  ): Promise<Outcome> {
    throw new Error('not yet');
  }

  /** Revokes the lease: what was written under it goes. */
  async close(): Promise<void> {
    throw new Error('not yet');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
