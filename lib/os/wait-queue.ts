/** Whose turn is it within this process? One queue for each file or lock: first come, first served, one thread at a time. */

/** Bytes `start` to `start + length`; length 0 reaches to the end of the file, however long it grows. */
export interface Range {
  readonly start: number;
  readonly length: number;
}

/** A request to lock a range of what the key names. */
export interface Turn {
  readonly key: string;
  readonly shared: boolean;
  readonly range: Range;
  readonly signal: AbortSignal | undefined;
}

/** Somebody in a queue. */
interface Entry {
  readonly turn: Turn;
  /** Neighbours in the queue. */
  earlier: Entry | undefined;
  later: Entry | undefined;
  /** The last of those before it that it conflicts with, and so waits for. */
  obstacle: Entry | undefined;
  /** Whose obstacle this is. */
  waiting: Set<Entry> | undefined;
  start: () => void;
}

/** First come, first served. Whoever conflicts with nobody before him acts, and stays in it until he has done. */
class Queue {
  #last: Entry | undefined;

  get empty(): boolean {
    return this.#last === undefined;
  }

  /** Adds an entry; true when nobody is in its way. */
  add(entry: Entry): boolean {
    entry.earlier = this.#last;
    if (this.#last) this.#last.later = entry;
    this.#last = entry;
    return !waitFor(entry, entry.earlier);
  }

  /** Removes an entry. Those that it kept waiting look for another obstacle, or start. */
  remove(entry: Entry): void {
    const {earlier, later} = entry;
    if (earlier) earlier.later = later;
    if (later) later.earlier = earlier;
    else this.#last = earlier;
    entry.obstacle?.waiting?.delete(entry);
    for (const next of entry.waiting ?? []) if (!waitFor(next, earlier)) startSoon(next);
  }
}

function overlap(a: Range, b: Range): boolean {
  const endA = a.length === 0 ? Number.POSITIVE_INFINITY : a.start + a.length;
  const endB = b.length === 0 ? Number.POSITIVE_INFINITY : b.start + b.length;
  return a.start < endB && b.start < endA;
}

function inTheWay(earlier: Turn, later: Turn): boolean {
  return !(earlier.shared && later.shared) && overlap(earlier.range, later.range);
}

function sameRange(a: Turn, b: Turn): boolean {
  return a.range.start === b.range.start && a.range.length === b.range.length;
}

/** Looks for the last obstacle from `before` on backwards; false when there is none. */
function waitFor(entry: Entry, before: Entry | undefined): boolean {
  let other = before;
  // Two of one range that are not in each other's way both share it: then the same are in the way of both, and were looked for before.
  while (other && !inTheWay(other.turn, entry.turn))
    other = sameRange(other.turn, entry.turn) ? other.obstacle : other.earlier;
  entry.obstacle = other;
  if (other) (other.waiting ??= new Set()).add(entry);
  return other !== undefined;
}

/**
 * Whoever has just been served goes on first. Most give the lock back at once, and then the next needs no thread to wait for
 * it. Other events of the loop come in between.
 */
function startSoon(entry: Entry): void {
  setImmediate(() => entry.start());
}

/** Resolves when an entry is started; rejects with signal.reason when aborted before. */
function turnOf(entry: Entry): Promise<void> {
  const {signal} = entry.turn;
  return new Promise((resolve, reject) => {
    const aborted = () => reject(signal?.reason as Error);
    entry.start = () => {
      signal?.removeEventListener('abort', aborted);
      resolve();
    };
    signal?.addEventListener('abort', aborted, {once: true});
  });
}

/** The queues for things of one sort, by their keys. */
export class WaitQueues {
  readonly #queues = new Map<string, Queue>();

  /** True when nobody of this process waits for any of them. */
  get empty(): boolean {
    return this.#queues.size === 0;
  }

  /** True when somebody of this process waits for that one already. */
  has(key: string): boolean {
    return this.#queues.has(key);
  }

  /** Runs `act` when no earlier conflicting request of this process waits. Rejects with signal.reason when aborted before. */
  async enqueue<T>(turn: Turn, act: () => Promise<T>): Promise<T> {
    turn.signal?.throwIfAborted();
    const queue = this.#queues.get(turn.key) ?? new Queue();
    this.#queues.set(turn.key, queue);
    const entry: Entry = {
      turn,
      earlier: undefined,
      later: undefined,
      obstacle: undefined,
      waiting: undefined,
      start: () => undefined,
    };
    const free = queue.add(entry);
    try {
      if (!free) await turnOf(entry);
      return await act();
    } finally {
      queue.remove(entry);
      if (queue.empty) this.#queues.delete(turn.key);
    }
  }
}
