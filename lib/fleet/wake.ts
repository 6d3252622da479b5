/** When is there something new to look at? What happens while somebody looks is not lost, and counts once. */

export interface Waiting {
  /** Milliseconds after which to look in any case. */
  readonly after?: number | undefined;
  /** Ends the wait; it rejects with its reason. */
  readonly signal?: AbortSignal | undefined;
}

/** Longer than setTimeout takes. */
const LONGEST = 2 ** 31 - 1;

export class Wake {
  #awake = false;
  #resolve: (() => void) | undefined;

  wake(): void {
    this.#awake = true;
    this.#resolve?.();
  }

  /** Resolves at once when something has happened since the last time. For one who waits. */
  async next({after, signal}: Waiting = {}): Promise<void> {
    signal?.throwIfAborted();
    if (!this.#awake) await this.#wait(after, signal);
    this.#awake = false;
  }

  #wait(after: number | undefined, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer =
        after === undefined ? undefined : setTimeout(() => end(resolve), Math.min(after, LONGEST));
      const onAbort = () => end(() => reject(signal?.reason as Error));
      const end = (settle: () => void) => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
        this.#resolve = undefined;
        settle();
      };
      this.#resolve = () => end(resolve);
      signal?.addEventListener('abort', onAbort, {once: true});
    });
  }
}
