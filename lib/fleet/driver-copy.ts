/** What does a driver see of the fleet? Copies of nodes and roll-outs, not of contents; and how often it was cut off from the store. */
import {hasEnded} from './rollout-view.js';
import {type RolloutState, rolloutState} from './documents.js';
import {documentAt, type Entries} from './entries.js';
import type {Etcd} from './etcd/etcd.js';
import type {Change, Mirror, Standing} from './etcd/mirror.js';
import {KEYS} from './keys.js';
import type {Wake} from './wake.js';

const STATE_KEY = /^rollouts\/([^/]+)\/state$/;

interface Wakes {
  /** Something has changed. */
  readonly wake: Wake;
  /** The key `leader` has changed. */
  readonly leaderWake: Wake;
}

export class DriverCopy implements Disposable {
  readonly #mirrors: Mirror[] = [];
  readonly #wakes: Wakes;
  readonly #active = new Set<string>();
  /** Until a node changes. */
  #nodes: Entries | undefined;
  #cuts = 0;

  /** Rejects as `Etcd.mirror` does. */
  static async open(etcd: Etcd, wakes: Wakes, signal: AbortSignal): Promise<DriverCopy> {
    const copy = new DriverCopy(wakes);
    try {
      for (const prefix of [KEYS.rollouts, KEYS.nodes, KEYS.known, KEYS.leader])
        copy.#mirrors.push(await etcd.mirror(prefix, copy.#following(prefix, signal)));
      for (const key of copy.rollouts.keys()) copy.#note(key);
      return copy;
    } catch (error) {
      copy[Symbol.dispose]();
      throw error;
    }
  }

  private constructor(wakes: Wakes) {
    this.#wakes = wakes;
  }

  get rollouts(): Entries {
    return this.#mirrors[0]?.entries ?? new Map();
  }

  get nodes(): Entries {
    const [, registered, known] = this.#mirrors;
    this.#nodes ??= new Map([...(registered?.entries ?? []), ...(known?.entries ?? [])]);
    return this.#nodes;
  }

  /** All that is seen here is as it is in the store, or was a moment ago. */
  get current(): boolean {
    return this.#mirrors.every(({current}) => current);
  }

  /** So many times it was cut off: in between, silence says nothing. */
  get cuts(): number {
    return this.#cuts;
  }

  /** Those that have not ended. */
  activeRollouts(): string[] {
    for (const id of this.#active) if (this.#hasEnded(id)) this.#active.delete(id);
    return [...this.#active].toSorted();
  }

  async whenCurrent(signal: AbortSignal): Promise<void> {
    while (!this.current) await this.#wakes.wake.next({signal});
  }

  /** Resolves when what was written at that revision is seen. */
  async reaches(revision: number, signal: AbortSignal): Promise<void> {
    while ((this.#mirrors[0]?.revision ?? 0) < revision) await this.#wakes.wake.next({signal});
    // What came with it is still to be looked at.
    this.#wakes.wake.wake();
  }

  [Symbol.dispose](): void {
    for (const mirror of this.#mirrors) mirror.close();
  }

  #following(prefix: string, signal: AbortSignal) {
    return {
      onChanges: (changes: readonly Change[]) => {
        if (prefix === KEYS.nodes || prefix === KEYS.known) this.#nodes = undefined;
        for (const {key} of changes) this.#note(key);
        (prefix === KEYS.leader ? this.#wakes.leaderWake : this.#wakes.wake).wake();
      },
      onStanding: ({current}: Standing) => {
        if (!current) this.#cuts += 1;
        this.#wakes.wake.wake();
      },
      signal,
    };
  }

  /** A state that was written may be that of a new roll-out. */
  #note(key: string): void {
    const id = STATE_KEY.exec(key)?.[1];
    if (id !== undefined) this.#active.add(id);
  }

  #hasEnded(id: string): boolean {
    const state = documentAt<RolloutState>(this.rollouts, KEYS.state(id), rolloutState, () => {});
    return !this.rollouts.has(KEYS.state(id)) || (state !== undefined && hasEnded(state.phase));
  }
}
