/** What does a crowd say of itself? See crowd.ts. */

/** While all wait, above what was before they asked. */
export interface Looked {
  readonly threads: number;
  /** MB. */
  readonly memory: number;
  /** Milliseconds that reading another file took at most; missing when a read did not come back. */
  readonly longestRead?: number | undefined;
}

export interface Drained {
  /** How many had their lock and gave it back. */
  readonly served: number;
  /** When the last one did, nanoseconds of CLOCK_MONOTONIC. */
  readonly last: string;
  readonly longestRead: number | null;
  /** Why somebody got none. */
  readonly error?: string | undefined;
}
