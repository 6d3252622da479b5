/** What does a history consist of? One line for each event, and what may be concluded from the order of lines. */
import type {LockEvent} from '../../../lib/os/events.js';

/** Who did what to which lock, and when. */
export interface Mark {
  /** Directory, device and inode of the lock's guard. */
  readonly lock: string;
  /** One incarnation of a process: pid, and a random word. */
  readonly by: string;
  /** Of that process; 0 is its main thread. */
  readonly thread: number;
  /** CLOCK_MONOTONIC in nanoseconds. */
  readonly clock: number;
}

/** A test changes the lock's files by hand: from here on, nothing follows from what its history says. */
export interface Disturbed {
  readonly event: 'disturbed';
}

/**
 * Names in -ing are written before the effect, all others after it. So of two processes only this follows from the order
 * of lines: where A's line *after* an effect stands above B's line *before* another, A's effect came first. Lines of one
 * thread stand in the order of what it did. A process that writes a line lives.
 */
export type Line = (LockEvent | Disturbed) & Mark;

export type EventName = Line['event'];

/** A line of one event, and where it stands, from 1 on. */
export type Numbered<Name extends EventName = EventName> = Line & {
  readonly event: Name;
  readonly number: number;
};
