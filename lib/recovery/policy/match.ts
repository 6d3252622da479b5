/** What of a policy applies to a lock? For each setting, the entry that means the lock most exactly and says something of it. */
import {LockError} from '../../errors.js';
import {type Place, placeText} from './place.js';
import {isPattern, type PolicyEntry, type Setting, type Settings} from './policy.js';

/** What applies to one lock, and where each setting stands. */
export interface Applied {
  readonly settings: Settings;
  readonly places: ReadonlyMap<Setting, Place>;
}

function fits(pattern: string, name: string): boolean {
  const pieces = pattern.split('*').map(piece => piece.replaceAll('.', '\\.'));
  return new RegExp(`^${pieces.join('.*')}$`).test(name);
}

/** How exactly an entry means a lock: its name beats every pattern, a pattern with more letters one with fewer. */
function exactness({name}: PolicyEntry): number {
  return isPattern(name) ? name.replaceAll('*', '').length : Number.POSITIVE_INFINITY;
}

function equallyExact(lock: string, setting: Setting, a: PolicyEntry, b: PolicyEntry): LockError {
  const [first, second] = [a, b].map(
    entry => `${entry.name} (${placeText(entry.places.get(setting) ?? entry.place)})`,
  );
  return new LockError(
    'ERR_POLICY',
    `the policy says two things of ${lock}: ${setting} is given by ${first} and by ${second}, and neither pattern has more letters`,
    {lock, path: b.place.file},
  );
}

/** Throws ERR_POLICY where two patterns of the same length disagree. */
export function applyPolicy(entries: readonly PolicyEntry[], lock: string): Applied {
  const fitting = entries
    .filter(({name}) => (isPattern(name) ? fits(name, lock) : name === lock))
    .toSorted((a, b) => exactness(b) - exactness(a));
  const from = new Map<Setting, PolicyEntry>();
  for (const entry of fitting) {
    for (const setting of entry.places.keys()) {
      const better = from.get(setting);
      if (!better) from.set(setting, entry);
      else if (exactness(better) === exactness(entry)) throw equallyExact(lock, setting, better, entry);
    }
  }
  const all = [...from];
  return {
    settings: Object.fromEntries(all.map(([setting, {settings}]) => [setting, settings[setting]])),
    places: new Map(all.map(([setting, entry]) => [setting, entry.places.get(setting) ?? entry.place])),
  };
}

/** The name that the policy gives to the lock of a file. */
export function nameFor(entries: readonly PolicyEntry[], file: string): PolicyEntry | undefined {
  return entries.find(({settings}) => settings.file === file);
}
