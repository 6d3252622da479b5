/** Where does the state of a lock live? Roots, names and the directory of each lock. */
import {
  constants,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import {basename, dirname, extname, join, resolve} from 'node:path';
import {LockError} from '../errors.js';
import {hasKernelBits, kernelBits} from '../os/kernel-bit.js';
import {createLockBit, type LockBit, openLockBit} from '../os/lock-bit.js';
import {LockFile} from '../os/lock-file.js';
import {readText} from '../os/read-text.js';
import {hasCode} from '../os/system-error.js';
import type {System} from '../os/system.js';
import {reserveEpoch} from './epoch.js';
import {encodeRecord} from './owner-record.js';

/** The three roots; each may be given, else LOCKSMITH_BITS, LOCKSMITH_RUN, LOCKSMITH_STATE, else the defaults. */
export interface RootOptions {
  readonly bits?: string | undefined;
  readonly run?: string | undefined;
  readonly state?: string | undefined;
}

export interface Roots {
  /** Where new locks get their bits: `/sys/locks`, or a directory of soft bits. */
  readonly bits: string;
  /** Volatile state. */
  readonly run: string;
  /** Durable state: audit log and epochs. */
  readonly state: string;
}

/** The files of one lock. */
export interface LockPaths {
  readonly name: string;
  readonly directory: string;
  readonly guard: string;
  readonly gate: string;
  readonly recovery: string;
  readonly owner: string;
  readonly target: string;
  /** Symbolic link to the directory of the bit. */
  readonly bit: string;
}

/** Volatile state of the whole system; it goes with the kernel's bits. */
export const SYSTEM_RUN = '/run/locksmith';

/** Durable state of the whole system, usually on a file system that is mounted. */
const SYSTEM_STATE = '/var/lib/locksmith';

/** Names of the module's own files beside its locks. */
const RESERVED = new Set(['create', 'remove']);

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;

/** Checks the name of a lock; throws ERR_NAME_INVALID. */
export function checkName(name: string): string {
  if (!NAME.test(name) || name.includes('..') || RESERVED.has(name)) {
    throw new LockError(
      'ERR_NAME_INVALID',
      `${JSON.stringify(name)} is no name for a lock: 1 to 63 of A-Z a-z 0-9 . _ -, a letter or digit first, no "..", not "create" or "remove"`,
      {lock: name},
    );
  }
  return name;
}

/** The name that a file's lock has unless one is given: the file's name without its last extension. */
export function nameOf(path: string): string {
  const file = basename(path);
  return checkName(basename(file, extname(file)));
}

/**
 * Which roots are meant. Creates nothing. The kernel's bits are one set for the whole system, so by default they go with
 * the system's own RUN; a RUN of one's own has bits of its own.
 */
export function resolveRoots(system: System, options: RootOptions = {}): Roots {
  const {env, uid, tmpdir} = system;
  const home = env['XDG_STATE_HOME'] ?? (env['HOME'] && join(env['HOME'], '.local/state'));
  const privateDirectory = join(tmpdir, `locksmith-${uid}`);
  const run =
    options.run ??
    env['LOCKSMITH_RUN'] ??
    (uid === 0
      ? SYSTEM_RUN
      : env['XDG_RUNTIME_DIR']
        ? join(env['XDG_RUNTIME_DIR'], 'locksmith')
        : privateDirectory);
  const state =
    options.state ??
    env['LOCKSMITH_STATE'] ??
    (uid === 0 ? SYSTEM_STATE : home ? join(home, 'locksmith') : join(privateDirectory, 'state'));
  const inKernel = run === SYSTEM_RUN && hasKernelBits(system);
  const bits = options.bits ?? env['LOCKSMITH_BITS'] ?? (inKernel ? kernelBits(system) : join(run, 'bits'));
  return {bits: resolve(bits), run: resolve(run), state: resolve(state)};
}

function unsafe(path: string, why: string): LockError {
  return new LockError('ERR_ROOT_UNSAFE', `${path} can not be trusted with locks: ${why}`, {path});
}

/** Refuses a directory that others could change below us. False when it does not exist. */
export function checkRoot(system: System, path: string): boolean {
  const stat = lstatSync(path, {throwIfNoEntry: false});
  if (!stat) return false;
  if (!stat.isDirectory()) throw unsafe(path, 'it is not a directory');
  if (stat.uid !== 0 && stat.uid !== system.uid) throw unsafe(path, `it belongs to uid ${stat.uid}`);
  if (stat.mode & 0o002)
    throw unsafe(path, `everyone may write to it (mode ${(stat.mode & 0o7777).toString(8)})`);
  return true;
}

function moduleMissing({sysRoot}: System, path: string): LockError {
  const mounted = existsSync(join(sysRoot, 'kernel'));
  const why = mounted ? 'the kernel module locksmith is not loaded' : `sysfs is not mounted on ${sysRoot}`;
  return new LockError('ERR_MODULE_MISSING', `${path} can not be used: ${why}`, {path});
}

/** A bit that the kernel keeps must be in sight; else throws ERR_MODULE_MISSING. */
export function checkModule(system: System, {directory}: LockBit): void {
  if (dirname(directory) === kernelBits(system) && !hasKernelBits(system))
    throw moduleMissing(system, directory);
}

/** Makes a root. The system's STATE is not made where all around it is missing too: then its file system is not mounted. */
function makeRoot(system: System, path: string): void {
  if (path === SYSTEM_STATE && !existsSync(dirname(path)))
    throw new LockError(
      'ERR_STATE_MISSING',
      `there is no ${dirname(path)}: is its file system mounted? ${path} is not made on another`,
      {path},
    );
  mkdirSync(path, {recursive: true, mode: system.uid === 0 ? 0o755 : 0o700});
}

/** Checks the roots and creates those that are missing. */
export function prepareRoots(system: System, roots: Roots): Roots {
  if (roots.bits === kernelBits(system) && !hasKernelBits(system)) throw moduleMissing(system, roots.bits);
  for (const path of [roots.run, roots.state, roots.bits]) {
    if (!checkRoot(system, path)) makeRoot(system, path);
    checkRoot(system, path);
  }
  return roots;
}

/** Paths of a lock's files. */
export function lockPaths(roots: Roots, name: string): LockPaths {
  const directory = join(roots.run, 'locks', checkName(name));
  return {
    name,
    directory,
    guard: join(directory, 'guard'),
    gate: join(directory, 'gate'),
    recovery: join(directory, 'recovery'),
    owner: join(directory, 'owner'),
    target: join(directory, 'target'),
    bit: join(directory, 'bit'),
  };
}

/** Where the bit of a lock is: a lock keeps the one that it was made with, whatever the roots say later. */
function bitDirectory(roots: Roots, paths: LockPaths): string {
  try {
    return readlinkSync(paths.bit);
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return join(roots.bits, paths.name);
    throw error;
  }
}

/** The bit of a lock. */
export function bitOf(roots: Roots, paths: LockPaths): LockBit {
  const directory = bitDirectory(roots, paths);
  return openLockBit(dirname(directory), basename(directory));
}

/** The file that a lock guards; undefined when there is no such lock. */
export function readTarget(paths: LockPaths): string | undefined {
  try {
    return readText(paths.target).replace(/\n$/, '');
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
}

/** Names of all locks below a root, sorted. */
export function listNames(roots: Roots): string[] {
  try {
    return readdirSync(join(roots.run, 'locks'))
      .filter(name => NAME.test(name))
      .sort();
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return [];
    throw error;
  }
}

/** Resolves the directories of a configuration's path and checks that the file itself can be guarded. */
export function resolveConfig(path: string): string {
  const absolute = resolve(path);
  const stat = lstatSync(absolute, {throwIfNoEntry: false});
  if (!stat)
    throw new LockError('ERR_CONFIG_MISSING', `there is no configuration file ${absolute}`, {path: absolute});
  if (stat.isSymbolicLink()) {
    const real = realpathOrLink(absolute);
    throw new LockError('ERR_CONFIG_SYMLINK', `${absolute} is a symbolic link to ${real}: name that file`, {
      path: absolute,
      real,
    });
  }
  if (!stat.isFile()) {
    const what = stat.isDirectory() ? 'a directory' : 'no regular file';
    throw new LockError('ERR_CONFIG_NOT_FILE', `${absolute} is ${what}`, {path: absolute});
  }
  return join(realpathSync(dirname(absolute)), basename(absolute));
}

function realpathOrLink(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return 'a file that does not exist';
  }
}

function taken(name: string, guarded: string, asked: string): LockError {
  return new LockError(
    'ERR_NAME_TAKEN',
    `the lock ${name} guards ${guarded}; ${asked} needs a name of its own`,
    {
      lock: name,
      path: asked,
      guarded,
    },
  );
}

/** Opens the directory of a lock, and creates it, whole or not at all, when the lock is new. */
export async function openLayout(
  system: System,
  roots: Roots,
  name: string,
  target: string,
): Promise<LockPaths> {
  const paths = lockPaths(roots, name);
  prepareRoots(system, roots);
  if (readTarget(paths) === undefined) await createLayout(system, roots, paths, target);
  const guarded = readTarget(paths);
  if (guarded !== target) throw taken(name, guarded ?? 'nothing', target);
  await restoreBit(system, roots, paths);
  return paths;
}

/** The kernel's bits go when the module is unloaded, which it can be only while all are clear: then one is made anew. */
async function restoreBit(system: System, roots: Roots, paths: LockPaths): Promise<void> {
  const directory = bitDirectory(roots, paths);
  const root = dirname(directory);
  if (root !== kernelBits(system) || existsSync(directory)) return;
  if (!hasKernelBits(system)) throw moduleMissing(system, directory);
  await createLockBit(root, paths.name, async () => 0);
}

/**
 * Builds a lock's directory beside its place and renames it there, so that no lock is ever seen half made.
 * One creator at a time; what a creator that died left behind is swept by the next.
 */
async function createLayout(system: System, roots: Roots, paths: LockPaths, target: string): Promise<void> {
  const locks = join(roots.run, 'locks');
  mkdirSync(locks, {recursive: true});
  using registry = LockFile.open(join(roots.run, 'registry'), {flags: constants.O_RDWR | constants.O_CREAT});
  await registry.wait('exclusive');
  if (readTarget(paths) !== undefined) return;
  refuseSecondName(roots, paths.name, target);
  sweep(locks);
  sweep(roots.bits);
  const epoch = await createLockBit(roots.bits, paths.name, () => reserveEpoch(system, roots.state));
  const fresh = join(locks, `.new.${paths.name}`);
  mkdirSync(fresh);
  for (const file of ['guard', 'gate', 'recovery']) writeFileSync(join(fresh, file), '');
  writeFileSync(join(fresh, 'owner'), encodeRecord({v: 1, state: 'free', lock: paths.name, epoch}));
  writeFileSync(join(fresh, 'target'), `${target}\n`);
  symlinkSync(join(roots.bits, paths.name), join(fresh, 'bit'));
  renameSync(fresh, paths.directory);
}

function refuseSecondName(roots: Roots, name: string, target: string): void {
  const other = listNames(roots).find(candidate => readTarget(lockPaths(roots, candidate)) === target);
  if (other === undefined) return;
  throw new LockError(
    'ERR_FILE_TAKEN',
    `${target} is guarded by the lock ${other} already; it can't have another called ${name}`,
    {lock: other, path: target},
  );
}

function sweep(directory: string): void {
  for (const name of readdirSync(directory)) {
    if (name.startsWith('.new.')) rmSync(join(directory, name), {recursive: true, force: true});
  }
}
