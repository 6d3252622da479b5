/** Which holds did somebody ask the daemon for? Each ends when he says so, when he dies, at its deadline, or with the daemon. */
import {randomUUID} from 'node:crypto';
import {LockError} from '../errors.js';
import type {Peer} from '../os/peer.js';
import type {System} from '../os/system.js';
import type {Hold} from '../recovery/hold.js';
import type {Settings} from '../recovery/policy/policy.js';
import {recoveryOptions} from '../recovery/policy/rules.js';
import type {HoldAnswer, HoldRequest} from './api.js';
import type {Tell} from './events.js';
import type {Guardian} from './guardian.js';
import type {WatchedLock} from './watched-lock.js';

/** One hold that was granted. */
interface Granted {
  readonly id: string;
  readonly hold: Hold;
  readonly reason: string;
  readonly by: Peer;
  readonly since: string;
  readonly watch: Disposable | undefined;
}

/** Why a hold ended, for those who listen. */
type End = 'released' | 'deadline' | 'its holder has ended' | 'the daemon ends';

function answerOf({id, hold, reason, by, since}: Granted): HoldAnswer {
  return {
    id,
    lock: hold.name,
    reason,
    by: {pid: by.pid, uid: by.uid},
    since,
    remaining: hold.remaining(),
    acknowledgedAfter: hold.acknowledgedAfter,
    acknowledgements: [...hold.acknowledgements],
  };
}

/** A connection counts only until then: one that idles is closed sooner or later, and the hold is its process's. */
async function untilGranted(gone: AbortSignal, ask: (waiting: AbortSignal) => Promise<Hold>): Promise<Hold> {
  const waiting = new AbortController();
  const leave = () => waiting.abort(gone.reason);
  if (gone.aborted) leave();
  gone.addEventListener('abort', leave, {once: true});
  try {
    const hold = await ask(waiting.signal);
    if (!gone.aborted) return hold;
    await hold.release();
    throw gone.reason;
  } finally {
    gone.removeEventListener('abort', leave);
  }
}

export class Holds {
  readonly #system: System;
  readonly #guardian: Pick<Guardian, 'deaths' | 'orchestrators'>;
  readonly #tell: Tell;
  readonly #granted = new Map<string, Granted>();

  constructor(system: System, guardian: Pick<Guardian, 'deaths' | 'orchestrators'>, tell: Tell) {
    this.#system = system;
    this.#guardian = guardian;
    this.#tell = tell;
  }

  list(): HoldAnswer[] {
    return [...this.#granted.values()].map(answerOf);
  }

  /** Rejects as GuardedConfig.hold does; `signal` is that of a peer who waits no longer. */
  async grant(
    {config}: WatchedLock,
    {for: asked, reason = ''}: HoldRequest,
    {by, settings, signal}: {readonly by: Peer; readonly settings: Settings; readonly signal: AbortSignal},
  ): Promise<HoldAnswer> {
    const {hold: bound, quiesce} = recoveryOptions({hold: asked}, settings);
    const {announce} = this.#guardian.orchestrators;
    const hold = await untilGranted(signal, waiting =>
      config.hold({for: bound, quiesce, signal: waiting, announce}),
    );
    const id = randomUUID();
    // Its holder may have ended while it was granted: then this tells at once.
    const watch = this.#guardian.deaths.watchPeer(by, () => void this.#end(id, 'its holder has ended'));
    const since = new Date(this.#system.now()).toISOString();
    const granted: Granted = {id, hold, reason, by, since, watch};
    this.#granted.set(id, granted);
    hold.signal.addEventListener('abort', () => void this.#end(id, 'deadline'), {once: true});
    this.#tell({event: 'hold-granted', lock: hold.name, hold: answerOf(granted)});
    return answerOf(granted);
  }

  /** Ends the hold of that id; only root and its holder's user may. Rejects with ERR_UNKNOWN_HOLD, ERR_NOT_PERMITTED, ERR_RESTORE_FAILED. */
  async release(id: string, by: Peer): Promise<void> {
    const granted = this.#granted.get(id);
    if (!granted) throw new LockError('ERR_UNKNOWN_HOLD', `no hold ${id} is in force`, {hold: id});
    if (by.uid !== 0 && by.uid !== granted.by.uid)
      throw new LockError(
        'ERR_NOT_PERMITTED',
        `only root or uid ${granted.by.uid} may end the hold ${id}; this is uid ${by.uid}`,
        {lock: granted.hold.name, hold: id},
      );
    const failure = await this.#end(id, 'released');
    if (failure) throw failure;
  }

  /** Ends them all. */
  async end(): Promise<void> {
    await Promise.all([...this.#granted.keys()].map(id => this.#end(id, 'the daemon ends')));
  }

  /** Gives what could not be restored. */
  async #end(id: string, why: End): Promise<Error | undefined> {
    const granted = this.#granted.get(id);
    if (!granted) return undefined;
    this.#granted.delete(id);
    granted.watch?.[Symbol.dispose]();
    const lock = granted.hold.name;
    try {
      await granted.hold.release();
      this.#tell({event: 'hold-ended', lock, id, why});
      return undefined;
    } catch (error) {
      this.#tell({event: 'hold-ended', lock, id, why, error});
      this.#tell({event: 'trouble', what: `the end of the hold on ${lock}`, error});
      return error as Error;
    }
  }
}
