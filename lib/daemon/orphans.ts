/** What is done about a lock whose owner died in the middle? Recovered at once where the policy says so, else reported; once for each orphan. */
import {isLockError} from '../errors.js';
import {monotonic} from '../os/deadline.js';
import type {Announce} from '../recovery/hold.js';
import type {Policy} from '../recovery/policy/rules.js';
import {recoveryOptions} from '../recovery/policy/rules.js';
import type {Certificate} from '../recovery/take-back.js';
import type {Verdict} from '../recovery/verdict.js';
import type {Tell} from './events.js';
import type {WatchedLock} from './watched-lock.js';

/** Why the audit has it. */
const REASON = 'the daemon met the orphan, and the policy says recover: automatic';

/** So many recoveries go on side by side. */
const SIDE_BY_SIDE = 8;

/** What was last done about the orphan of a lock. */
interface Met {
  readonly epoch: number | null;
  /** When it was met first, on the monotonic clock. */
  readonly since: number;
  /** False once it was tried, or left to people. */
  recovering: boolean;
}

/** Somebody else is faster, or the lock is none any more: nothing to report. */
function isSettledElsewhere(error: unknown): boolean {
  return (
    isLockError(error, 'ERR_NOT_DEAD') ||
    isLockError(error, 'ERR_OWNER_CHANGED') ||
    isLockError(error, 'ERR_RECOVERY_BUSY')
  );
}

/** All orphans that are known. */
export class Orphans {
  readonly #policy: () => Policy;
  readonly #tell: Tell;
  readonly #announce: Announce;
  readonly #met = new Map<string, Met>();
  readonly #waiting: (() => Promise<void>)[] = [];
  readonly #running = new Set<Promise<void>>();
  readonly #end = new AbortController();

  constructor(policy: () => Policy, tell: Tell, announce: Announce) {
    this.#policy = policy;
    this.#tell = tell;
    this.#announce = announce;
  }

  /** Recoveries under way. */
  get working(): number {
    return [...this.#met.values()].filter(({recovering}) => recovering).length;
  }

  /** A lock is proven dead: does what the policy says. What failed is tried again with the next look, so with each sweep. */
  meet(lock: WatchedLock, verdict: Verdict): void {
    const known = this.#met.get(lock.name);
    if (known?.recovering || this.#end.signal.aborted) return;
    const since = known?.epoch === verdict.epoch ? known.since : monotonic();
    const met: Met = {epoch: verdict.epoch, since, recovering: false};
    this.#met.set(lock.name, met);
    if (this.#isLeftToPeople(lock)) {
      if (known?.epoch !== verdict.epoch) this.#tell({event: 'orphan', lock: lock.name, verdict});
      return;
    }
    met.recovering = true;
    this.#waiting.push(() => this.#recover(lock, met));
    this.#startNext();
  }

  /** Takes a lock back, for us or for somebody who asked; everybody hears of it, and the lock is looked at anew. Rejects as `act` does. */
  async takeBack(lock: WatchedLock, act: () => Promise<Certificate>): Promise<Certificate> {
    const certificate = await act();
    this.#tell({event: 'recovered', lock: lock.name, certificate});
    const met = this.#met.get(lock.name);
    if (met) met.recovering = false;
    await lock.examine();
    return certificate;
  }

  isRecovering(name: string): boolean {
    return this.#met.get(name)?.recovering === true;
  }

  /** Milliseconds since the oldest of them was met; 0 when there is none. */
  oldestAge(): number {
    const now = monotonic();
    return Math.max(0, ...[...this.#met.values()].map(({since}) => now - since));
  }

  /** It is none any more. */
  forget(name: string): void {
    if (!this.isRecovering(name)) this.#met.delete(name);
  }

  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  /** Ends what waits; what has begun to change something goes on to its end. */
  async end(): Promise<void> {
    this.#end.abort(new Error('the daemon ends'));
    this.#waiting.length = 0;
    await this.settled();
  }

  /** A policy that contradicts itself allows nothing. */
  #isLeftToPeople(lock: WatchedLock): boolean {
    try {
      return this.#policy().of(lock.name).settings.recover !== 'automatic';
    } catch (error) {
      this.#tell({event: 'trouble', what: `the policy of the lock ${lock.name}`, error});
      return true;
    }
  }

  /** A few at a time: each has a supervisor, and all of them together one processor. */
  #startNext(): void {
    while (this.#running.size < SIDE_BY_SIDE) {
      const recover = this.#waiting.shift();
      if (!recover) return;
      const running = recover().finally(() => {
        this.#running.delete(running);
        this.#startNext();
      });
      this.#running.add(running);
    }
  }

  /** Never rejects. */
  async #recover(lock: WatchedLock, met: Met): Promise<void> {
    const {name, config} = lock;
    this.#tell({event: 'recovering', lock: name, reason: REASON});
    try {
      const options = recoveryOptions({}, this.#policy().of(name).settings);
      const how = {...options, reason: REASON, signal: this.#end.signal, announce: this.#announce};
      await this.takeBack(lock, () => config.recover(how));
    } catch (error) {
      if (isSettledElsewhere(error) || this.#end.signal.aborted) return;
      this.#tell({event: 'recovery-refused', lock: name, error});
      // It may have come half the way. Met again now, it waits for the next look all the same.
      await lock.examine();
    } finally {
      met.recovering = false;
    }
  }
}
