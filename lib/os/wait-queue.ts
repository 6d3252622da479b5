/** Whose turn is it within this process? One queue for each file: first come, first served, one thread at a time. */

/** Bytes `start` to `start + length`; length 0 reaches to the end of the file, however long it grows. */
export interface Range {
  readonly start: number;
  readonly length: number;
}

/** A request to lock a range of a file. */
export interface Turn {
  readonly key: string;
  readonly shared: boolean;
  readonly range: Range;
  readonly signal: AbortSignal | undefined;
}

interface Entry {
  readonly turn: Turn;
  started: boolean;
  start(): void;
}

const queues = new Map<string, Set<Entry>>();

function overlap(a: Range, b: Range): boolean {
  const endA = a.length === 0 ? Number.POSITIVE_INFINITY : a.start + a.length;
  const endB = b.length === 0 ? Number.POSITIVE_INFINITY : b.start + b.length;
  return a.start < endB && b.start < endA;
}

function inTheWay(earlier: Turn, later: Turn): boolean {
  return !(earlier.shared && later.shared) && overlap(earlier.range, later.range);
}

/** Starts every entry that has no conflicting entry before it. */
function advance(queue: Set<Entry>): void {
  const before: Turn[] = [];
  for (const entry of queue) {
    if (!entry.started && !before.some(turn => inTheWay(turn, entry.turn))) {
      entry.started = true;
      entry.start();
    }
    before.push(entry.turn);
  }
}

/** True when somebody of this process waits for any file. */
export function anyQueued(): boolean {
  return queues.size > 0;
}

/** True when somebody of this process waits for that file already. */
export function isQueued(key: string): boolean {
  return queues.has(key);
}

/** Runs `act` when no earlier conflicting request of this process waits. Rejects with signal.reason when aborted before. */
export async function enqueue<T>(turn: Turn, act: () => Promise<T>): Promise<T> {
  turn.signal?.throwIfAborted();
  const queue = queues.get(turn.key) ?? new Set<Entry>();
  queues.set(turn.key, queue);
  const leave = (entry: Entry) => {
    queue.delete(entry);
    if (queue.size === 0) queues.delete(turn.key);
    else advance(queue);
  };
  let entry: Entry | undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      const aborted = () => reject(turn.signal?.reason as Error);
      const start = () => {
        turn.signal?.removeEventListener('abort', aborted);
        resolve();
      };
      entry = {turn, started: false, start};
      queue.add(entry);
      turn.signal?.addEventListener('abort', aborted, {once: true});
      advance(queue);
    });
    return await act();
  } finally {
    if (entry) leave(entry);
  }
}
