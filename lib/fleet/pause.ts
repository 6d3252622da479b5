/** How does one wait a while that somebody may cut short? */
import {setTimeout as sleep} from 'node:timers/promises';

/** The longest that a timer of Node takes, in milliseconds; a longer one would ring at once. */
const LONGEST = 2 ** 31 - 1;

/** Resolves after so many milliseconds, at most 24 days. Rejects with signal.reason. */
export async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  await sleep(Math.min(LONGEST, milliseconds), undefined, {signal}).catch(() => signal.throwIfAborted());
}

/** What an operation gives, unless the signal comes first: then rejects with its reason, and nobody hears how it came out. */
export function unlessAborted<T>(operation: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason as Error);
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, {once: true});
    operation.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
