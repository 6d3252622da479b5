/** What is below a prefix now? A copy in memory that follows the store, through any break. */
import type {KeyValue} from './key-value.js';

/** What became of a key. */
export interface Change {
  readonly key: string;
  /** Undefined: it was deleted. */
  readonly value: KeyValue | undefined;
  /** Undefined: it was not there. */
  readonly before: KeyValue | undefined;
}

/** Is the copy up to date, and if not, why? */
export interface Standing {
  readonly current: boolean;
  readonly why?: string | undefined;
}

export interface Following {
  /** One call for each answer of the store, changes in their order; `entries` have them already. What was there at first is only in `entries`. */
  readonly onChanges: (changes: readonly Change[], revision: number) => void;
  /** When it is cut off, and when it is current again. It is current at first. */
  readonly onStanding?: ((standing: Standing) => void) | undefined;
  /** Closes the mirror. */
  readonly signal?: AbortSignal | undefined;
}

/** A copy of all below a prefix. */
export class Mirror implements Disposable {
  readonly entries: ReadonlyMap<string, KeyValue> = new Map();

  get revision(): number {
    throw new Error('not yet');
  }

  get current(): boolean {
    throw new Error('not yet');
  }

  close(): void {
    throw new Error('not yet');
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
