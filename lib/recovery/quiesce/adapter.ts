/** What does one way to stop an orchestrator have to offer? */
import {LockError} from '../../errors.js';
import type {Stoppable} from '../../os/hold-supervisor.js';

/** One orchestrator and how it is stopped. The supervisor of the hold does the stopping and the restoring. */
export interface Adapter extends Stoppable {
  /** Names it for people: `freezer /sys/fs/cgroup/aim`. */
  readonly title: string;
  /** The command by which people let it go on. */
  readonly byHand: string;
  /**
   * Looks, and changes nothing. False when there is nothing to stop, for somebody else has stopped it: it will not be
   * restored either. Throws ERR_QUIESCE_REFUSED when it can not or must not be stopped.
   */
  look(signal: AbortSignal): Promise<boolean>;
  /** Waits, once the supervisor has done its part, until it has stopped, and says by which sign. Rejects with signal.reason. */
  acknowledge(signal: AbortSignal): Promise<string>;
  /** Who has not stopped, as far as that can be told. */
  laggards(): readonly number[];
  /** Asked when the restore failed: does it go on all the same, for there was nothing to restore? */
  goesOn(): Promise<boolean>;
}

export function refusal(title: string, why: string, pids: readonly number[] = []): LockError {
  return new LockError('ERR_QUIESCE_REFUSED', `${title}: ${why}`, {adapter: title, pids});
}
