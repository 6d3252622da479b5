/** What has a mirror told? All of it in its order, to wait for. */
import type {Change, Etcd, Mirror, Standing} from '../../lib/fleet/etcd/etcd.js';
import {Deadline} from '../../lib/os/deadline.js';
import type {Ends} from './scratch.js';

/** Milliseconds. Longer than any break that a test makes. */
const PATIENCE = 120_000;

/** A mirror whose listener is the test. */
export class Followed {
  readonly told: {readonly changes: readonly Change[]; readonly revision: number}[] = [];
  readonly standings: Standing[] = [];
  #mirror: Mirror | undefined;
  #heard: () => void = () => undefined;

  static async of(t: Ends, etcd: Etcd, prefix: string): Promise<Followed> {
    const followed = new Followed();
    followed.#mirror = await etcd.mirror(prefix, {
      onChanges: (changes, revision) => followed.#hear(() => followed.told.push({changes, revision})),
      onStanding: standing => followed.#hear(() => followed.standings.push(standing)),
    });
    t.teardown(() => followed.mirror.close());
    return followed;
  }

  get mirror(): Mirror {
    if (!this.#mirror) throw new Error('it has not begun yet');
    return this.#mirror;
  }

  get changes(): Change[] {
    return this.told.flatMap(({changes}) => changes);
  }

  /** What is there, as text. */
  get content(): Record<string, string> {
    return Object.fromEntries([...this.mirror.entries].map(([key, {value}]) => [key, value.toString()]));
  }

  /** Resolves when that is so, at first or after something was told. */
  async until(so: () => boolean): Promise<void> {
    using patience = new Deadline(PATIENCE);
    while (!so()) {
      patience.signal.throwIfAborted();
      await new Promise<void>(resolve => {
        this.#heard = resolve;
        patience.signal.addEventListener('abort', () => resolve(), {once: true});
      });
    }
  }

  #hear(note: () => void): void {
    note();
    this.#heard();
  }
}
