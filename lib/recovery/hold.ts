/** How is everything that passes the gate stopped, for a bounded time and with its acknowledgement? */
import {dirname} from 'node:path';
import {LockError} from '../errors.js';
import {Deadline} from '../os/deadline.js';
import {tell} from '../os/events.js';
import {LockFile} from '../os/lock-file.js';
import {type HoldTimer, native} from '../os/native.js';
import {findHolders} from '../os/lock-survey.js';
import {readable} from '../os/process.js';
import {check} from '../os/system-error.js';
import type {ConfigLock} from '../lock/config-lock.js';
import {emptyRoom, reenter, shutDoor} from '../lock/gate.js';

/** Longest hold unless another time is asked for, in milliseconds. */
export const DEFAULT_HOLD = 90_000;
export const LONGEST_HOLD = 86_400_000;

export interface HoldOptions {
  /** Bound in milliseconds, from the call on: for the acknowledgement and the hold together. */
  readonly for?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /**
   * Gate descriptions taken over from an owner that can't come to the hold point (break-glass): their share of the
   * gate is given back once the door is shut, and restored if the hold is not granted.
   */
  readonly evict?: readonly LockFile[];
}

/** A hold that was granted: nobody is inside a cycle, nobody can enter one. Ends by `release`, with this process, or at its deadline. */
export class Hold {
  readonly name: string;
  /** Milliseconds from the call to the acknowledgement. */
  readonly acknowledgedAfter: number;
  readonly #gate: LockFile;
  readonly #timer: HoldTimer;
  readonly #deadline: Deadline;
  #released = false;

  constructor(name: string, gate: LockFile, timer: HoldTimer, deadline: Deadline, acknowledgedAfter: number) {
    this.name = name;
    this.acknowledgedAfter = acknowledgedAfter;
    this.#gate = gate;
    this.#timer = timer;
    this.#deadline = deadline;
  }

  /** Aborts at the deadline. */
  get signal(): AbortSignal {
    return this.#deadline.signal;
  }

  /** Milliseconds until it ends by itself. */
  remaining(): number {
    return this.#released ? 0 : this.#deadline.remaining();
  }

  /** True while nobody can enter. A holder that was stopped and wakes late sees here that its time is over. */
  inForce(): boolean {
    return (
      !this.#released &&
      !this.#deadline.expired &&
      check(native.isReadable(this.#timer.channel), 'poll') === 0
    );
  }

  /** Throws ERR_HOLD_EXPIRED when it has ended. */
  assertInForce(): void {
    if (!this.inForce())
      throw new LockError('ERR_HOLD_EXPIRED', `the hold on ${this.name} has ended`, {lock: this.name});
  }

  /** Lets everybody go on. A second call does nothing. */
  async release(): Promise<void> {
    if (this.#released) return;
    this.#released = true;
    tell(dirname(this.#gate.path), {event: 'hold-ending'});
    this.#deadline.cancel();
    this.#gate.unlock();
    await endTimer(this.#timer);
    this.#gate.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release();
  }
}

/** Ends the timer's process and reaps it. */
async function endTimer(timer: HoldTimer): Promise<void> {
  native.close(timer.channel);
  await readable(timer.pidfd);
  check(native.reapHoldTimer(timer.pidfd), 'waitid');
  native.close(timer.pidfd);
}

/** Processes that have a share of a gate, without ourselves and our timer. */
async function insiders(config: ConfigLock, timer: HoldTimer | undefined): Promise<number[]> {
  const pids = await findHolders(config.system, config.paths.gate);
  return pids.filter(pid => pid !== process.pid && pid !== timer?.pid);
}

async function refused(
  config: ConfigLock,
  deadline: Deadline,
  timer: HoldTimer | undefined,
  milliseconds: number,
): Promise<unknown> {
  if (!deadline.expired) return deadline.signal.reason;
  const pids = await insiders(config, timer);
  const who = pids.length > 0 ? `pid ${pids.join(', pid ')}` : 'a process that can not be seen from here';
  return new LockError(
    'ERR_HOLD_REFUSED',
    `${who} did not come to the hold point of ${config.name} within ${milliseconds} ms`,
    {lock: config.name, path: config.file, pids},
  );
}

function checkedBound(milliseconds: number): number {
  if (!Number.isInteger(milliseconds) || milliseconds < 1 || milliseconds > LONGEST_HOLD) {
    throw new LockError(
      'ERR_ARGUMENT',
      `a hold lasts a whole number of milliseconds from 1 to ${LONGEST_HOLD}, not ${milliseconds}`,
    );
  }
  return milliseconds;
}

/** Stops everything that passes the gate of a lock. Rejects with ERR_HOLD_REFUSED and the pids that did not come, or with signal.reason. */
export async function hold(
  config: ConfigLock,
  {for: bound = DEFAULT_HOLD, signal, evict = []}: HoldOptions = {},
): Promise<Hold> {
  checkedBound(bound);
  const gate = LockFile.open(config.paths.gate);
  const deadline = new Deadline(bound, signal);
  let timer: HoldTimer | undefined;
  tell(config.paths.directory, {event: 'hold-asked'});
  try {
    // First the timer: were we stopped in between, the door would stay shut without a bound.
    timer = check<HoldTimer>(
      native.startHoldTimer(gate.fd, Math.max(1, Math.ceil(deadline.remaining()))),
      'fork',
    );
    await shutDoor(gate, deadline.signal);
    for (const share of evict) share.unlock();
    await emptyRoom(gate, deadline.signal);
    const remaining = deadline.remaining();
    const granted = new Hold(config.name, gate, timer, deadline, bound - remaining);
    // We may have been stopped meanwhile, or the timer killed: what has no bound is no hold.
    granted.assertInForce();
    tell(config.paths.directory, {event: 'hold-acknowledged', remaining, evicted: evict.length});
    return granted;
  } catch (error) {
    const reason = deadline.signal.aborted ? await refused(config, deadline, timer, bound) : error;
    deadline.cancel();
    // Whoever was evicted was so behind a door that we still keep shut, so nobody can be in the way.
    if (timer) for (const share of evict) reenter(share);
    gate.unlock();
    if (timer) await endTimer(timer);
    gate.close();
    throw reason;
  }
}
