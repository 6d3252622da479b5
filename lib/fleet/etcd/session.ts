/** Who writes? A session: a lease that is kept, and transactions whose outcome is always settled. */
import {randomUUID} from 'node:crypto';
import {isLockError, LockError} from '../../errors.js';
import {monotonic} from '../../os/deadline.js';
import type {Connection} from './connection.js';
import {KeepAlive} from './keep-alive.js';
import type {KeySpace} from './key-value.js';
import {revokeLease} from './lease.js';
import {LEASE_GRANT, type WireCompare, type WireOperation} from './protocol.js';
import {type Outcome, Receipt} from './receipt.js';

export type {Outcome} from './receipt.js';

/** What must be so for a transaction to be applied. A key that is not there has the revisions 0. */
export type Compare =
  | {readonly key: string; readonly exists: boolean}
  | {readonly key: string; readonly modRevision: number}
  | {readonly key: string; readonly createRevision: number}
  /** Nobody has written it after that revision; it may be gone. */
  | {readonly key: string; readonly notAfter: number};

/** What a transaction does. */
export type Operation =
  /** `lease`: `session` or the id of another; default none. */
  | {readonly put: string; readonly value: string | Buffer; readonly lease?: string | undefined}
  | {readonly delete: string}
  /** All keys that begin so. */
  | {readonly deletePrefix: string};

export interface Transaction {
  readonly when: readonly Compare[];
  readonly then: readonly Operation[];
}

/** Writes under one lease. */
export class Session implements AsyncDisposable {
  readonly id: string;
  readonly lease: string;
  readonly #connection: Connection;
  readonly #keys: KeySpace;
  readonly #alive: KeepAlive;
  readonly #receipt: Receipt;
  readonly #onClose: (session: Session) => void;
  /** The transaction that is done now, or was the last. */
  #last: Promise<unknown> = Promise.resolve();
  #closing: Promise<void> | undefined;

  private constructor(
    connection: Connection,
    keys: KeySpace,
    alive: KeepAlive,
    lease: string,
    onClose: (session: Session) => void,
  ) {
    this.id = randomUUID();
    this.lease = lease;
    this.#connection = connection;
    this.#keys = keys;
    this.#alive = alive;
    this.#receipt = new Receipt(connection, keys.toKey(`receipts/${this.id}`), lease);
    this.#onClose = onClose;
  }

  /** Through `Etcd.session`. */
  static async begin(
    connection: Connection,
    keys: KeySpace,
    ttl: number,
    onClose: (session: Session) => void,
    signal?: AbortSignal,
  ): Promise<Session> {
    // Each attempt counts from its own beginning: a lease that an earlier one was granted all the same ends by itself.
    const {lease, seconds, sent} = await connection.retried(async within => {
      const now = monotonic();
      const {ID, TTL} = await connection.attempt(LEASE_GRANT, {TTL: ttl}, within);
      return {lease: ID, seconds: Number(TTL), sent: now};
    }, signal);
    const alive = new KeepAlive(connection, lease, seconds, sent);
    const session = new Session(connection, keys, alive, lease, onClose);
    try {
      await session.transact({when: [], then: []}, {signal});
      return session;
    } catch (error) {
      alive.stop();
      throw error;
    }
  }

  /** Aborts when the session is lost; the reason is ERR_SESSION_LOST. Closing it is no loss. */
  get signal(): AbortSignal {
    return this.#alive.signal;
  }

  /** Milliseconds that the lease lasts at least, on our own clock; 0: lost or closed. */
  remaining(): number {
    return this.#alive.remaining();
  }

  /**
   * One after the other. Rejects with ERR_OUTCOME_UNKNOWN when it may have been done. With all else it was not done and never will
   * be: ERR_SESSION_LOST, ERR_STORE_UNREACHABLE, ERR_STORE_REFUSED, ERR_STORE_FULL, ERR_STORE_ANSWER, ERR_TOO_LARGE, the signal's reason.
   */
  transact(
    {when, then}: Transaction,
    {signal}: {readonly signal?: AbortSignal | undefined} = {},
  ): Promise<Outcome> {
    const compare = when.map(each => this.#compare(each));
    const operations = then.map(each => this.#operation(each));
    const {lease} = this;
    if (this.#closing)
      return Promise.reject(new LockError('ERR_SESSION_LOST', 'the session is closed', {lease}));
    const turn = this.#last.then(() => this.#write(compare, operations, signal));
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  async #write(
    compare: readonly WireCompare[],
    operations: readonly WireOperation[],
    signal?: AbortSignal,
  ): Promise<Outcome> {
    signal?.throwIfAborted();
    if (this.remaining() === 0) throw this.signal.reason;
    try {
      return await this.#receipt.write(compare, operations, signal);
    } finally {
      if (this.#receipt.gone !== undefined) this.#alive.lose(this.#receipt.gone);
    }
  }

  /** Revokes the lease after the transaction that runs: what was written under it goes. When etcd can not be reached, the lease ends by itself. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    await this.#last;
    const lost = this.remaining() === 0;
    this.#alive.stop();
    this.#onClose(this);
    if (lost) return;
    try {
      await revokeLease(this.#connection, this.lease);
    } catch (error) {
      if (!isLockError(error, 'ERR_STORE_UNREACHABLE')) throw error;
    }
  }

  #compare(compare: Compare): WireCompare {
    const key = this.#keys.toKey(compare.key);
    if ('modRevision' in compare)
      return {key, result: 'EQUAL', target: 'MOD', modRevision: compare.modRevision};
    if ('createRevision' in compare)
      return {key, result: 'EQUAL', target: 'CREATE', createRevision: compare.createRevision};
    if ('notAfter' in compare) return {key, result: 'LESS', target: 'MOD', modRevision: compare.notAfter + 1};
    return {key, result: compare.exists ? 'GREATER' : 'EQUAL', target: 'CREATE', createRevision: 0};
  }

  #operation(operation: Operation): WireOperation {
    if ('delete' in operation) return {requestDeleteRange: {key: this.#keys.toKey(operation.delete)}};
    if ('deletePrefix' in operation) return {requestDeleteRange: this.#keys.toRange(operation.deletePrefix)};
    const {put, value, lease = '0'} = operation;
    return {
      requestPut: {
        key: this.#keys.toKey(put),
        value: Buffer.from(value as Buffer),
        lease: lease === 'session' ? this.lease : lease,
      },
    };
  }
}
