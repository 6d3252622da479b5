/**
 * May this node still apply what it has prepared? For so many milliseconds on its own clock, whatever becomes of its process.
 *
 * The fleet may have gone on without a node that was stopped. So the content waits in its shadow under a fence: a process of
 * its own that removes the shadow when the time is over. The rename of an agent that was stopped over it, even
 * right before the call, then finds no source.
 */
import {constants} from 'node:fs';
import {LockError} from '../errors.js';
import {monotonic} from '../os/deadline.js';
import {HoldSupervisor} from '../os/hold-supervisor.js';
import {LockFile} from '../os/lock-file.js';
import {hasCode} from '../os/system-error.js';

/**
 * Who ends the time. `clock`: we ourselves look at the clock right before the rename, which is no fence for one who is stopped
 * between both. That is for a simulator with a thousand agents in one process, where forks would be what is measured.
 */
export type Fence = 'supervisor' | 'clock';

/** A timer of Node and a supervisor count that far, in milliseconds. */
const LONGEST = 2 ** 31 - 1;

/** The time within which a roll-out may be applied here. */
export class Reservation {
  readonly rollout: string;
  readonly lock: string;
  readonly #milliseconds: number;
  readonly #until: number;

  /** From `since` on, milliseconds on the monotonic clock. */
  constructor(rollout: string, lock: string, milliseconds: number, since: number = monotonic()) {
    this.rollout = rollout;
    this.lock = lock;
    this.#milliseconds = Math.min(LONGEST, milliseconds);
    this.#until = since + this.#milliseconds;
  }

  /** Milliseconds; 0: it is over. */
  remaining(): number {
    return Math.max(0, this.#until - monotonic());
  }

  /** Throws ERR_RESERVATION_OVER. */
  assertStanding(): void {
    if (this.remaining() === 0) throw this.#over();
  }

  /**
   * Does something that ends by renaming `shadow`, and calls `confirm` right before that. Rejects with ERR_RESERVATION_OVER when
   * the time was over by then; nothing was renamed. `gate` is a path that nobody else locks.
   */
  async fenced<T>(
    fence: Fence,
    {shadow, gate}: {readonly shadow: string; readonly gate: string},
    work: (confirm: () => void) => Promise<T>,
  ): Promise<T> {
    this.assertStanding();
    if (fence === 'clock') return work(() => this.assertStanding());
    using file = LockFile.open(gate, {flags: constants.O_RDWR | constants.O_CREAT});
    await file.wait('exclusive');
    const milliseconds = this.remaining();
    const plan = {gate: file, turn: undefined, milliseconds, fences: [shadow], stoppables: []};
    const supervisor = HoldSupervisor.start(plan);
    const confirm = () => {
      if (!supervisor.standing()) throw this.#over();
      this.assertStanding();
    };
    try {
      return await work(confirm);
    } catch (error) {
      // Only a rename that finds no source after the confirmation was fenced; whatever else failed is told as it is.
      throw hasCode(error, 'ENOENT') && !supervisor.standing() ? this.#over(error) : error;
    } finally {
      await supervisor.release();
    }
  }

  #over(cause?: unknown): LockError {
    return new LockError(
      'ERR_RESERVATION_OVER',
      `the reservation of ${this.#milliseconds} ms to apply ${this.rollout} to ${this.lock} was over before the rename`,
      {lock: this.lock},
      {cause},
    );
  }
}
