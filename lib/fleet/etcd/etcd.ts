/** How does a program speak with the store? Reads, leases, sessions that write and mirrors that follow, all below one prefix. */
import {LockError} from '../../errors.js';
import {Channels, type Reach} from './channels.js';
import {Connection, type User} from './connection.js';
import {KeySpace, type KeyValue} from './key-value.js';
import {grantLease, leaseRemaining, revokeLease} from './lease.js';
import {type Listing, listing} from './listing.js';
import {type Following, Mirror} from './mirror.js';
import {RANGE} from './protocol.js';
import {Session} from './session.js';

export {Channels} from './channels.js';
export type {Reach, Tls} from './channels.js';
export type {KeyValue} from './key-value.js';
export type {Change, Following, Standing} from './mirror.js';
export {Mirror} from './mirror.js';
export type {Compare, Operation, Outcome, Transaction} from './session.js';
export {Session} from './session.js';

export interface EtcdOptions extends Reach {
  readonly user?: User | undefined;
  /** `/locksmith/default/`: put before every key, taken off every answer. */
  readonly prefix: string;
  /** Milliseconds for one call with all its attempts. Default 5000. */
  readonly timeout?: number | undefined;
  /** Connections shared with others in this process, some hundreds; to the same endpoints. Default: its own. */
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

const TIMEOUT = 5000;
const TTL = 30;

function channelsFor({channels, endpoints, tls}: EtcdOptions): Channels {
  if (!channels) return new Channels({endpoints, tls});
  const same = channels.endpoints.join(' ') === endpoints.join(' ');
  if (!same)
    throw new LockError(
      'ERR_FLEET_CONFIG',
      `the channels lead to ${channels.endpoints.join(' ')}, not to ${endpoints.join(' ')}`,
    );
  return channels;
}

/** A client of one store. All that asks rejects with ERR_STORE_UNREACHABLE, ERR_STORE_REFUSED, ERR_STORE_ANSWER or the signal's reason. */
export class Etcd implements AsyncDisposable {
  readonly #connection: Connection;
  readonly #keys: KeySpace;
  readonly #sessions = new Set<Session>();
  readonly #mirrors = new Set<Mirror>();
  /** Those that nobody else uses. */
  readonly #channels: Channels | undefined;

  private constructor(options: EtcdOptions) {
    if (options.prefix === '')
      throw new LockError('ERR_FLEET_CONFIG', 'the prefix of the keys in etcd is empty');
    const channels = channelsFor(options);
    this.#channels = options.channels ? undefined : channels;
    this.#connection = new Connection(channels, options.timeout ?? TIMEOUT, options.user);
    this.#keys = new KeySpace(options.prefix);
  }

  /** Rejects with ERR_FLEET_CONFIG as well. */
  static async connect(options: EtcdOptions, signal?: AbortSignal): Promise<Etcd> {
    const etcd = new Etcd(options);
    try {
      await etcd.get('', {signal});
      return etcd;
    } catch (error) {
      await etcd.close();
      throw error;
    }
  }

  /** Linearizable. */
  async get(key: string, {signal}: Asking = {}): Promise<KeyValue | undefined> {
    const {kvs} = await this.#connection.ask(RANGE, {key: this.#keys.toKey(key)}, signal);
    return kvs[0] && this.#keys.read(kvs[0]);
  }

  /** All keys that begin so, as of one revision, by name. */
  async list(prefix: string, {signal}: Asking = {}): Promise<Pick<Listing, 'items' | 'revision'>> {
    return listing(this.#connection, this.#keys, prefix, signal);
  }

  /** A lease that nobody keeps. */
  async grantLease(seconds: number, {signal}: Asking = {}): Promise<{readonly id: string}> {
    return grantLease(this.#connection, seconds, signal);
  }

  /** Milliseconds, of which etcd tells whole seconds; undefined: it is over. */
  async leaseRemaining(id: string, {signal}: Asking = {}): Promise<number | undefined> {
    return leaseRemaining(this.#connection, id, signal);
  }

  /** What was written under it goes. That it is over already is no error. */
  async revokeLease(id: string, {signal}: Asking = {}): Promise<void> {
    await revokeLease(this.#connection, id, signal);
  }

  /** The signal ends only the beginning. Rejects with ERR_STORE_FULL as well. */
  async session({ttl = TTL, signal}: SessionOptions = {}): Promise<Session> {
    const session = await Session.begin(
      this.#connection,
      this.#keys,
      ttl,
      closed => this.#sessions.delete(closed),
      signal,
    );
    this.#sessions.add(session);
    return session;
  }

  /** Resolves when the copy is there. */
  async mirror(prefix: string, following: Following): Promise<Mirror> {
    const mirror = await Mirror.begin(this.#connection, this.#keys, prefix, following, closed =>
      this.#mirrors.delete(closed),
    );
    this.#mirrors.add(mirror);
    return mirror;
  }

  /** Closes its mirrors and sessions. */
  async close(): Promise<void> {
    for (const mirror of this.#mirrors) mirror.close();
    try {
      await Promise.all([...this.#sessions].map(session => session.close()));
    } finally {
      this.#connection.close();
      this.#channels?.close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
