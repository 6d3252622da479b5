/** What do the policy files of this machine say? Commands in them run as root, so only files that nobody else can write are believed. */
import {readdirSync, statSync} from 'node:fs';
import {join, resolve} from 'node:path';
import {LockError} from '../../errors.js';
import {hasCode} from '../../os/system-error.js';
import type {System} from '../../os/system.js';
import {applyPolicy} from './match.js';
import {placeText, type Problem, problemText} from './place.js';
import {isPattern, type PolicyEntry, type PolicyReading} from './policy.js';
import {distrust, readTrusted} from './trusted-file.js';

const SYSTEM_POLICY = '/etc/locksmith';

/** The directory of the policy: the one that is given, else LOCKSMITH_POLICY, else the system's. */
export function policyDirectory({env}: System, given?: string): string {
  return resolve(given ?? env['LOCKSMITH_POLICY'] ?? SYSTEM_POLICY);
}

function problem(file: string, what: string): Problem {
  return {file, line: null, column: null, key: null, what};
}

async function readOne(system: System, path: string): Promise<Omit<PolicyReading, 'files'>> {
  try {
    const text = readTrusted(system, path).toString();
    // Loaded only where there is a policy: parser and schema take longer to load than everything else.
    const {parseText} = await import('./parse.js');
    return parseText(path, text);
  } catch (error) {
    return {entries: [], problems: [problem(path, (error as Error).message)]};
  }
}

function sayTwice(first: PolicyEntry, second: PolicyEntry, key: string, what: string): Problem {
  return {...second.place, key, what: `${what} at ${placeText(first.place)} already`};
}

/** What only shows when all files are read: a name that stands in two of them, a file that two names guard. */
function contradictions(entries: readonly PolicyEntry[]): Problem[] {
  const names = new Map<string, PolicyEntry>();
  const files = new Map<string, PolicyEntry>();
  const problems: Problem[] = [];
  for (const entry of entries) {
    const {name, settings} = entry;
    const same = names.get(name);
    if (same) problems.push(sayTwice(same, entry, `locks.${name}`, 'is there'));
    else names.set(name, entry);
    const guard = settings.file === undefined ? undefined : files.get(settings.file);
    if (guard && guard.name !== name)
      problems.push(
        sayTwice(guard, entry, `locks.${name}.file`, `${settings.file} is guarded by ${guard.name}`),
      );
    else if (settings.file !== undefined) files.set(settings.file, entry);
  }
  return problems;
}

/** Names of which two patterns say different things, neither of them more exactly. */
function ambiguities(entries: readonly PolicyEntry[]): Problem[] {
  return entries
    .filter(({name}) => !isPattern(name))
    .flatMap(({name, place}) => {
      try {
        applyPolicy(entries, name);
        return [];
      } catch (error) {
        return [{...place, key: `locks.${name}`, what: (error as Error).message}];
      }
    });
}

/** Reads these files. */
export async function readPolicyFiles(system: System, files: readonly string[]): Promise<PolicyReading> {
  const read = await Promise.all(files.map(file => readOne(system, file)));
  const entries = read.flatMap(one => one.entries);
  const problems = [...read.flatMap(one => one.problems), ...contradictions(entries)];
  return {files, entries, problems: problems.length > 0 ? problems : ambiguities(entries)};
}

/** The `*.yaml` of a directory in the order of their names; `*.yml` would be overlooked by whoever looks for the others, so it is refused. */
function listFiles(directory: string): {files: string[]; problems: Problem[]} {
  const names = readdirSync(directory)
    .filter(name => !name.startsWith('.'))
    .sort();
  return {
    files: names.filter(name => name.endsWith('.yaml')).map(name => join(directory, name)),
    problems: names
      .filter(name => name.endsWith('.yml'))
      .map(name => problem(join(directory, name), 'its name must end in .yaml')),
  };
}

/** Reads the policy of a directory, by default the one in force; where that does not exist, there is none. One that was asked for must be there. */
export async function readPolicy(system: System, asked?: string): Promise<PolicyReading> {
  const directory = policyDirectory(system, asked);
  const none = {files: [], entries: []};
  try {
    const stat = statSync(directory);
    const why = stat.isDirectory() ? distrust(system, stat) : 'it is no directory';
    if (why !== undefined) return {...none, problems: [problem(directory, why)]};
    const {files, problems} = listFiles(directory);
    const read = await readPolicyFiles(system, files);
    return {...read, problems: [...problems, ...read.problems]};
  } catch (error) {
    if (asked === undefined && hasCode(error, 'ENOENT')) return {...none, problems: []};
    return {...none, problems: [problem(directory, (error as Error).message)]};
  }
}

/** The refusal of whatever needs a policy that is broken. */
export function policyBroken(problems: readonly Problem[]): LockError {
  const [first, ...more] = problems;
  const rest = more.length > 0 ? `, and ${more.length} more` : '';
  return new LockError(
    'ERR_POLICY',
    `the policy can not be used: ${first ? problemText(first) : ''}${rest}`,
    {
      problems,
      ...(first && {path: first.file}),
    },
  );
}
