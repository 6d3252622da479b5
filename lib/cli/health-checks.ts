/** Is this machine fit for Locksmith, and is its state in order? One table of checks. */
import {accessSync, constants, existsSync, lstatSync, readdirSync, statSync} from 'node:fs';
import {dirname, join} from 'node:path';
import {fleetConfigPath} from '../fleet/config-path.js';
import {listNames, checkRoot, type Roots} from '../lock/layout.js';
import {STAMP} from '../lock/update.js';
import {hasKernelBits, kernelBits} from '../os/kernel-bit.js';
import {type BitKind, openLockBit} from '../os/lock-bit.js';
import {LockFile} from '../os/lock-file.js';
import {surveyLocks} from '../os/lock-survey.js';
import {gapsOf} from '../os/visibility.js';
import {addonFile, native} from '../os/native.js';
import {readText} from '../os/read-text.js';
import {errnoOf} from '../os/system-error.js';
import type {System} from '../os/system.js';
import {verifyAudit} from '../recovery/audit.js';
import {findConfigLock, type GuardedConfig} from '../recovery/guarded-config.js';
import {problemText} from '../recovery/policy/place.js';
import {policyDirectory, readPolicy} from '../recovery/policy/read.js';
import {examineAnyway} from '../recovery/report.js';
import {fail, type Finding, ok, warn} from './finding.js';
import {isReached, PATIENCE, reachDaemon} from './reach.js';

export interface Surroundings {
  readonly system: System;
  readonly roots: Roots;
}

interface Check {
  readonly what: string;
  readonly look: (surroundings: Surroundings) => Finding | Promise<Finding>;
}

function checkAddon(): Finding {
  return ok(addonFile);
}

function checkDirectory(system: System, path: string): Finding {
  if (!checkRoot(system, path))
    return warn(`${path} does not exist yet`, 'it is made when the first lock is opened');
  const {uid, mode} = lstatSync(path);
  return ok(`${path}, uid ${uid}, mode ${(mode & 0o7777).toString(8)}`);
}

function configsOf(roots: Roots): GuardedConfig[] {
  return listNames(roots).flatMap(name => findConfigLock(name) ?? []);
}

function namesOf(kind: BitKind, roots: Roots): string {
  return configsOf(roots)
    .filter(({bit}) => bit.kind === kind)
    .map(({name}) => name)
    .join(' ');
}

/** Kernel bits, soft bits, or what keeps us from the better ones. */
function checkBits({system, roots}: Surroundings): Finding {
  const install = 'dkms and modprobe locksmith: see docs/operations.md';
  const loaded = hasKernelBits(system);
  const inKernel = namesOf('kernel', roots);
  if (roots.bits !== kernelBits(system))
    return loaded || system.uid !== 0
      ? ok(`soft bits in ${roots.bits}${loaded ? ', although the kernel module is loaded' : ''}`)
      : warn(`soft bits in ${roots.bits}: the kernel module locksmith is not loaded`, install);
  if (!loaded) return fail(`${roots.bits} is not there: the kernel module locksmith is not loaded`, install);
  const soft = namesOf('soft', roots);
  if (soft !== '')
    return warn(
      `the kernel module is loaded, but these locks were made with soft bits: ${soft}`,
      'they keep them until the next boot',
    );
  return ok(`kernel bits in ${roots.bits}${inKernel === '' ? '' : `: ${inKernel}`}`);
}

/** Bits that are set and that no lock of ours knows: somebody else's, or of a lock whose directory is gone. */
function checkStrayBits({system, roots}: Surroundings): Finding {
  if (roots.bits !== kernelBits(system) || !hasKernelBits(system)) return ok('the kernel has none');
  const ours = new Set(listNames(roots));
  const strays = readdirSync(roots.bits, {withFileTypes: true})
    .filter(entry => entry.isDirectory() && !ours.has(entry.name))
    .map(({name}) => ({name, owner: openLockBit(roots.bits, name).owner()}));
  const set = strays.flatMap(({name, owner}) =>
    owner ? [`${name} (pid ${owner.pid}, ${owner.alive ? 'alive' : 'dead'})`] : [],
  );
  if (set.length === 0) return ok(`${strays.length} bits in the kernel are not ours, none of them is set`);
  return warn(`set by somebody else: ${set.join(', ')}`, 'locksmith explain FILE, for the file of that name');
}

/** May this user make locks in the kernel? */
function checkBitRights({system, roots}: Surroundings): Finding {
  if (roots.bits !== kernelBits(system)) return ok('soft bits need none');
  const create = join(roots.bits, 'create');
  try {
    accessSync(create, constants.W_OK);
  } catch (error) {
    return warn(
      `${(error as NodeJS.ErrnoException).code}: ${create} is not writable for uid ${system.uid}`,
      'run as root, or join the group locksmith (docs/operations.md)',
    );
  }
  return ok(`${create} is writable`);
}

function checkIdentity(): Finding {
  const pidfd = native.pidfdOpen(process.pid);
  if (pidfd < 0) return fail('no pidfds', 'Linux 5.3 or newer is needed');
  const inode = native.pidfdInode(pidfd);
  native.close(pidfd);
  if (inode === 0n)
    return warn(
      'pidfds without inodes of their own',
      'start times are compared instead; Linux 6.9 or newer proves more',
    );
  return ok('pidfds have inodes of their own');
}

function checkLocks(): Finding {
  using file = LockFile.open(process.execPath, {flags: constants.O_RDONLY});
  file.test('exclusive');
  return ok('open file description locks');
}

async function checkLockTable({system}: Surroundings): Promise<Finding> {
  const {locks} = await surveyLocks(system);
  return ok(`${locks.length} locks in ${system.procRoot}/locks`);
}

async function checkSight({system}: Surroundings): Promise<Finding> {
  const gaps = gapsOf(system, await surveyLocks(system, {everywhere: true}));
  if (gaps.length === 0) return ok('the descriptors of all processes can be read');
  return warn(
    gaps.map(({what, why}) => `${what} can not be seen: ${why}`).join('; '),
    gaps.some(({visibleTo}) => visibleTo === 'root')
      ? 'run as root for complete verdicts'
      : 'a lock that is held there stays UNKNOWN',
  );
}

function checkTakeover({system}: Surroundings): Finding {
  const path = `${system.procRoot}/sys/kernel/yama/ptrace_scope`;
  const scope = existsSync(path) ? Number(readText(path)) : 0;
  if (scope === 3)
    return warn(
      'ptrace is switched off for everybody (yama 3)',
      'break-glass can not share the guard of a living owner',
    );
  if (scope > 0 && system.uid !== 0)
    return warn(`only root may copy descriptors (yama ${scope})`, 'run break-glass with sudo');
  return ok('descriptors of processes can be copied (pidfd_getfd)');
}

function lacksXattr({file}: GuardedConfig): boolean {
  if (!existsSync(file)) return false;
  using opened = LockFile.follow(file, {flags: constants.O_RDONLY | constants.O_NONBLOCK});
  return native.getXattr(opened.fd, STAMP) === -errnoOf('EOPNOTSUPP');
}

function checkStamps({roots}: Surroundings): Finding {
  const lacking = configsOf(roots).filter(lacksXattr);
  if (lacking.length === 0) return ok('the guarded files can carry stamps');
  return warn(
    `no user extended attributes: ${lacking.map(({file}) => dirname(file)).join(', ')}`,
    'use update --comment for a stamp in the file',
  );
}

function checkTargets({roots}: Surroundings): Finding {
  const missing = configsOf(roots).filter(({file}) => !statSync(file, {throwIfNoEntry: false})?.isFile());
  if (missing.length === 0) return ok('every guarded file is there');
  return warn(
    `not there: ${missing.map(({file}) => file).join(', ')}`,
    'put it back, or remove the lock’s directories below RUN and BITS',
  );
}

function leftoversIn(directory: string): string[] {
  if (!existsSync(directory)) return [];
  return readdirSync(directory)
    .filter(name => name.startsWith('.new.'))
    .map(name => join(directory, name));
}

function checkLeftovers({roots}: Surroundings): Finding {
  const found = [join(roots.run, 'locks'), roots.bits].flatMap(leftoversIn);
  if (found.length === 0) return ok('no lock was left half made');
  return warn(`half made: ${found.join(', ')}`, 'they are swept when the next lock is made');
}

async function checkOrphans({roots}: Surroundings): Promise<Finding> {
  const verdicts = await Promise.all(configsOf(roots).map(config => examineAnyway(config)));
  const orphans = verdicts.filter(({state}) => state === 'DEAD');
  const unknown = verdicts.filter(({state}) => state === 'UNKNOWN');
  const names = (list: typeof verdicts) => list.map(({name}) => name).join(' ');
  if (orphans.length > 0)
    return warn(`left by dead owners: ${names(orphans)}`, `locksmith recover ${orphans[0]?.name}`);
  if (unknown.length > 0)
    return warn(
      `nobody knows whether their owners live: ${names(unknown)}`,
      `locksmith explain ${unknown[0]?.name}`,
    );
  return ok(`${verdicts.length} locks, none of them orphaned`);
}

async function checkAudit({roots}: Surroundings): Promise<Finding> {
  const {ok: whole, records, torn} = await verifyAudit(roots.state);
  if (!whole) return fail('the chain of hashes is broken', 'locksmith log --verify');
  return torn
    ? warn(`${records} records, the last line was cut short`, 'the next record replaces it')
    : ok(`${records} records, the chain is whole`);
}

async function checkPolicy({system}: Surroundings): Promise<Finding> {
  const {files, problems} = await readPolicy(system);
  const [first] = problems;
  if (first)
    return fail(
      problemText(first),
      `locksmith policy check: ${problems.length} in all; until then, commands refuse`,
    );
  return ok(`${files.length} files in ${policyDirectory(system)}, without fault`);
}

/** None is no fault: only events and orchestrators need one. */
async function checkDaemon({system}: Surroundings): Promise<Finding> {
  const found = await reachDaemon(PATIENCE, system);
  if (!isReached(found)) {
    if (found.kind === 'absent') return ok(`none answers on ${found.socket}; all but events works without`);
    return found.kind === 'refused'
      ? ok(`that on ${found.socket} is not for uid ${system.uid}; all but events works without`)
      : warn(found.error.message, 'see its log; systemctl restart locksmith starts it anew, no lock is lost');
  }
  const {socket, status} = found;
  await found.client.close();
  return status.policy.problem === null
    ? ok(`pid ${status.pid} answers on ${socket}`)
    : warn(`pid ${status.pid} goes by an old policy: ${status.policy.problem}`, 'locksmith policy check');
}

/** None is no fault: most machines are in no fleet. */
async function checkFleet({system}: Surroundings): Promise<Finding> {
  if (!existsSync(fleetConfigPath(system))) return ok('no fleet file; this machine takes part in no fleet');
  // Loaded only where there is a fleet: what speaks with etcd takes long to load.
  const {lookAtFleet} = await import('./fleet/look.js');
  return lookAtFleet(system);
}

export const HEALTH_CHECKS: readonly Check[] = [
  {what: 'addon', look: checkAddon},
  {what: 'run directory', look: ({system, roots}) => checkDirectory(system, roots.run)},
  {what: 'state directory', look: ({system, roots}) => checkDirectory(system, roots.state)},
  {what: 'bits directory', look: ({system, roots}) => checkDirectory(system, roots.bits)},
  {what: 'lock bits', look: checkBits},
  {what: 'rights to bits', look: checkBitRights},
  {what: 'stray bits', look: checkStrayBits},
  {what: 'process identity', look: checkIdentity},
  {what: 'locks', look: checkLocks},
  {what: 'lock table', look: checkLockTable},
  {what: 'sight', look: checkSight},
  {what: 'takeover', look: checkTakeover},
  {what: 'guarded files', look: checkTargets},
  {what: 'stamps', look: checkStamps},
  {what: 'leftovers', look: checkLeftovers},
  {what: 'orphans', look: checkOrphans},
  {what: 'audit log', look: checkAudit},
  {what: 'policy', look: checkPolicy},
  {what: 'daemon', look: checkDaemon},
  {what: 'fleet', look: checkFleet},
];

/** Runs one check; what it throws is a failure of what it checks. */
export async function runCheck({look}: Check, surroundings: Surroundings): Promise<Finding> {
  try {
    return await look(surroundings);
  } catch (error) {
    return fail((error as Error).message, (error as {advice?: string}).advice ?? 'see docs/operations.md');
  }
}
