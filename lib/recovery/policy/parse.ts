/** What does the text of a policy file say? Everything that is wrong with it is found at once, each with its line and key. */
import type {Problem} from './place.js';
import type {PolicyEntry, Setting} from './policy.js';
import {parsePolicy} from './schema.js';
import {type Path, problemsIn, readSource, type Source} from './source.js';

function toEntry(source: Source, name: string, settings: PolicyEntry['settings']): PolicyEntry {
  const placeOf = (...path: Path) => source.place(source.find(path).found, true);
  const keys = Object.keys(settings) as Setting[];
  return {
    name,
    settings,
    place: placeOf('locks', name),
    places: new Map(keys.map(key => [key, placeOf('locks', name, key)])),
  };
}

/** What one text says. */
export interface Parsed {
  readonly entries: readonly PolicyEntry[];
  /** In the order of their lines. With any, there are no entries. */
  readonly problems: readonly Problem[];
}

/** Reads one text. */
export function parseText(file: string, text: string): Parsed {
  const read = readSource(file, text);
  if ('problems' in read) return {entries: [], problems: read.problems};
  const {source, value} = read;
  const {locks, problems} = parsePolicy(value);
  const all = problemsIn(source, problems);
  if (all.length > 0) return {entries: [], problems: all};
  return {
    entries: Object.entries(locks).map(([name, settings]) => toEntry(source, name, settings)),
    problems: [],
  };
}
