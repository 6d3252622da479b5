/** What is below a prefix now? A copy in memory that follows the store, through any break. */
import {setTimeout as pause} from 'node:timers/promises';
import {LockError} from '../../errors.js';
import {monotonic} from '../../os/deadline.js';
import type {Member} from './channels.js';
import {backOff, type Connection} from './connection.js';
import {MemberFailed} from './failure.js';
import type {KeySpace, KeyValue} from './key-value.js';
import {type Listing, listing} from './listing.js';
import {type Header, RANGE, type WatchAnswer} from './protocol.js';
import {Compacted, watch} from './watch.js';

/** What became of a key. */
export interface Change {
  readonly key: string;
  /** Undefined: it was deleted. */
  readonly value: KeyValue | undefined;
  /** Undefined: it was not there. */
  readonly before: KeyValue | undefined;
}

/** Is the copy followed, and if not, why? */
export interface Standing {
  readonly current: boolean;
  readonly why?: string | undefined;
}

/** What they throw is thrown as an uncaught exception; the mirror goes on. */
export interface Following {
  /** One call for each answer of the store, changes in their order; `entries` have them already. What was there at first is only in `entries`. */
  readonly onChanges: (changes: readonly Change[], revision: number) => void;
  /** When it is cut off, and when it follows again: what was missed comes right then. It follows at first. */
  readonly onStanding?: ((standing: Standing) => void) | undefined;
  /** Closes the mirror. */
  readonly signal?: AbortSignal | undefined;
}

/** A member may serve a watch and hear of nothing new: its disk hangs, say. So it is asked, this often, jittered. */
const PROBE = 10_000;

/** A watch that has lasted so long did not fail at once. */
const LASTED = 5000;

/** A copy of all below a prefix. */
export class Mirror implements Disposable {
  readonly #connection: Connection;
  readonly #keys: KeySpace;
  readonly #prefix: string;
  readonly #following: Following;
  readonly #onClose: (mirror: Mirror) => void;
  readonly #entries = new Map<string, KeyValue>();
  /** Ends what runs now. */
  #attempt = new AbortController();
  #closed = false;
  /** Our revision is not kept any more. */
  #compacted = false;
  /** What the store said of itself when it was last read, to notice that it is another one. */
  #store: Header;
  #revision: number;
  #current = true;
  #failures = 0;

  private constructor(
    connection: Connection,
    keys: KeySpace,
    prefix: string,
    following: Following,
    onClose: (mirror: Mirror) => void,
    first: Listing,
  ) {
    this.#connection = connection;
    this.#keys = keys;
    this.#prefix = prefix;
    this.#following = following;
    this.#onClose = onClose;
    this.#store = first.header;
    this.#revision = first.revision;
    for (const item of first.items) this.#entries.set(item.key, item);
    following.signal?.addEventListener('abort', this.#close);
    if (following.signal?.aborted) this.close();
    void this.#run();
  }

  /** Through `Etcd.mirror`. */
  static async begin(
    connection: Connection,
    keys: KeySpace,
    prefix: string,
    following: Following,
    onClose: (mirror: Mirror) => void,
  ): Promise<Mirror> {
    const first = await listing(connection, keys, prefix, following.signal);
    return new Mirror(connection, keys, prefix, following, onClose, first);
  }

  get entries(): ReadonlyMap<string, KeyValue> {
    return this.#entries;
  }

  /** All that was done below the prefix up to this revision is in `entries`. */
  get revision(): number {
    return this.#revision;
  }

  /** False: cut off from the store, or closed. */
  get current(): boolean {
    return this.#current;
  }

  /** Tells nothing more. */
  close(): void {
    this.#following.signal?.removeEventListener('abort', this.#close);
    this.#closed = true;
    this.#current = false;
    this.#attempt.abort();
    this.#onClose(this);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  readonly #close = () => this.close();

  async #run(): Promise<void> {
    while (!this.#closed) {
      const begun = monotonic();
      this.#attempt = new AbortController();
      const failure = await this.#follow(this.#connection.member, this.#attempt).catch(
        (error: unknown) => error,
      );
      if (!this.#closed) await this.#broken(failure, monotonic() - begun);
    }
  }

  /** Until the watch breaks. */
  async #follow(member: Member, attempt: AbortController): Promise<never> {
    const same = await this.#isSame(member, attempt.signal);
    if (!same || this.#compacted) await this.#readAgain(attempt.signal);
    const watched = {...this.#keys.toRange(this.#prefix), startRevision: this.#revision + 1};
    this.#probe(member, attempt.signal).catch((failure: unknown) => attempt.abort(failure));
    try {
      for await (const answer of watch(this.#connection, member, watched, attempt)) {
        this.#stand({current: true});
        if (!answer.created) this.#take(answer);
      }
      throw new Error('a watch ends only by a failure');
    } finally {
      attempt.abort();
    }
  }

  /** Rejects when the watch of that member is worth nothing. */
  async #probe(member: Member, signal: AbortSignal): Promise<never> {
    for (;;) {
      await pause(PROBE * (0.75 + Math.random() / 2), undefined, {signal});
      if (!(await this.#isSame(member, signal)))
        throw new MemberFailed(member.endpoint, 'the store was restored');
    }
  }

  /** Asks that very member what is newest: it must be able to know, and the store must be the one that we follow. */
  async #isSame(member: Member, signal: AbortSignal): Promise<boolean> {
    const revision = this.#revision;
    const range = {key: this.#keys.toKey(this.#prefix)};
    const {header} = await this.#connection.attempt(RANGE, range, signal, member);
    const {clusterId, raftTerm} = this.#store;
    // A store that was restored from a backup begins with an early term, and may have passed our revision since.
    const isEarlier = Number(header.revision) < revision || Number(header.raftTerm) < Number(raftTerm);
    if (header.clusterId !== clusterId || isEarlier) return false;
    this.#store = header;
    return true;
  }

  async #broken(failure: unknown, lasted: number): Promise<void> {
    this.#attempt = new AbortController();
    if (failure instanceof MemberFailed) this.#connection.leave(failure);
    else if (failure instanceof Compacted) this.#compacted = true;
    else if (!(failure instanceof LockError)) throw failure;
    this.#stand({current: false, why: (failure as Error).message});
    if (lasted > LASTED) this.#failures = 0;
    const wait = backOff(this.#failures++);
    await pause(wait, undefined, {signal: this.#attempt.signal}).catch(() => undefined);
  }

  /** What an answer says that we do not know yet. */
  #take({events, header}: WatchAnswer): void {
    const changes: Change[] = [];
    const known = this.#revision;
    for (const {type, kv} of events) {
      const revision = Number(kv.modRevision);
      if (revision <= known) continue;
      // Not that of the header: more events up to that one may follow in the next answer.
      this.#revision = revision;
      changes.push(this.#change(this.#keys.nameOf(kv), type === 'PUT' ? this.#keys.read(kv) : undefined));
    }
    if (events.length === 0) this.#revision = Math.max(known, Number(header.revision));
    this.#tell(changes);
  }

  /** When what was missed can not be had any more: tells what is different now. */
  async #readAgain(signal: AbortSignal): Promise<void> {
    const {items, revision, header} = await listing(this.#connection, this.#keys, this.#prefix, signal);
    const there = new Set(items.map(({key}) => key));
    const gone = [...this.#entries.keys()].filter(key => !there.has(key));
    const different = items
      .filter(item => !isEqual(item, this.#entries.get(item.key)))
      .sort((a, b) => a.modRevision - b.modRevision);
    this.#compacted = false;
    this.#store = header;
    this.#revision = revision;
    this.#tell([
      ...gone.map(key => this.#change(key, undefined)),
      ...different.map(item => this.#change(item.key, item)),
    ]);
  }

  #change(key: string, value: KeyValue | undefined): Change {
    const before = this.#entries.get(key);
    if (value) this.#entries.set(key, value);
    else this.#entries.delete(key);
    return {key, value, before};
  }

  #tell(changes: readonly Change[]): void {
    if (changes.length > 0) uncaught(() => this.#following.onChanges(changes, this.#revision));
  }

  #stand(standing: Standing): void {
    if (standing.current === this.#current) return;
    this.#current = standing.current;
    uncaught(() => this.#following.onStanding?.(standing));
  }
}

/** A fault of a listener is not ours, and must not end the watch: it goes where uncaught exceptions go. */
function uncaught(listener: () => void): void {
  try {
    listener();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}

function isEqual(one: KeyValue, other: KeyValue | undefined): boolean {
  return (
    other !== undefined &&
    one.modRevision === other.modRevision &&
    one.createRevision === other.createRevision &&
    one.version === other.version &&
    one.lease === other.lease &&
    one.value.equals(other.value)
  );
}
