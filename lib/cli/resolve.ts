/** Which lock is meant? A NAME or a FILE: with a slash, or where a file of that name is at hand, it is a FILE. */
import {existsSync, realpathSync} from 'node:fs';
import {basename, dirname, join, resolve} from 'node:path';
import {isLockError, LockError} from '../errors.js';
import {
  checkRoot,
  listNames,
  lockPaths,
  nameOf,
  readTarget,
  resolveRoots,
  type Roots,
} from '../lock/layout.js';
import {bitKindOf, type LockBit, openLockBit} from '../os/lock-bit.js';
import {system} from '../os/system.js';
import {findConfigLock, type GuardedConfig, openConfigLock} from '../recovery/guarded-config.js';
import type {OptionSpec} from './command.js';

/** The roots in force. Throws ERR_ROOT_UNSAFE; creates nothing. */
export function currentRoots(): Roots {
  const roots = resolveRoots(system());
  for (const root of [roots.run, roots.state, roots.bits]) checkRoot(system(), root);
  return roots;
}

export function isFile(target: string): boolean {
  return target.includes('/') || existsSync(target);
}

/** The path that a lock would know a file by; the file itself may be missing. */
function canonical(path: string): string {
  const absolute = resolve(path);
  try {
    return realpathSync(absolute);
  } catch {
    return existsSync(dirname(absolute))
      ? join(realpathSync(dirname(absolute)), basename(absolute))
      : absolute;
  }
}

/** The lock that guards a file; undefined when none does. */
export function findByFile(path: string): GuardedConfig | undefined {
  const roots = currentRoots();
  const file = canonical(path);
  const name = listNames(roots).find(each => readTarget(lockPaths(roots, each)) === file);
  return name === undefined ? undefined : findConfigLock(name);
}

/** The kernel's bit of that name, when somebody else has made it: no lock of ours has the name yet. */
function strayBit(roots: Roots, name: string): LockBit | undefined {
  if (bitKindOf(roots.bits) !== 'kernel' || readTarget(lockPaths(roots, name)) !== undefined)
    return undefined;
  const bit = openLockBit(roots.bits, name);
  return existsSync(bit.path) ? bit : undefined;
}

/** The kernel's bit that a file would have by its name, though no lock guards the file yet. */
export function strayBitOf(path: string): LockBit | undefined {
  try {
    return strayBit(currentRoots(), nameOf(path));
  } catch (error) {
    if (isLockError(error, 'ERR_NAME_INVALID')) return undefined;
    throw error;
  }
}

/** How many letters have to be changed, added or dropped to make one word of the other (Levenshtein). */
function distance(a: string, b: string): number {
  let row = Array.from({length: b.length + 1}, (_, index) => index);
  for (const [i, letter] of Array.from(a).entries()) {
    const next = [i + 1];
    for (let j = 0; j < b.length; j++) {
      next.push(
        Math.min((row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1, (row[j] ?? 0) + (letter === b[j] ? 0 : 1)),
      );
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

function isNear(wanted: string, name: string): boolean {
  return (
    name.includes(wanted) ||
    wanted.includes(name) ||
    distance(wanted, name) <= Math.max(1, Math.floor(wanted.length / 4))
  );
}

/** A bit is all that there is: which file it is about, only people know. */
function nameOfStray(name: string, bit: LockBit): LockError {
  const owner = bit.owner();
  const who = owner ? `set by pid ${owner.pid}, ${owner.alive ? 'alive' : 'dead'}` : 'clear';
  return new LockError(
    'ERR_UNKNOWN_LOCK',
    `no lock is called ${name}, but the kernel has a bit of that name, ${who}: give the path of the file that it is about`,
    {lock: name, path: bit.path},
  );
}

function unknownName(name: string, names: readonly string[]): LockError {
  const near = names.filter(each => isNear(name, each)).slice(0, 5);
  const hint = near.length > 0 ? `; did you mean ${near.join(' or ')}?` : '';
  return new LockError('ERR_UNKNOWN_LOCK', `no lock is called ${name}${hint}`, {lock: name, near});
}

/** The lock of that name. Throws ERR_UNKNOWN_LOCK, with the names that come near. */
export function findByName(name: string): GuardedConfig {
  const roots = currentRoots();
  const config = findConfigLock(name);
  if (config) return config;
  const stray = strayBit(roots, name);
  throw stray ? nameOfStray(name, stray) : unknownName(name, listNames(roots));
}

/** The lock that is meant, which must exist already, at least as a bit in the kernel. Rejects with ERR_UNKNOWN_LOCK, ERR_CONFIG_MISSING. */
export async function findTarget(target: string): Promise<GuardedConfig> {
  if (!isFile(target)) return findByName(target);
  const config = findByFile(target);
  if (config) return config;
  const path = resolve(target);
  if (!existsSync(path))
    throw new LockError('ERR_CONFIG_MISSING', `there is no file ${path}, and no lock guards one there`, {
      path,
    });
  if (strayBitOf(path)) return openConfigLock(path);
  throw new LockError('ERR_UNKNOWN_LOCK', `no lock guards ${path}`, {path});
}

export const NAME_OPTION: OptionSpec = {
  flags: '--name <name>',
  what: 'name for the lock of a FILE that has none yet; by default that of the file',
};

function alreadyNamed({name, file}: GuardedConfig, wanted: string): LockError {
  return new LockError(
    'ERR_ARGUMENT',
    `${file} is guarded by the lock ${name} already; one file has one lock, not ${wanted} as well`,
    {lock: name, path: file},
  );
}

/** The lock that is meant; a FILE that none guards yet gets one. Rejects as openConfigLock does. */
export async function openTarget(target: string, name?: string): Promise<GuardedConfig> {
  if (!isFile(target)) return findByName(target);
  const config = findByFile(target);
  if (config && name !== undefined && name !== config.name) throw alreadyNamed(config, name);
  return config ?? openConfigLock(target, {name});
}
