/**
 * What does Locksmith do just now? Each change of a lock, told before and after it happens: for metrics, tracing, and
 * the tests' histories. It costs next to nothing while nobody listens.
 */
import {channel} from 'node:diagnostics_channel';
import type {Identity} from './process.js';

/**
 * One event. Names in -ing come before the effect, which need not follow; all others come when it is there. Epochs are
 * fencing tokens.
 */
export type LockEvent =
  /** The bit is about to be set, with the guard in hand. */
  | {readonly event: 'acquiring'}
  | {readonly event: 'acquired'; readonly epoch: number; readonly identity: Identity}
  /** The new content is about to be renamed into its place. */
  | {readonly event: 'committing'; readonly epoch: number}
  | {readonly event: 'committed'; readonly epoch: number}
  /** The owner is about to clear the bit. */
  | {readonly event: 'releasing'; readonly epoch: number}
  | {readonly event: 'released'; readonly epoch: number}
  /** The owner found that somebody has taken the lock. */
  | {readonly event: 'fenced'; readonly epoch: number}
  /** A share of the gate is about to be taken, as a cycle or as an owner. */
  | {readonly event: 'entering'}
  | {readonly event: 'entered'}
  | {readonly event: 'leaving'}
  | {readonly event: 'hold-asked'}
  /** `remaining`: milliseconds until it ends by itself. `evicted`: shares of the gate that were taken from others. */
  | {readonly event: 'hold-acknowledged'; readonly remaining: number; readonly evicted: number}
  | {readonly event: 'hold-ending'}
  | {readonly event: 'examining'}
  | {
      readonly event: 'verdict';
      readonly state: string;
      readonly bit: 0 | 1 | null;
      readonly epoch: number | null;
      readonly identity: Identity | null;
      readonly complete: boolean;
    }
  /** The intent to take the lock back from the owner of that epoch is in the audit log, and on the disk. */
  | {readonly event: 'intent'; readonly epoch: number | null; readonly forced: boolean}
  | {readonly event: 'handing-over'; readonly from: number; readonly forced: boolean}
  | {
      readonly event: 'handed-over';
      readonly from: number;
      readonly epoch: number;
      readonly identity: Identity;
    }
  | {readonly event: 'cleaned'; readonly epoch: number; readonly outcome: string}
  /** Whoever takes the lock back is about to clear the bit. */
  | {readonly event: 'clearing'; readonly epoch: number}
  | {readonly event: 'cleared'; readonly epoch: number}
  | {readonly event: 'all-clear'; readonly epoch: number}
  /** An owner, or whoever took the lock back, is about to say that it lives, but goes no further. */
  | {readonly event: 'resigning'; readonly epoch: number};

/** What subscribers get; `lock` is the lock's directory, RUN/locks/NAME. */
export type Told = LockEvent & {readonly lock: string};

/** Name of the channel (node:diagnostics_channel). */
export const CHANNEL = 'locksmith';

const events = channel(CHANNEL);

/** Tells an event to whoever listens in this thread. */
export function tell(lock: string, event: LockEvent): void {
  if (events.hasSubscribers) events.publish({lock, ...event} satisfies Told);
}
