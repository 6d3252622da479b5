/** What does a test of failing calls tell fixtures/injected.ts, and what does it hear? */
import type {Scratch} from '../scratch.js';

export type Operation = 'update' | 'recover' | 'break-glass' | 'hold';

export interface Task extends Pick<Scratch, 'file' | 'roots'> {
  readonly operation: Operation;
  /** For an update. */
  readonly content: string;
  /** Bound of the hold in milliseconds. */
  readonly hold: number;
  /** For break-glass: whom it is meant for. */
  readonly force?: {readonly owner: number; readonly epoch: number} | undefined;
}

/** What a process has open and started. */
export interface Left {
  /** What its descriptors lead to, sorted. */
  readonly descriptors: readonly string[];
  readonly children: readonly string[];
  readonly timers: number;
}

export interface Report {
  readonly outcome:
    | {readonly done: true}
    | {
        readonly done: false;
        readonly name: string;
        readonly code: string | undefined;
        readonly message: string;
        readonly stack: string;
      };
  readonly before: Left;
  readonly after: Left;
  /** Rejections that nobody handled. */
  readonly strays: readonly string[];
}
