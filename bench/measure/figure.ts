/** What is a result of the bench? Figures of several subjects that were measured side by side, and what was hoped for. */

export type Unit = 'ns' | 'ms' | 'MB' | 'count' | 'per second';

/** What is hoped for, as a ratio of medians taken round by round. */
export interface Goal {
  readonly subject: string;
  /** Whom it is compared with; several: the best of them. */
  readonly against: readonly string[];
  /** Upper bound of subject / against. 1 / N says: at least N times faster. */
  readonly atMost: number;
}

/** A figure that stands for itself, because it has no yardstick: a delay, a count of threads. */
export interface Limit {
  readonly subject: string;
  readonly below: number;
}

/** One list for each subject: a figure a round, in one unit, all rounds interleaved. */
export interface Figure {
  readonly case: string;
  readonly title: string;
  readonly unit: Unit;
  /** What the ratios of the table are of. */
  readonly yardstick: string;
  readonly rows: ReadonlyMap<string, readonly number[]>;
  /** Who could not be measured, and why. */
  readonly absent: ReadonlyMap<string, string>;
  /** Who has no figure although all went well, and why: it is not installed, or did not come to an end, which is a result. */
  readonly excused?: ReadonlyMap<string, string>;
  readonly goals?: readonly Goal[];
  readonly limits?: readonly Limit[];
}

/** How much is done for each figure. */
export interface Effort {
  readonly rounds: number;
  /** How long one subject runs in a round, milliseconds. */
  readonly batch: number;
  /** For a look whether everything runs: less of everything that is counted. */
  readonly smoke: boolean;
}

/** One of the cases, by its letter. It gets a directory of its own, and how much is to be done. */
export interface Case {
  readonly letter: string;
  readonly title: string;
  run(directory: string, effort: Effort): Promise<Figure[]>;
}
