/** Is a hold that the daemon keeps for us still in force? As the clock says, and as the daemon tells. */
import {setTimeout as pause} from 'node:timers/promises';
import type {HoldRequest} from '../daemon/api.js';
import {type DaemonClient, type Failure, type RemoteHold, toError} from '../daemon/client.js';
import {isLockError, LockError} from '../errors.js';
import {Deadline, monotonic} from '../os/deadline.js';
import type {Hold} from '../recovery/hold.js';
import {showDuration} from './units.js';
import {askStatus, isSilent, PATIENCE} from './reach.js';

/** What a command needs of a hold, whoever keeps it. */
export interface KeptHold
  extends AsyncDisposable,
    Pick<Hold, 'acknowledgedAfter' | 'acknowledgements' | 'signal' | 'remaining' | 'inForce' | 'release'> {
  /** Why it ended before its time; undefined: there is only one reason. */
  readonly cutShort?: string | undefined;
}

/** How it ended, as the daemon told. */
interface End {
  readonly why: string | undefined;
  /** What does not go on that it had stopped. */
  readonly failure?: Error;
}

const GONE: End = {why: 'because the daemon has ended'};

/** It was over when we listened again. */
const UNTOLD: End = {why: 'because the daemon has ended it'};

/** What is told of a hold's end, in the words of the command. */
const WHY: Readonly<Record<string, End['why']>> = {
  released: 'because somebody else has ended it',
  'the daemon ends': GONE.why,
};

function endOf({why, error}: Readonly<Record<string, unknown>>): End {
  const failure = error === undefined ? {} : {failure: toError({error} as Failure)};
  return {why: WHY[String(why)], ...failure};
}

/** Since when is it asked for, and how is its end heard of? */
interface Listening {
  readonly asked: number;
  readonly events: ReturnType<DaemonClient['events']>;
  readonly done: AbortController;
}

/** A hold that the daemon granted; it ends with this process. */
export class HoldThere implements KeptHold {
  readonly #client: DaemonClient;
  readonly #hold: RemoteHold;
  readonly #deadline: Deadline;
  readonly #over = new AbortController();
  /** Ends the listening. */
  readonly #done: AbortController;
  readonly #told: Promise<End>;
  #cutShort: End['why'];
  #released = false;
  readonly acknowledgedAfter: number;
  readonly acknowledgements: KeptHold['acknowledgements'];
  readonly signal: AbortSignal;

  private constructor(client: DaemonClient, hold: RemoteHold, {asked, events, done}: Listening) {
    this.#client = client;
    this.#done = done;
    this.#hold = hold;
    const {acknowledgedAfter, acknowledgements, remaining} = hold.granted;
    this.acknowledgedAfter = acknowledgedAfter;
    this.acknowledgements = acknowledgements;
    // Counted from when we asked: never longer than the daemon's own count.
    const bound = acknowledgedAfter + remaining;
    this.#deadline = new Deadline(Math.max(0, asked + bound - monotonic()));
    this.signal = AbortSignal.any([this.#deadline.signal, this.#over.signal]);
    this.#told = this.#listen(events).then(end => {
      this.#cutShort = end.why;
      this.#over.abort();
      return end;
    });
    // Asked for by release; nobody asks when we end before.
    this.#told.catch(() => undefined);
  }

  /** Rejects as GuardedConfig.hold does. */
  static async ask(client: DaemonClient, wanted: HoldRequest, signal: AbortSignal): Promise<HoldThere> {
    const done = new AbortController();
    const leave = () => done.abort(signal.reason);
    signal.addEventListener('abort', leave, {once: true});
    const events = client.events({signal: done.signal});
    try {
      // Listening first: it may end as soon as it is granted.
      await events.next();
      const asked = monotonic();
      const hold = await client.hold(wanted, {signal});
      return new HoldThere(client, hold, {asked, events, done});
    } catch (error) {
      done.abort();
      throw error;
    } finally {
      signal.removeEventListener('abort', leave);
    }
  }

  get cutShort(): End['why'] {
    return this.#cutShort;
  }

  remaining(): number {
    return this.#released ? 0 : this.#deadline.remaining();
  }

  inForce(): boolean {
    return !this.#released && !this.signal.aborted && !this.#deadline.expired;
  }

  /** Lets everybody go on. Rejects with ERR_RESTORE_FAILED, and with ERR_NO_DAEMON when the daemon keeps silent before the hold's time is over. */
  async release(): Promise<void> {
    if (this.#released) return;
    this.#released = true;
    try {
      await Promise.race([this.#end(), this.#silence()]);
    } finally {
      this.#deadline.cancel();
      this.#done.abort();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release();
  }

  async #end(): Promise<void> {
    try {
      await this.#hold.release();
    } catch (error) {
      if (!isLockError(error, 'ERR_UNKNOWN_HOLD') && !isLockError(error, 'ERR_NO_DAEMON')) throw error;
      const {failure} = await this.#told;
      if (failure) throw failure;
    }
  }

  /** Resolves when a daemon that is stopped no longer matters, as the hold's supervisor ended it in time; rejects when it does. Else never. */
  async #silence(): Promise<void> {
    const {signal} = this.#done;
    for (;;) {
      await pause(PATIENCE, undefined, {signal});
      try {
        await askStatus(this.#client);
      } catch (error) {
        if (this.#deadline.expired) return;
        if (!isSilent(error)) continue;
        const rest = `${(error as Error).message}; the hold on ${this.#hold.granted.lock} ends by itself in ${showDuration(this.#deadline.remaining())}`;
        throw new LockError('ERR_NO_DAEMON', rest, {path: this.#client.socket});
      }
    }
  }

  /** How the hold ended, unless we did it. Whoever is cut off, as he did not keep up, listens again. */
  async #listen(first: Listening['events']): Promise<End> {
    const {signal} = this.#done;
    for (let events = first; ; events = this.#client.events({signal})) {
      try {
        for await (const {event, data} of events) {
          if (event === 'hello' && !(await this.#stands())) return UNTOLD;
          if (event === 'hold-ended' && data['id'] === this.#hold.granted.id) return endOf(data);
        }
      } catch (error) {
        signal.throwIfAborted();
        if (!isLockError(error, 'ERR_NO_DAEMON')) throw error;
      }
      if (!(await this.#stands())) return GONE;
    }
  }

  /** The daemon keeps it. */
  async #stands(): Promise<boolean> {
    const {signal} = this.#done;
    try {
      const holds = await this.#client.holds({signal});
      return holds.some(({id}) => id === this.#hold.granted.id);
    } catch (error) {
      if (isLockError(error, 'ERR_NO_DAEMON')) return false;
      throw error;
    }
  }
}
