/** How does a node take part in a fleet? It keeps a session, says who it is, and does what is in force. */
import type {Roots} from '../lock/layout.js';
import {prepareRoots} from '../lock/layout.js';
import {isLockError, LockError} from '../errors.js';
import {LockFile} from '../os/lock-file.js';
import type {System} from '../os/system.js';
import {constants, mkdirSync} from 'node:fs';
import {join} from 'node:path';
import type {FleetConfig} from './config.js';
import {Etcd, type KeyValue} from './etcd/etcd.js';
import type {Mirror} from './etcd/mirror.js';
import type {Session} from './etcd/session.js';
import {KEYS, NOW} from './keys.js';
import {LockWatch} from './lock-watch.js';
import type {HoldLock, NodeEvent, NodeParts} from './node.js';
import {NodeHolds} from './node-holds.js';
import {NodeRollouts} from './node-rollouts.js';
import {fleetDirectory} from './node-state.js';
import {recoverOwnOrphans} from './own-orphans.js';
import {pause, unlessAborted} from './pause.js';
import {backOff, isPassing} from './reach.js';
import {describeNode, register} from './registration.js';
import type {Fence} from './reservation.js';

export interface AgentOptions {
  readonly config: FleetConfig;
  readonly version: string;
  readonly system: System;
  readonly roots: Roots;
  readonly hold: HoldLock;
  /** Ends the start; once it is started, `end` does. */
  readonly signal?: AbortSignal | undefined;
  readonly onEvent?: ((event: NodeEvent) => void) | undefined;
  /** A client that others use too; it is not closed. Default: its own. */
  readonly etcd?: Etcd | undefined;
  /** See Reservation. */
  readonly fence?: Fence | undefined;
  /** Seconds of the session's lease. Default 30. */
  readonly ttl?: number | undefined;
}

/** Two agents of one node would each believe to be it. Throws ERR_NODE_TAKEN. */
function lockNode({config: {node}, roots}: AgentOptions): LockFile {
  const directory = fleetDirectory(roots);
  mkdirSync(directory, {recursive: true, mode: 0o700});
  // No other file there is without an ending.
  const file = LockFile.open(join(directory, 'agent'), {flags: constants.O_RDWR | constants.O_CREAT});
  if (file.try('exclusive')) return file;
  file.close();
  throw new LockError('ERR_NODE_TAKEN', `another agent of this machine works with ${directory} already`, {
    node,
  });
}

/** Before anything is asked of etcd, which may be away: a ghost of ours is nobody's to wait for. */
function recoverOrphansOf({system, roots, signal, onEvent}: AgentOptions): Promise<void> {
  const tell = (event: NodeEvent) => onEvent?.(event);
  return recoverOwnOrphans({system, roots, tell, signal: signal ?? new AbortController().signal});
}

/** An agent that runs. Ends by `end` (or `await using`). */
export class Agent implements AsyncDisposable {
  readonly #options: AgentOptions;
  readonly #etcd: Etcd;
  readonly #node: LockFile;
  readonly #ends = new AbortController();
  readonly #parts: NodeParts;
  readonly #rollouts: NodeRollouts;
  readonly #holds: NodeHolds;
  readonly #watch: LockWatch;
  readonly #since: string;
  #session: Session | undefined;
  #waiting: {readonly promise: Promise<Session>; readonly resolve: (session: Session) => void};
  #mirror: Mirror | undefined;
  #keeping: Promise<void> = Promise.resolve();
  /** The registration that was written last, and whether it is to be written anew. */
  #registered = '';
  #renewing: Promise<void> | undefined;
  #stale = false;

  private constructor(options: AgentOptions, etcd: Etcd, node: LockFile) {
    const {config, version, system, roots, hold, fence} = options;
    this.#options = options;
    this.#etcd = etcd;
    this.#node = node;
    this.#since = new Date(system.now()).toISOString();
    this.#waiting = later();
    const signal = this.#ends.signal;
    const tell = (event: NodeEvent) => this.#tell(event);
    const session = () => this.#nextSession();
    this.#parts = {config, version, system, roots, etcd, session, signal, hold, tell};
    this.#rollouts = new NodeRollouts(this.#parts, fence);
    this.#holds = new NodeHolds(this.#parts);
    this.#watch = new LockWatch(system, roots, () => this.#renew());
  }

  /**
   * Takes back what an agent that was killed has left. Resolves when the node is registered and follows what is in force. Rejects with ERR_NODE_TAKEN, ERR_ROOT_UNSAFE, or as Etcd.connect and
   * Etcd.session do.
   */
  static async start(options: AgentOptions): Promise<Agent> {
    prepareRoots(options.system, options.roots);
    const node = lockNode(options);
    let etcd: Etcd | undefined;
    let agent: Agent | undefined;
    try {
      await recoverOrphansOf(options);
      etcd = options.etcd ?? (await Etcd.connect(options.config.etcd, options.signal));
      agent = new Agent(options, etcd, node);
      await agent.#begin();
      return agent;
    } catch (error) {
      if (agent) await agent.end();
      else {
        node.close();
        if (!options.etcd) await etcd?.close();
      }
      throw error;
    }
  }

  async #begin(): Promise<void> {
    const {signal} = this.#options;
    this.#adopt(await this.#openSession(signal));
    this.#mirror = await this.#etcd.mirror(NOW, {
      onChanges: changes => {
        for (const {key, value} of changes) this.#take(key, value);
      },
      onStanding: ({current, why}) => this.#tell({event: current ? 'current' : 'cut-off', why}),
      signal: this.#ends.signal,
    });
    for (const [key, value] of this.#mirror.entries) this.#take(key, value);
    this.#keeping = this.#keep();
  }

  #take(key: string, value: KeyValue | undefined): void {
    if (key.startsWith(KEYS.orders)) this.#rollouts.take(key, value?.value);
    else if (key.startsWith(KEYS.holds)) this.#holds.take(key, value?.value, value?.lease ?? '0');
  }

  /** A session in which this node is registered. */
  async #openSession(signal: AbortSignal | undefined): Promise<Session> {
    const session = await this.#etcd.session({signal, ttl: this.#options.ttl});
    try {
      await this.#register(session);
      return session;
    } catch (error) {
      await session.close().catch(() => undefined);
      throw error;
    }
  }

  async #register(session: Session): Promise<void> {
    const ours = describeNode(this.#options, await this.#watch.look(), this.#since);
    const text = JSON.stringify(ours);
    if (session === this.#session && text === this.#registered) return;
    await register(this.#parts, session, ours);
    this.#registered = text;
  }

  #adopt(session: Session): void {
    this.#session = session;
    this.#waiting.resolve(session);
  }

  async #nextSession(): Promise<Session> {
    const {signal} = this.#ends;
    signal.throwIfAborted();
    const session = this.#session;
    if (session && !session.signal.aborted) return session;
    return unlessAborted(this.#waiting.promise, signal);
  }

  /** A new session after each that was lost, without giving up. */
  async #keep(): Promise<void> {
    const {signal} = this.#ends;
    while (!signal.aborted) {
      const session = this.#session as Session;
      await aborted(AbortSignal.any([session.signal, signal]));
      if (signal.aborted) return;
      this.#waiting = later();
      this.#tell({event: 'session-lost', reason: (session.signal.reason as Error).message});
      await this.#reopen().catch(() => undefined);
    }
  }

  async #reopen(): Promise<void> {
    const {signal} = this.#ends;
    for (let attempt = 0; !signal.aborted; attempt++) {
      await pause(backOff(Math.min(attempt, 10)), signal);
      try {
        this.#adopt(await this.#openSession(signal));
        this.#tell({event: 'session-begun'});
        return;
      } catch (error) {
        if (signal.aborted) return;
        // Also what is no passing matter, another machine of our name say, may be over some day; it is told each time.
        this.#tell({event: 'session-refused', reason: (error as Error).message});
      }
    }
  }

  #tell(event: NodeEvent): void {
    this.#options.onEvent?.(event);
    // What a roll-out has done may show in what the node says of itself.
    if (event.event.startsWith('fleet-')) this.#watch.touch();
  }

  /** Registers anew if something is different: one at a time, and once more for all that came meanwhile. */
  #renew(): void {
    this.#stale = true;
    this.#renewing ??= this.#renewAll();
  }

  async #renewAll(): Promise<void> {
    try {
      // Not within whatever has called us.
      await Promise.resolve();
      while (this.#stale && !this.#ends.signal.aborted) {
        this.#stale = false;
        await this.#register(await this.#nextSession());
      }
    } catch (error) {
      if (this.#ends.signal.aborted) return;
      if (!isPassing(error))
        this.#options.onEvent?.({event: 'registration-refused', reason: (error as Error).message});
      this.#stale = true;
    } finally {
      this.#renewing = undefined;
    }
    if (this.#stale && !this.#ends.signal.aborted) await this.#renewLater();
  }

  async #renewLater(): Promise<void> {
    await pause(backOff(10), this.#ends.signal).catch(() => undefined);
    if (!this.#ends.signal.aborted) this.#renew();
  }

  /** Cuts short what is under way, but for a rename; says good-bye to the fleet. A second call does nothing. */
  async end(): Promise<void> {
    if (this.#ends.signal.aborted) return;
    await Promise.all([this.#rollouts.end(), this.#holds.end()]);
    this.#watch[Symbol.dispose]();
    this.#ends.abort(new DOMException('the agent ends', 'AbortError'));
    this.#waiting.promise.catch(() => undefined);
    this.#mirror?.close();
    await this.#keeping;
    await this.#renewing;
    // With its lease goes the registration.
    await this.#session?.close().catch(ignoreStore);
    if (!this.#options.etcd) await this.#etcd.close();
    this.#node.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
  }
}

/** A lease that could not be revoked ends by itself. */
function ignoreStore(error: unknown): void {
  if (!isLockError(error)) throw error;
}

function later(): {readonly promise: Promise<Session>; readonly resolve: (session: Session) => void} {
  let resolve: (session: Session) => void = () => undefined;
  const promise = new Promise<Session>(settle => {
    resolve = settle;
  });
  return {promise, resolve};
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), {once: true});
  });
}
