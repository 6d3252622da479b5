/** Which owners say that they live and get on, and which of them are late? Late is SUSPECT: to be seen, never a reason to take anything away. */
import {readFileSync, renameSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {LockError} from '../errors.js';
import {monotonic} from '../os/deadline.js';
import type {Peer} from '../os/peer.js';
import {hasCode} from '../os/system-error.js';
import type {BeatRequest, Liveness} from './api.js';
import type {Tell} from './events.js';
import type {WatchedLock} from './watched-lock.js';

/** So many beats may be missed: one may be lost with a daemon that was restarted. */
const PATIENCE = 2.5;

/** What is kept in RUN, so that a daemon that comes later misses what the old one would have missed. */
interface Kept {
  readonly epoch: number;
  readonly every: number;
  readonly progressEvery: number;
}

/** One owner that has registered by its first beat. Times are of the monotonic clock. */
interface Beating extends Kept {
  readonly lock: WatchedLock;
  beat: number;
  progress: number | undefined;
  progressed: number;
  suspect: Liveness['suspect'];
  timer: NodeJS.Timeout | undefined;
}

function keptPath({config}: WatchedLock): string {
  return join(config.paths.directory, 'heartbeat');
}

function readKept(lock: WatchedLock): Kept | undefined {
  try {
    return JSON.parse(readFileSync(keptPath(lock), 'utf8')) as Kept;
  } catch (error) {
    if (hasCode(error, 'ENOENT') || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function keep(lock: WatchedLock, kept: Kept): void {
  const path = keptPath(lock);
  writeFileSync(`${path}.new`, JSON.stringify(kept));
  renameSync(`${path}.new`, path);
}

/** All of them, by their locks. */
export class Heartbeats {
  readonly #tell: Tell;
  readonly #beating = new Map<string, Beating>();

  constructor(tell: Tell) {
    this.#tell = tell;
  }

  /**
   * An owner says that it lives, and how far it got; the first time it registers by that. Throws ERR_NOT_PERMITTED for anybody but the owner
   * on record, by the kernel's word, and ERR_OWNER_CHANGED for another epoch.
   */
  beat(
    lock: WatchedLock,
    {epoch, every, progress, progressEvery = 10 * every}: BeatRequest,
    peer: Peer,
  ): void {
    lock.look();
    const owner = lock.glance?.bit === 1 ? lock.glance.owner : null;
    if (!owner || lock.glance?.epoch !== epoch)
      throw new LockError('ERR_OWNER_CHANGED', `nobody owns ${lock.name} at epoch ${epoch}`, {
        lock: lock.name,
        epoch,
      });
    if (peer.identity !== owner.identity)
      throw new LockError(
        'ERR_NOT_PERMITTED',
        `pid ${peer.pid} is not the owner of ${lock.name}, which is pid ${owner.pid}`,
        {
          lock: lock.name,
        },
      );
    const known = this.#current(lock);
    const same = known?.every === every && known.progressEvery === progressEvery;
    const beating = known && same ? known : this.#register(lock, {epoch, every, progressEvery});
    beating.beat = monotonic();
    if (beating.progress === undefined || progress > beating.progress) beating.progressed = beating.beat;
    beating.progress = progress;
    this.#judge(beating);
  }

  /** What the daemon before this one knew. */
  adopt(lock: WatchedLock): void {
    const kept = this.#beating.has(lock.name) ? undefined : readKept(lock);
    if (kept && lock.glance?.bit === 1 && lock.glance.epoch === kept.epoch)
      this.#judge(this.#register(lock, kept));
  }

  /** Of the owner of now; null when it has not registered. */
  of(lock: WatchedLock): Liveness | null {
    const beating = this.#current(lock);
    if (!beating) return null;
    const now = monotonic();
    return {heartbeat: now - beating.beat, progress: now - beating.progressed, suspect: beating.suspect};
  }

  /** It is another owner's by now, or gone. */
  forget(name: string): void {
    clearTimeout(this.#beating.get(name)?.timer);
    this.#beating.delete(name);
  }

  /** Of all who have registered. */
  all(): Liveness[] {
    return [...this.#beating.values()].flatMap(({lock}) => this.of(lock) ?? []);
  }

  end(): void {
    for (const name of this.#beating.keys()) this.forget(name);
  }

  #current({name, glance}: WatchedLock): Beating | undefined {
    const beating = this.#beating.get(name);
    if (!beating) return undefined;
    if (glance?.bit === 1 && glance.epoch === beating.epoch) return beating;
    this.forget(name);
    return undefined;
  }

  #register(lock: WatchedLock, kept: Kept): Beating {
    this.forget(lock.name);
    keep(lock, kept);
    const now = monotonic();
    const beating: Beating = {
      ...kept,
      lock,
      beat: now,
      progress: undefined,
      progressed: now,
      suspect: null,
      timer: undefined,
    };
    this.#beating.set(lock.name, beating);
    return beating;
  }

  /** Now, and again when the next thing would be late. */
  #judge(beating: Beating): void {
    if (this.#current(beating.lock) !== beating) return;
    const now = monotonic();
    const due = {
      heartbeat: beating.beat + PATIENCE * beating.every,
      progress: beating.progressed + beating.progressEvery,
    };
    const late = now >= due.heartbeat ? 'heartbeat' : now >= due.progress ? 'progress' : null;
    if (late !== beating.suspect) {
      beating.suspect = late;
      this.#tell({event: 'suspect', lock: beating.lock.name, late});
    }
    clearTimeout(beating.timer);
    const next = Math.min(...Object.values(due).filter(time => time > now));
    if (next < Number.POSITIVE_INFINITY)
      beating.timer = setTimeout(() => this.#judge(beating), Math.ceil(next - now)).unref();
  }
}
