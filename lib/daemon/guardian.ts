/** What becomes of the locks of this machine? All are watched; what an owner left in the middle is recovered, or reported, as the policy says. */
import type {Owner} from '../lock/owner-record.js';
import type {Death} from '../os/death.js';
import {monotonic} from '../os/deadline.js';
import type {Policy} from '../recovery/policy/rules.js';
import type {Verdict} from '../recovery/verdict.js';
import {Deaths} from './deaths.js';
import type {Tell} from './events.js';
import {Heartbeats} from './heartbeats.js';
import {Orchestrators} from './orchestrators.js';
import {Orphans} from './orphans.js';
import type {Glance, LockListener, WatchedLock} from './watched-lock.js';
import {type Surroundings, Watcher} from './watcher.js';

/** How many locks are looked at side by side. */
const SIDE_BY_SIDE = 16;

/** Runs `act` on all, so many at a time; on no more of them when the signal aborts. */
async function eachOf<Item>(
  items: readonly Item[],
  act: (item: Item) => Promise<unknown>,
  {signal}: {readonly signal: AbortSignal},
): Promise<void> {
  const rest = items[Symbol.iterator]();
  const worker = async () => {
    for (const item of rest) {
      if (signal.aborted) return;
      await act(item);
    }
  };
  await Promise.all(Array.from({length: SIDE_BY_SIDE}, worker));
}

/** What a look at all locks came to. */
export interface Sweep {
  readonly locks: number;
  /** Milliseconds. */
  readonly took: number;
}

/** All locks below RUN, and what is done about their orphans. */
export class Guardian implements LockListener, Disposable {
  readonly deaths: Deaths;
  readonly orphans: Orphans;
  readonly orchestrators: Orchestrators;
  readonly heartbeats: Heartbeats;
  readonly #watcher: Watcher;
  readonly #tell: Tell;
  readonly #end = new AbortController();

  constructor(surroundings: Surroundings, policy: () => Policy, tell: Tell) {
    this.#tell = tell;
    this.deaths = new Deaths(surroundings.system, error =>
      tell({event: 'trouble', what: 'the end of an owner', error}),
    );
    this.orchestrators = new Orchestrators(this.deaths, tell);
    this.heartbeats = new Heartbeats(tell);
    this.orphans = new Orphans(policy, tell, this.orchestrators.announce);
    this.#watcher = new Watcher(surroundings, this.deaths, this, tell);
  }

  get locks(): readonly WatchedLock[] {
    return this.#watcher.locks;
  }

  /** The lock of that name, also one that has come just now; undefined when there is none. */
  find(name: string): WatchedLock | undefined {
    if (!this.#watcher.get(name)) this.#watcher.discover();
    return this.#watcher.get(name);
  }

  /** Watches what has come just now, and forgets what has gone. */
  discover(): void {
    this.#watcher.discover();
  }

  /** Looks at it anew; who listens hears what it came to. */
  examine(lock: WatchedLock): void {
    lock.examine().catch((error: unknown) => this.failed(lock, error));
  }

  /** Looks at all locks anew. Their verdicts, by name; some of them when we end meanwhile. */
  async examineAll(): Promise<Verdict[]> {
    this.discover();
    const verdicts: Verdict[] = [];
    await eachOf(this.locks, async lock => verdicts.push(await lock.examine()), this.#end);
    return verdicts.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }

  /**
   * Looks at all locks, and does about each orphan what the policy says. The net below the events: nothing that an event would have told stays
   * unseen for longer.
   */
  async sweep(): Promise<Sweep> {
    const start = monotonic();
    const {length} = await this.examineAll();
    return {locks: length, took: monotonic() - start};
  }

  changed(lock: WatchedLock, {bit, epoch, owner}: Glance): void {
    this.#tell({event: 'changed', lock: lock.name, bit: bit ?? null, epoch: epoch ?? null, owner});
  }

  ownerDied(lock: WatchedLock, owner: Owner, death: Death | undefined): void {
    this.#tell({event: 'owner-died', lock: lock.name, owner, ending: death?.ending ?? null});
    // Its verdict goes the same way as that of a sweep; first those who listen hear of it.
    setImmediate(() => this.examine(lock));
  }

  abandoned(lock: WatchedLock): void {
    this.examine(lock);
  }

  examined(lock: WatchedLock, verdict: Verdict, before: Verdict | undefined): void {
    if (!before) this.heartbeats.adopt(lock);
    if (verdict.state !== before?.state || verdict.epoch !== before.epoch)
      this.#tell({event: 'verdict', lock: lock.name, verdict});
    if (verdict.state === 'DEAD') this.orphans.meet(lock, verdict);
    else this.orphans.forget(lock.name);
  }

  failed(lock: WatchedLock, error: unknown): void {
    this.#tell({event: 'trouble', what: `the lock ${lock.name}`, error});
  }

  /** Ends what it does for others; recoveries that have begun come to their end. */
  async end(): Promise<void> {
    this.#end.abort();
    this.heartbeats.end();
    await this.orphans.end();
    await this.orchestrators.end();
  }

  [Symbol.dispose](): void {
    this.#watcher[Symbol.dispose]();
  }
}
