/** Was a write done whose answer was lost? A key that each write of a session changes tells, and keeps a late one from being done. */
import {randomBytes} from 'node:crypto';
import {LockError} from '../../errors.js';
import {Deadline} from '../../os/deadline.js';
import {type Connection, Tries} from './connection.js';
import {MemberFailed} from './failure.js';
import {TXN, type TxnAnswer, type TxnRequest, type WireCompare, type WireOperation} from './protocol.js';

/** How a transaction ended. `applied: false` is definite: a compare failed. */
export interface Outcome {
  readonly applied: boolean;
  readonly revision: number;
}

/** A transaction that may have been done: what it left on the receipt then, and what we put there so that it never will be. */
interface Open {
  readonly nonce: Buffer;
  readonly void: Buffer;
}

/** The receipts of one session. The key is under its lease, so without the lease nothing is written. */
export class Receipt {
  readonly #connection: Connection;
  readonly #key: Buffer;
  readonly #lease: string;
  #modRevision = 0;
  #open: Open | undefined;
  /** Why the session can write no more. */
  gone: string | undefined;

  constructor(connection: Connection, key: Buffer, lease: string) {
    this.#connection = connection;
    this.#key = key;
    this.#lease = lease;
  }

  /**
   * One at a time. Rejects with ERR_OUTCOME_UNKNOWN; or with ERR_SESSION_LOST, the refusals of `Connection.ask` or the signal's
   * reason, and then it was not done and never will be.
   */
  async write(
    compare: readonly WireCompare[],
    operations: readonly WireOperation[],
    signal?: AbortSignal,
  ): Promise<Outcome> {
    using deadline = new Deadline(this.#connection.timeout, signal);
    const tries = new Tries(this.#connection, deadline);
    await this.#settle(tries);
    for (;;) {
      tries.check();
      const outcome =
        (await this.#send(tries, compare, operations)) ?? (await this.#settle(tries).catch(unknownOutcome));
      if (outcome) return outcome;
    }
  }

  /** Undefined: it may have been done. */
  async #send(
    tries: Tries,
    compare: readonly WireCompare[],
    operations: readonly WireOperation[],
  ): Promise<Outcome | undefined> {
    const nonce = randomBytes(12);
    this.#open = {nonce, void: randomBytes(12)};
    const request = this.#request([this.#put(nonce), ...operations], compare);
    try {
      const answer = await this.#connection.attempt(TXN, request, tries.deadline.signal);
      this.#open = undefined;
      return this.#read(answer);
    } catch (error) {
      // Etcd has refused it, or it was not sent.
      if (error instanceof LockError || (error instanceof MemberFailed && !error.sent))
        this.#open = undefined;
      await tries.after(error).catch((over: unknown) => {
        if (!this.#open) throw over;
      });
      return undefined;
    }
  }

  #read(answer: TxnAnswer): Outcome {
    const revision = Number(answer.header.revision);
    if (answer.succeeded) this.#modRevision = revision;
    else if (Number(this.#kept(answer).modRevision) !== this.#modRevision)
      throw this.#lost('somebody else has written its receipt');
    return {applied: answer.succeeded, revision};
  }

  /** Whether the open one was done; undefined: it was not, and never will be, or none is open. */
  async #settle(tries: Tries): Promise<Outcome | undefined> {
    while (this.#open) {
      tries.check();
      const open = this.#open;
      const request = this.#request([this.#put(open.void)]);
      try {
        return this.#settled(open, await this.#connection.attempt(TXN, request, tries.deadline.signal));
      } catch (error) {
        await tries.after(error);
      }
    }
    return undefined;
  }

  #settled(open: Open, answer: TxnAnswer): Outcome | undefined {
    let done = false;
    if (answer.succeeded) this.#modRevision = Number(answer.header.revision);
    else {
      const {value, modRevision} = this.#kept(answer);
      done = value.equals(open.nonce);
      // Else it is our own void, whose answer was lost too.
      if (!done && !value.equals(open.void)) throw this.#lost('somebody else has written its receipt');
      this.#modRevision = Number(modRevision);
    }
    this.#open = undefined;
    return done ? {applied: true, revision: this.#modRevision} : undefined;
  }

  #request(success: readonly WireOperation[], compare: readonly WireCompare[] = []): TxnRequest {
    const [key, modRevision] = [this.#key, this.#modRevision];
    return {
      compare: [{key, result: 'EQUAL', target: 'MOD', modRevision}, ...compare],
      success,
      failure: [{requestRange: {key}}],
    };
  }

  #put(value: Buffer): WireOperation {
    return {requestPut: {key: this.#key, value, lease: this.#lease}};
  }

  /** The receipt as a transaction found it that was not done. */
  #kept({responses}: TxnAnswer) {
    const kept = responses[0]?.responseRange?.kvs[0];
    if (!kept) throw this.#lost('its lease is over');
    return kept;
  }

  #lost(why: string): LockError {
    this.gone = why;
    return new LockError('ERR_SESSION_LOST', `the session can write no more: ${why}`, {lease: this.#lease});
  }
}

function unknownOutcome(cause: unknown): never {
  const why = cause instanceof Error ? cause.message : String(cause);
  const text = `a write to etcd may have been done: its answer was lost, and then: ${why}`;
  throw new LockError('ERR_OUTCOME_UNKNOWN', text, {}, {cause});
}
