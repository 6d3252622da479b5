/** What is stored below our prefix, and how does etcd say it? */

/** One key as it was read. */
export interface KeyValue {
  /** Without the prefix of the fleet. */
  readonly key: string;
  readonly value: Buffer;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly version: number;
  /** Its lease; '0' when it has none. */
  readonly lease: string;
}
