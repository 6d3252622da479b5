/** How does a program speak with the store? Reads, leases, sessions that write and mirrors that follow, all below one prefix. */
import type {Channels, Reach} from './channels.js';
import type {KeyValue} from './key-value.js';
import type {Following, Mirror} from './mirror.js';
import type {Session} from './session.js';

export {Channels} from './channels.js';
export type {Reach, Tls} from './channels.js';
export type {KeyValue} from './key-value.js';
export type {Compare, Operation, Outcome, Transaction} from './session.js';

export interface EtcdOptions extends Reach {
  readonly user?: {readonly name: string; readonly password: string} | undefined;
  /** `/locksmith/default/`: put before every key, taken off every answer. */
  readonly prefix: string;
  /** Milliseconds for one call with all its attempts. Default 5000. */
  readonly timeout?: number | undefined;
  /** Connections shared with others in this process, 100 or so; they must be to the same endpoints. Default: its own. */
  readonly channels?: Channels | undefined;
}

export interface Asking {
  /** Ends the wait; the promise rejects with its reason. */
  readonly signal?: AbortSignal | undefined;
}

export interface SessionOptions extends Asking {
  /** Seconds. Default 30. */
  readonly ttl?: number | undefined;
}

/** A client of one store. */
export class Etcd implements AsyncDisposable {
  /** Rejects with ERR_FLEET_CONFIG, ERR_STORE_UNREACHABLE or ERR_STORE_REFUSED. */
  static async connect(_options: EtcdOptions, _signal?: AbortSignal): Promise<Etcd> {
    throw new Error('not yet');
  }

  /** Linearizable. */
  async get(_key: string, _asking: Asking = {}): Promise<KeyValue | undefined> {
    throw new Error('not yet');
  }

  /** All keys with that prefix, as of one revision. */
  async list(
    _prefix: string,
    _asking: Asking = {},
  ): Promise<{readonly items: readonly KeyValue[]; readonly revision: number}> {
    throw new Error('not yet');
  }

  /** A lease that nobody keeps. */
  async grantLease(_seconds: number, _asking: Asking = {}): Promise<{readonly id: string}> {
    throw new Error('not yet');
  }

  /** Milliseconds, in whole seconds as etcd tells them; undefined: it is over. */
  async leaseRemaining(_id: string, _asking: Asking = {}): Promise<number | undefined> {
    throw new Error('not yet');
  }

  /** What was written under it goes. A lease that is over already is none to complain of. */
  async revokeLease(_id: string, _asking: Asking = {}): Promise<void> {
    throw new Error('not yet');
  }

  /** Rejects as a read does, or with ERR_STORE_FULL. */
  async session(_options: SessionOptions = {}): Promise<Session> {
    throw new Error('not yet');
  }

  /** Resolves when the copy is there and is followed. */
  async mirror(_prefix: string, _following: Following): Promise<Mirror> {
    throw new Error('not yet');
  }

  /** Ends its mirrors, and its sessions as `Session.close` does. */
  async close(): Promise<void> {
    throw new Error('not yet');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
