/**
 * What ends a hold whatever happens to its holder? A process of its own: it opens the gate at the deadline or at our
 * death, and restores what it has stopped for us (native/hold_supervisor.h).
 */
import {decodeStatus, describeEnding} from './death.js';
import type {LockFile} from './lock-file.js';
import {native, NEWS, ORDER, type RawNews, type RawSupervisor} from './native.js';
import {readable} from './process.js';
import {check, errnoName, errnoOf, SystemError} from './system-error.js';

/** A text that is written to a file, or a program by its absolute path, which is killed with its process group when its time is over. */
export type Action =
  | {readonly path: string; readonly text: string}
  | {
      readonly argv: readonly [string, ...string[]];
      readonly environment: Readonly<Record<string, string | undefined>>;
      readonly milliseconds: number;
    };

/** Something that can be stopped, and how it goes on. */
export interface Stoppable {
  readonly stop: Action;
  readonly restore: Action;
}

/** What a supervisor needs to know before it is forked: later it allocates nothing. */
export interface SupervisorPlan {
  readonly gate: LockFile;
  /** A lock that is given back when all that was stopped is restored. */
  readonly turn: LockFile | undefined;
  readonly milliseconds: number;
  /** Absolute paths that are removed before the gate is opened for a holder who did not let go himself. */
  readonly fences: readonly string[];
  readonly stoppables: readonly Stoppable[];
}

const EAGAIN = -errnoOf('EAGAIN');
const ETIMEDOUT = -errnoOf('ETIMEDOUT');

/** So long a supervisor may take that finishes what another could not, in milliseconds. */
const FINISHING = 60_000;

const RUN_TIMES = {shortest: 1, longest: 86_400_000};

/** Three numbers and words for the addon. */
function flatten(action: Action): {shape: number[]; words: string[]} {
  if ('path' in action) return {shape: [0, 1, 1], words: [action.path, action.text]};
  const environment = Object.entries(action.environment).flatMap(([key, value]) =>
    value === undefined ? [] : [`${key}=${value}`],
  );
  const milliseconds = Math.min(RUN_TIMES.longest, Math.max(RUN_TIMES.shortest, action.milliseconds));
  return {
    shape: [milliseconds, action.argv.length, environment.length],
    words: [...action.argv, ...environment],
  };
}

/** What went wrong with an action, in words; undefined when it did its work. */
export function failureOf(action: Action, status: number): string | undefined {
  if (status === 0) return undefined;
  if (status === ETIMEDOUT && 'argv' in action)
    return `it took longer than ${action.milliseconds} ms and was killed`;
  if (status < 0 && 'path' in action) return new SystemError(status, 'write', action.path).message;
  return status < 0
    ? `it could not be run: ${errnoName(status)}`
    : `it ${describeEnding(decodeStatus(status))}`;
}

/** The process that ends one hold. */
export class HoldSupervisor {
  readonly #plan: SupervisorPlan;
  readonly #raw: RawSupervisor;
  readonly #watch: {close(): void};
  readonly #ended = new AbortController();
  /** What it was ordered to stop, and restores. */
  readonly #armed = new Set<number>();
  readonly #stopped = new Map<number, number>();
  readonly #restored = new Map<number, number>();
  #wake: (() => void) | undefined;
  /** Why a fence is still there, where it could not be removed. */
  #fenceError: number | undefined;
  #over = false;
  #released = false;

  private constructor(plan: SupervisorPlan, raw: RawSupervisor) {
    this.#plan = plan;
    this.#raw = raw;
    const watch = native.watch(raw.channel, () => this.#hear());
    if (typeof watch === 'number') {
      native.close(raw.channel);
      native.close(raw.pidfd);
      throw new SystemError(watch, 'poll');
    }
    watch.unref();
    this.#watch = watch;
  }

  /** Forks it. Throws SystemError. */
  static start(plan: SupervisorPlan): HoldSupervisor {
    const {gate, turn, milliseconds, fences, stoppables} = plan;
    const actions = stoppables.flatMap(({stop, restore}) => [flatten(stop), flatten(restore)]);
    const raw = native.startHoldSupervisor(
      gate.fd,
      turn?.fd ?? -1,
      Math.max(1, Math.ceil(milliseconds)),
      fences,
      Int32Array.from(actions.flatMap(({shape}) => shape)),
      actions.flatMap(({words}) => words),
    );
    return new HoldSupervisor(plan, check<RawSupervisor>(raw, 'fork'));
  }

  get pid(): number {
    return this.#raw.pid;
  }

  /** Aborts when the time is over, or when it was killed. */
  get signal(): AbortSignal {
    return this.#ended.signal;
  }

  /** False from the moment that it began to end the hold, or that it was killed. Asks the kernel, not our event loop. */
  standing(): boolean {
    this.#hear();
    return !this.#over;
  }

  /** Why the kernel kept a fence from being removed at the deadline; undefined when nothing did. */
  get fenceError(): string | undefined {
    return this.#fenceError === undefined ? undefined : errnoName(this.#fenceError);
  }

  /** Has one stopped, and gives what went wrong. From the order on it will be restored, whatever happens. Rejects with signal.reason. */
  async stop(index: number, signal: AbortSignal): Promise<string | undefined> {
    const {stop} = this.#plan.stoppables[index] as Stoppable;
    this.#order(ORDER.stop, index);
    const status = await this.#news(() => this.#stopped.get(index), signal);
    // A text that could not be written has changed nothing, so nothing will be restored.
    if (status < 0 && 'path' in stop) this.#armed.delete(index);
    return failureOf(stop, status);
  }

  /**
   * Has everything restored that was stopped, in reverse order, and the gate opened; gives what went wrong, by index. A
   * supervisor that was killed before is replaced by one that does it.
   */
  async release(): Promise<ReadonlyMap<number, string | undefined>> {
    this.#released = true;
    // Whoever is gone needs no order.
    native.sendOrder(this.#raw.channel, ORDER.release, 0);
    await readable(this.#raw.pidfd);
    this.#hear();
    this.#watch.close();
    check(native.reapHoldSupervisor(this.#raw.pidfd), 'waitid');
    native.close(this.#raw.channel);
    native.close(this.#raw.pidfd);
    const left = [...this.#armed].filter(index => !this.#restored.has(index));
    const outcome = new Map(left.length > 0 ? await this.#finish(left) : []);
    for (const [index, status] of this.#restored)
      outcome.set(index, failureOf((this.#plan.stoppables[index] as Stoppable).restore, status));
    return outcome;
  }

  #finish(left: readonly number[]): Promise<ReadonlyMap<number, string | undefined>> {
    const other = HoldSupervisor.start({...this.#plan, milliseconds: FINISHING});
    for (const index of left) other.#order(ORDER.adopt, index);
    return other.release();
  }

  #order(kind: number, index: number): void {
    check(native.sendOrder(this.#raw.channel, kind, index), 'send', 'the supervisor of the hold');
    this.#armed.add(index);
  }

  /** Waits until something is known. Rejects when the supervisor ends before. */
  async #news(known: () => number | undefined, signal: AbortSignal): Promise<number> {
    const any = AbortSignal.any([signal, this.signal]);
    for (;;) {
      const status = known();
      if (status !== undefined) return status;
      any.throwIfAborted();
      await new Promise<void>(resolve => {
        this.#wake = resolve;
        any.addEventListener('abort', () => resolve(), {once: true});
      });
    }
  }

  /** Takes in what it has told. */
  #hear(): void {
    for (;;) {
      const news = native.receiveNews(this.#raw.channel);
      if (news === EAGAIN) break;
      if (typeof news !== 'object') {
        this.#end();
        break;
      }
      this.#take(news);
    }
    this.#wake?.();
  }

  #take({kind, index, status}: RawNews): void {
    if (kind === NEWS.stopped) this.#stopped.set(index, status);
    else if (kind === NEWS.restored) this.#restored.set(index, status);
    else {
      if (status < 0) this.#fenceError = status;
      this.#end();
    }
  }

  #end(): void {
    this.#over = true;
    this.#watch.close();
    if (!this.#released && !this.#ended.signal.aborted)
      this.#ended.abort(new DOMException('the supervisor has ended the hold', 'TimeoutError'));
  }
}
