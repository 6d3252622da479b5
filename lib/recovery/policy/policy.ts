/** What is a policy? What the files of one directory say on locks, and where each of them says it. */
import type {QuiesceSpec} from '../quiesce/spec.js';
import type {Place, Problem} from './place.js';

/** What can be said of a lock. */
export interface Settings {
  /** The file that the lock guards; of names only. */
  readonly file?: string | undefined;
  /** Shell command that refuses a content, as --validate. */
  readonly validate?: string | undefined;
  /** Bound of a hold in milliseconds. */
  readonly hold?: number | undefined;
  /** May the lock be recovered without a person who asks for it? */
  readonly recover?: 'automatic' | 'manual' | undefined;
  /** Users, and groups with an @ before them, who may break the glass. */
  readonly 'break-glass'?: readonly string[] | undefined;
  /** How many nodes get a new content first. */
  readonly canary?: number | undefined;
  /** What is stopped during a hold beside those who pass the gate. */
  readonly quiesce?: readonly QuiesceSpec[] | undefined;
}

export type Setting = keyof Settings;

/** What a file says of one name or pattern. */
export interface PolicyEntry {
  /** The name of a lock, or a pattern in which `*` stands for any letters. */
  readonly name: string;
  readonly place: Place;
  readonly settings: Settings;
  /** Where each setting stands. */
  readonly places: ReadonlyMap<Setting, Place>;
}

/** What reading gave. With problems, nothing of it must be relied on. */
export interface PolicyReading {
  /** The files that were read, in their order. */
  readonly files: readonly string[];
  readonly entries: readonly PolicyEntry[];
  readonly problems: readonly Problem[];
}

export function isPattern(name: string): boolean {
  return name.includes('*');
}
