/** How long still? A bound on the monotonic clock that aborts a signal when it is over. */
import {performance} from 'node:perf_hooks';

/** Milliseconds on the monotonic clock. */
export function monotonic(): number {
  return performance.now();
}

/** A point in time. `signal` aborts there, or when the outer signal does. `cancel` when it is no longer needed. */
export class Deadline {
  readonly at: number;
  readonly signal: AbortSignal;
  readonly #controller = new AbortController();
  readonly #timer: NodeJS.Timeout;
  readonly #outer: AbortSignal | undefined;
  readonly #follow: () => void;
  #rang = false;

  constructor(milliseconds: number, outer?: AbortSignal) {
    this.at = monotonic() + milliseconds;
    this.signal = this.#controller.signal;
    this.#timer = setTimeout(() => {
      this.#rang = true;
      this.#controller.abort(new DOMException('the time is over', 'TimeoutError'));
    }, milliseconds);
    this.#outer = outer;
    this.#follow = () => this.#controller.abort(outer?.reason);
    if (outer?.aborted) this.#follow();
    else outer?.addEventListener('abort', this.#follow, {once: true});
  }

  remaining(): number {
    return Math.max(0, this.at - monotonic());
  }

  /** True when the time is over; false when only the outer signal has ended it. A timer may ring a little early. */
  get expired(): boolean {
    return this.#rang || this.remaining() === 0;
  }

  cancel(): void {
    clearTimeout(this.#timer);
    this.#outer?.removeEventListener('abort', this.#follow);
  }

  [Symbol.dispose](): void {
    this.cancel();
  }
}
