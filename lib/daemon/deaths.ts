/** When does each owner end? One pidfd for each process, however many locks it owns: its death is an event, not a poll. */
import type {Death} from '../os/death.js';
import type {Peer} from '../os/peer.js';
import {type Incarnate, untilGone} from '../os/process.js';
import type {System} from '../os/system.js';

/** Hears of a death; undefined when it had happened before anybody looked. */
export type OnDeath = (death: Death | undefined) => void;

interface Watched {
  readonly listeners: Set<OnDeath>;
  readonly end: AbortController;
}

/** All processes whose end somebody wants to hear of. */
export class Deaths {
  readonly #system: System;
  readonly #onError: (error: unknown) => void;
  readonly #watched = new Map<string, Watched>();

  /** `onError` hears of what keeps a process from being watched; whoever asked for it hears nothing then. */
  constructor(system: System, onError: (error: unknown) => void) {
    this.#system = system;
    this.#onError = onError;
  }

  /** Processes that are watched. */
  get size(): number {
    return this.#watched.size;
  }

  /**
   * Calls back once when that incarnation has ended, also when it had before; never when it can't be told from a later one. Ends when
   * disposed.
   */
  watch(who: Incarnate, onDeath: OnDeath): Disposable {
    const key = `${who.pid} ${who.identity}`;
    const watched = this.#watched.get(key) ?? this.#begin(key, who);
    watched.listeners.add(onDeath);
    return {
      [Symbol.dispose]: () => {
        watched.listeners.delete(onDeath);
        if (watched.listeners.size === 0) watched.end.abort();
      },
    };
  }

  /** The same for whoever asked for something; undefined where the kernel does not name his incarnation. */
  watchPeer({pid, identity}: Peer, onDeath: OnDeath): Disposable | undefined {
    return identity === undefined || pid === 0 ? undefined : this.watch({pid, identity}, onDeath);
  }

  #begin(key: string, who: Incarnate): Watched {
    const watched: Watched = {listeners: new Set(), end: new AbortController()};
    this.#watched.set(key, watched);
    watched.end.signal.addEventListener('abort', () => this.#forget(key, watched), {once: true});
    void this.#await(key, who, watched);
    return watched;
  }

  /** Never rejects. */
  async #await(key: string, who: Incarnate, watched: Watched): Promise<void> {
    try {
      const death = await untilGone(this.#system, who, watched.end.signal);
      this.#forget(key, watched);
      if (death !== 'unknown') for (const onDeath of watched.listeners) onDeath(death);
    } catch (error) {
      this.#forget(key, watched);
      if (!watched.end.signal.aborted) this.#onError(error);
    }
  }

  #forget(key: string, watched: Watched): void {
    if (this.#watched.get(key) === watched) this.#watched.delete(key);
  }
}
