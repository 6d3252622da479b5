/** How is everything that passes the gate stopped, for a bounded time and with its acknowledgement? */
import {constants} from 'node:fs';
import {isAbsolute, join} from 'node:path';
import {LockError} from '../errors.js';
import {Deadline} from '../os/deadline.js';
import {HoldSupervisor} from '../os/hold-supervisor.js';
import {LockFile} from '../os/lock-file.js';
import {findHolders} from '../os/lock-survey.js';
import type {ConfigLock} from '../lock/config-lock.js';
import {emptyRoom, readmit, shutDoor} from '../lock/gate.js';
import type {Adapter} from './quiesce/adapter.js';
import {type Acknowledgement, adaptersFor, quiesceAll, restoreFailure} from './quiesce/quiesce.js';
import type {QuiesceSpec} from './quiesce/spec.js';

/** Longest hold unless another time is asked for, in milliseconds. */
export const DEFAULT_HOLD = 90_000;
export const LONGEST_HOLD = 86_400_000;

export interface HoldOptions {
  /** Bound in milliseconds, from the call on: for the acknowledgements and the hold together. */
  readonly for?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /**
   * Gate descriptions taken over from an owner that can't come to the hold point (break-glass): their share of the
   * gate is given back once the door is shut, and restored if the hold is not granted.
   */
  readonly evict?: readonly LockFile[];
  /** Orchestrators that do not pass the gate, in the order in which they are stopped. */
  readonly quiesce?: readonly QuiesceSpec[] | undefined;
  /** Tells those who want to hear of it, and must say that they have come to the hold point. */
  readonly announce?: Announce | undefined;
  /**
   * Scratch files, by absolute path, whose rename is an effect of the holder. When the hold ends at its deadline or by
   * the holder's death, they are removed strictly before the gate opens: so a holder who checked that the hold is in force after he wrote
   * the file, was stopped, and wakes too late, renames nothing.
   */
  readonly fences?: readonly string[];
}

/** Tells of a hold that is asked for, and of the milliseconds that it may last. */
export type Announce = (lock: string, milliseconds: number) => Announced;

/** A hold that was told of. */
export interface Announced {
  /** Resolves when all have said so; rejects with ERR_HOLD_REFUSED, which names those who have not, when the signal aborts. */
  acknowledged(signal: AbortSignal): Promise<readonly Acknowledgement[]>;
  /** It is over, or was not granted. */
  end(): void;
}

/** All that a hold is made of. */
interface Parts {
  readonly config: ConfigLock;
  readonly bound: number;
  readonly deadline: Deadline;
  readonly gate: LockFile;
  readonly adapters: readonly Adapter[];
  turn?: LockFile;
  supervisor?: HoldSupervisor;
  announced?: Announced | undefined;
}

/** A hold that was granted: nobody is inside a cycle, nobody can enter one, and the orchestrators that were to stop stand still. Ends by `release`, with this process, or at its deadline. */
export class Hold {
  readonly name: string;
  /** Milliseconds from the call to the last acknowledgement. */
  readonly acknowledgedAfter: number;
  /** Of the orchestrators that do not pass the gate, in the order in which they were stopped. */
  readonly acknowledgements: readonly Acknowledgement[];
  /** Aborts at the deadline, or when the supervisor of the hold was killed. */
  readonly signal: AbortSignal;
  readonly #parts: Parts & {readonly supervisor: HoldSupervisor};
  #released = false;

  constructor(
    parts: Parts & {readonly supervisor: HoldSupervisor},
    acknowledgements: readonly Acknowledgement[],
  ) {
    const {config, bound, deadline, supervisor} = parts;
    this.name = config.name;
    this.acknowledgedAfter = bound - deadline.remaining();
    this.acknowledgements = acknowledgements;
    this.signal = AbortSignal.any([deadline.signal, supervisor.signal]);
    this.#parts = parts;
  }

  /** Milliseconds until it ends by itself. */
  remaining(): number {
    return this.#released ? 0 : this.#parts.deadline.remaining();
  }

  /** Its time is over. */
  get expired(): boolean {
    return this.#parts.deadline.expired;
  }

  /** True while nobody can enter. A holder that was stopped and wakes late sees here that its time is over. */
  inForce(): boolean {
    return !this.#released && !this.expired && this.#parts.supervisor.standing();
  }

  /** Throws ERR_HOLD_EXPIRED when it has ended. */
  assertInForce(): void {
    if (this.inForce()) return;
    const {fenceError} = this.#parts.supervisor;
    const rest = fenceError === undefined ? '' : `; a scratch file could not be removed (${fenceError})`;
    throw new LockError('ERR_HOLD_EXPIRED', `the hold on ${this.name} has ended${rest}`, {lock: this.name});
  }

  /** Gives those who were evicted their shares of the gate again, for nothing was taken from them. In vain when the hold has ended meanwhile and another is in force. */
  readmit(evicted: readonly LockFile[]): void {
    readmit(this.#parts.gate, evicted);
  }

  /**
   * Lets everybody go on: what was stopped, in reverse order, then those at the gate. Rejects with ERR_RESTORE_FAILED when
   * something that was stopped does not go on; all else has been let go even then. A second call does nothing.
   */
  async release(): Promise<void> {
    if (this.#released) return;
    this.#released = true;
    this.#parts.config.tell({event: 'hold-ending'});
    const failure = await letGo(this.#parts);
    if (failure) throw failure;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release();
  }
}

/**
 * Ends a hold, granted or not. It is the supervisor that restores, also for us: a late restore of a holder who was stopped
 * could wake what another hold has stopped by then. Gives what could not be restored.
 */
async function letGo(
  {config, deadline, gate, adapters, turn, supervisor, announced}: Parts,
  cause?: unknown,
): Promise<LockError | undefined> {
  deadline.cancel();
  try {
    return supervisor && (await restoreFailure(config, adapters, await supervisor.release(), cause));
  } finally {
    gate.unlock();
    gate.close();
    turn?.close();
    announced?.end();
  }
}

/** Processes that have a lock on one of our files, without ourselves and our supervisor. */
async function others(config: ConfigLock, path: string, supervisor?: HoldSupervisor): Promise<number[]> {
  const pids = await findHolders(config.system, path);
  return pids.filter(pid => pid !== process.pid && pid !== supervisor?.pid);
}

function whoever(pids: readonly number[]): string {
  return pids.length > 0 ? `pid ${pids.join(', pid ')}` : 'a process that can not be seen from here';
}

async function refused({config, deadline, supervisor, bound}: Parts): Promise<unknown> {
  if (!deadline.expired) return deadline.signal.reason;
  const pids = await others(config, config.paths.gate, supervisor);
  return new LockError(
    'ERR_HOLD_REFUSED',
    `${whoever(pids)} did not come to the hold point of ${config.name} within ${bound} ms`,
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

function checkedFences(fences: readonly string[]): readonly string[] {
  const wrong = fences.find(path => !isAbsolute(path));
  if (wrong !== undefined)
    throw new LockError('ERR_ARGUMENT', `a fence is an absolute path, not ${JSON.stringify(wrong)}`);
  return fences;
}

function openTurn({roots}: ConfigLock): LockFile {
  return LockFile.open(join(roots.run, 'quiesce'), {flags: constants.O_RDWR | constants.O_CREAT});
}

/**
 * Waits until no other hold stops orchestrators or is still restoring them: two that stop the same one would each take it for
 * stopped when the other lets it go on. Rejects with ERR_HOLD_REFUSED at the deadline.
 */
async function takeTurn(turn: LockFile, {config, deadline, bound, supervisor}: Parts): Promise<void> {
  try {
    await turn.wait('exclusive', {signal: deadline.signal});
  } catch (error) {
    if (!deadline.expired) throw error;
    const pids = await others(config, turn.path, supervisor);
    throw new LockError(
      'ERR_HOLD_REFUSED',
      `${whoever(pids)} has orchestrators stopped for another hold, and did not let them go on within ${bound} ms`,
      {lock: config.name, path: config.file, pids},
    );
  }
}

/**
 * Stops everything that passes the gate of a lock, and the orchestrators that don't. Rejects with ERR_HOLD_REFUSED and the pids that did not come,
 * with ERR_QUIESCE_REFUSED, ERR_RESTORE_FAILED (`cause` is why the hold was not granted), or signal.reason.
 */
export async function hold(
  config: ConfigLock,
  {for: asked = DEFAULT_HOLD, signal, evict = [], quiesce = [], fences = [], announce}: HoldOptions = {},
): Promise<Hold> {
  const bound = checkedBound(asked);
  checkedFences(fences);
  const adapters = adaptersFor(config, quiesce, bound);
  const gate = LockFile.open(config.paths.gate);
  const parts: Parts = {config, bound, deadline: new Deadline(bound, signal), gate, adapters};
  const {deadline} = parts;
  config.tell({event: 'hold-asked'});
  try {
    const turn = adapters.length > 0 ? openTurn(config) : undefined;
    if (turn) parts.turn = turn;
    // First the supervisor: were we stopped in between, the door would stay shut without a bound.
    const supervisor = HoldSupervisor.start({
      gate,
      turn,
      milliseconds: deadline.remaining(),
      fences,
      stoppables: adapters,
    });
    parts.supervisor = supervisor;
    parts.announced = announce?.(config.name, deadline.remaining());
    if (turn) await takeTurn(turn, parts);
    await shutDoor(gate, deadline.signal);
    for (const share of evict) share.unlock();
    await emptyRoom(gate, deadline.signal);
    // In this order: an orchestrator that is stopped inside a cycle would never leave the room.
    const said = (await parts.announced?.acknowledged(deadline.signal)) ?? [];
    const acknowledgements = [...said, ...(await quiesceAll(adapters, supervisor, deadline))];
    const granted = new Hold({...parts, supervisor}, acknowledgements);
    // We may have been stopped meanwhile, or the supervisor killed: what has no bound is no hold.
    granted.assertInForce();
    config.tell({
      event: 'hold-acknowledged',
      remaining: granted.remaining(),
      evicted: evict.length,
    });
    return granted;
  } catch (error) {
    const reason = error instanceof LockError || !deadline.signal.aborted ? error : await refused(parts);
    if (parts.supervisor) readmit(gate, evict);
    throw (await letGo(parts, reason)) ?? reason;
  }
}
