/** What if the store does not answer? Then it is asked again until it does; nothing on this node depends on it meanwhile. */
import {randomInt} from 'node:crypto';
import {isLockError} from '../errors.js';
import type {NodeParts} from './node.js';
import {pause} from './pause.js';

/** Errors that say nothing of the request: it may well be done later. */
const PASSING = [
  'ERR_STORE_UNREACHABLE',
  'ERR_STORE_FULL',
  'ERR_SESSION_LOST',
  'ERR_OUTCOME_UNKNOWN',
] as const;

/** Before it is asked again, in milliseconds: at random, so that a fleet does not come back in one moment. */
const SHORTEST = 100;
const LONGEST = 5000;

export function isPassing(error: unknown): boolean {
  return PASSING.some(code => isLockError(error, code));
}

/** How long until the next attempt: longer each time. */
export function backOff(attempt: number): number {
  return randomInt(SHORTEST, Math.min(LONGEST, SHORTEST * 2 ** (attempt + 1)) + 1);
}

/** What an idempotent operation gives as soon as the store answers. Rejects as it does for all else, and with signal.reason. */
export async function untilReached<T>(
  {tell, signal: ends}: Pick<NodeParts, 'tell' | 'signal'>,
  operation: () => Promise<T>,
  signal: AbortSignal = ends,
): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    signal.throwIfAborted();
    try {
      return await operation();
    } catch (error) {
      if (!isPassing(error)) throw error;
      if (attempt === 0) tell({event: 'store-away', reason: (error as Error).message});
      await pause(backOff(Math.min(attempt, 10)), signal);
    }
  }
}
