/** How does an owner show that it lives and gets on? By beats to the daemon; without a daemon it goes on all the same. */
import {isLockError} from '../errors.js';
import type {OwnedConfig} from '../lock/owned-config.js';
import type {DaemonClient} from './client.js';

export interface HeartbeatOptions {
  /** Milliseconds from beat to beat. */
  readonly every: number;
  /** Milliseconds in which the progress will have grown; by default ten beats. */
  readonly progressEvery?: number | undefined;
  /** Hears once of what keeps the beats from being taken, and again after one was. */
  readonly onTrouble?: (error: unknown) => void;
}

/** The beats of one acquisition, until it is disposed. Keeps no process alive. */
export class Heartbeat implements Disposable {
  readonly #client: DaemonClient;
  readonly #owned: OwnedConfig;
  readonly #options: HeartbeatOptions;
  readonly #timer: NodeJS.Timeout;
  #progress = 0;
  #beating = false;
  #troubled = false;

  constructor(client: DaemonClient, owned: OwnedConfig, options: HeartbeatOptions) {
    this.#client = client;
    this.#owned = owned;
    this.#options = options;
    this.#timer = setInterval(() => void this.#beat(), options.every).unref();
    void this.#beat();
  }

  /** It got further. Says nothing yet: the next beat does. */
  progress(): void {
    this.#progress++;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  /** Never rejects. A beat that takes longer than the next is due for is not overtaken. */
  async #beat(): Promise<void> {
    const {name, epoch, released} = this.#owned;
    if (released) return this[Symbol.dispose]();
    if (this.#beating) return;
    this.#beating = true;
    try {
      const {every, progressEvery} = this.#options;
      await this.#client.beat(name, {
        epoch,
        every,
        progress: this.#progress,
        ...(progressEvery !== undefined && {progressEvery}),
      });
      this.#troubled = false;
    } catch (error) {
      // A daemon that is restarted hears of us by the next beat.
      if (!this.#troubled && !(isLockError(error, 'ERR_NO_DAEMON') && this.#owned.released))
        this.#options.onTrouble?.(error);
      this.#troubled = true;
    } finally {
      this.#beating = false;
    }
  }
}
