/** Where does something stand in a file that people write, and what is wrong there? */

/** A place in a file; both counted from 1. */
export interface Place {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** `/etc/locksmith/aim.yaml:3` */
export function placeText({file, line}: Place): string {
  return `${file}:${line}`;
}

/** What is wrong, and where; a file that can't be read has no lines. */
export interface Problem {
  readonly file: string;
  readonly line: number | null;
  readonly column: number | null;
  /** Path of the key, `locks.aim_lock_config.hold` say; null for what is wrong with the file as a whole. */
  readonly key: string | null;
  readonly what: string;
}

/** `/etc/locksmith/aim.yaml:3:11: locks.aim.hold: what is wrong` */
export function problemText({file, line, column, key, what}: Problem): string {
  const place = line === null ? file : `${file}:${line}:${column}`;
  return [place, ...(key === null ? [] : [key]), what].join(': ');
}
