/** Which lock is meant? A NAME or a FILE: with a slash, or where a file of that name is at hand, it is a FILE. */
import {existsSync, realpathSync} from 'node:fs';
import {basename, dirname, join, resolve} from 'node:path';
import type {Lock} from '../daemon/api.js';
import type {DaemonClient} from '../daemon/client.js';
import {isLockError, LockError} from '../errors.js';
import {
  checkName,
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
import {didYouMean, near} from '../recovery/near.js';
import {placeText} from '../recovery/policy/place.js';
import {Policy} from '../recovery/policy/rules.js';
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
  const meant = near(name, names);
  return new LockError('ERR_UNKNOWN_LOCK', `no lock is called ${name}${didYouMean(meant)}`, {
    lock: name,
    near: meant,
  });
}

/** Nobody knows that name: the names that come near, or the bit that the kernel has. */
function unknown(name: string): LockError {
  const roots = currentRoots();
  const stray = strayBit(roots, name);
  return stray ? nameOfStray(name, stray) : unknownName(name, listNames(roots));
}

function existingByName(name: string): GuardedConfig | undefined {
  currentRoots();
  return findConfigLock(name);
}

/** The lock that is meant, if it exists. Throws ERR_ROOT_UNSAFE. */
function existing(target: string): GuardedConfig | undefined {
  return isFile(target) ? findByFile(target) : existingByName(target);
}

/** The lock of that name. Throws ERR_UNKNOWN_LOCK, with the names that come near. */
export function findByName(name: string): GuardedConfig {
  const config = existingByName(name);
  if (!config) throw unknown(name);
  return config;
}

function unguarded(file: string): LockError {
  return new LockError('ERR_UNKNOWN_LOCK', `no lock guards ${file}`, {path: file});
}

/** The lock that is meant, of those that the daemon watches. Rejects with ERR_UNKNOWN_LOCK, ERR_NAME_INVALID. */
export async function findThere(client: DaemonClient, target: string): Promise<Lock> {
  const file = isFile(target) ? canonical(target) : undefined;
  const name = file === undefined ? checkName(target) : undefined;
  const locks = await client.locks();
  const found = locks.find(each => each.name === name || each.file === file);
  if (found) return found;
  if (file !== undefined) throw unguarded(file);
  throw unknownName(
    target,
    locks.map(each => each.name),
  );
}

/** What the policy says of a lock and of its file must be so. Throws ERR_NAME_TAKEN or ERR_FILE_TAKEN, and says both. */
function agree({guardings}: Policy, name: string, file: string): void {
  const other = guardings.find(each => (each.name === name) !== (canonical(each.file) === file));
  if (!other) return;
  const said = `${placeText(other.place)} gives ${other.file} to the lock ${other.name}`;
  const code = other.name === name ? 'ERR_NAME_TAKEN' : 'ERR_FILE_TAKEN';
  throw new LockError(code, `${said}, but ${name} is the lock of ${file}; --no-policy goes without that`, {
    lock: name,
    path: file,
    guarded: other.file,
  });
}

function agreed(config: GuardedConfig, policy: Policy): GuardedConfig {
  agree(policy, config.name, config.file);
  return config;
}

/** A lock that is not there yet: which file it is to guard, and its name, where one is known. */
interface Wanted {
  readonly file: string;
  readonly name: string | undefined;
}

/** What is meant by a target that no lock has: a NAME to which the policy gives a file, or a FILE. */
function wanted(target: string, policy: Policy): Wanted {
  if (isFile(target)) {
    const file = canonical(target);
    return {file, name: policy.guardings.find(each => canonical(each.file) === file)?.name};
  }
  const guarding = policy.guardings.find(({name}) => name === target);
  if (!guarding) throw unknown(target);
  return {file: canonical(guarding.file), name: target};
}

/** The lock that is meant, which must exist already, at least as a bit in the kernel. Rejects with ERR_UNKNOWN_LOCK, ERR_CONFIG_MISSING. */
export async function findTarget(target: string, policy = new Policy()): Promise<GuardedConfig> {
  const config = existing(target);
  if (config) return agreed(config, policy);
  const {file, name} = wanted(target, policy);
  if (!existsSync(file))
    throw new LockError('ERR_CONFIG_MISSING', `there is no file ${file}, and no lock guards one there`, {
      path: file,
    });
  if (name === undefined ? strayBitOf(file) : strayBit(currentRoots(), name))
    return openConfigLock(file, {name});
  throw unguarded(file);
}

export const NAME_OPTION: OptionSpec = {
  flags: '--name <name>',
  what: 'name for the lock of a FILE that has none yet; by default that of the policy, else that of the file',
};

function alreadyNamed({name, file}: GuardedConfig, asked: string): LockError {
  return new LockError(
    'ERR_ARGUMENT',
    `${file} is guarded by the lock ${name} already; one file has one lock, not ${asked} as well`,
    {lock: name, path: file},
  );
}

/** The lock that is meant; a FILE that none guards yet gets one, and so does a NAME that the policy knows. Rejects as openConfigLock does. */
export async function openTarget(
  target: string,
  asked?: string,
  policy = new Policy(),
): Promise<GuardedConfig> {
  const config = existing(target);
  if (config && asked !== undefined && asked !== config.name && isFile(target))
    throw alreadyNamed(config, asked);
  if (config) return agreed(config, policy);
  const {file, name} = wanted(target, policy);
  const chosen = asked ?? name ?? nameOf(file);
  agree(policy, chosen, file);
  return openConfigLock(isFile(target) ? target : file, {name: chosen});
}
