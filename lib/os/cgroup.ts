/** Which cgroup of version 2 is this, is it frozen, who is in it, and are we? (cgroups(7), cgroup-v2 document of the kernel) */
import {existsSync, readdirSync, readFileSync, statfsSync, statSync, watch} from 'node:fs';
import {once} from 'node:events';
import {dirname, join} from 'node:path';
import {below, readFreezerMounts, readGroups} from './cgroup-freezer.js';
import {hasCode} from './system-error.js';
import type {System} from './system.js';

const CGROUP2_SUPER_MAGIC = 0x63677270; // linux/magic.h

/** True when it is the directory of a cgroup v2 with a freezer; the root has none. */
export function hasFreezer(directory: string): boolean {
  return existsSync(join(directory, 'cgroup.freeze')) && statfsSync(directory).type === CGROUP2_SUPER_MAGIC;
}

/** True when this cgroup itself was told to freeze, whatever its parents were told. */
export function isToldToFreeze(directory: string): boolean {
  return readFileSync(join(directory, 'cgroup.freeze'), 'utf8').trim() === '1';
}

/** True when everything in it stands still, by the kernel's own word, or when it was removed, which only an empty one can be. */
function isFrozen(directory: string): boolean {
  try {
    return /^frozen 1$/m.test(readFileSync(join(directory, 'cgroup.events'), 'utf8'));
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENODEV')) return true;
    throw error;
  }
}

/** Waits until everything in it stands still. The kernel reports each change as an event of the file. Rejects with signal.reason. */
export async function untilFrozen(directory: string, signal: AbortSignal): Promise<void> {
  const watcher = watch(join(directory, 'cgroup.events'));
  try {
    while (!isFrozen(directory)) await once(watcher, 'change', {signal});
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    watcher.close();
  }
}

/** Paths of the cgroups that this process is in, as /proc names them: version 2, and that of systemd. */
export function ownPaths(system: System): string[] {
  const text = readFileSync(`${system.procRoot}/self/cgroup`, 'utf8');
  return [...text.matchAll(/^\d+:(?:name=systemd)?:(.*)$/gm)].map(([, path = '']) => path);
}

/** True when this process is in that cgroup or in one below it, so that stopping it would stop us. */
export function containsUs(system: System, directory: string): boolean {
  const wanted = statSync(directory);
  const ours = readGroups(`${system.procRoot}/self`).filter(({version}) => version === 2);
  for (const mount of readFreezerMounts(system).filter(({version}) => version === 2)) {
    for (const {path} of ours) {
      const rest = below(mount, path);
      if (rest !== undefined && isAtOrAbove(wanted, join(mount.point, rest), mount.point)) return true;
    }
  }
  return false;
}

/** Is it `start`, or one of its parents up to `end`? By inode, for a directory has many names. */
function isAtOrAbove(wanted: {dev: number; ino: number}, start: string, end: string): boolean {
  for (let place = start; place.startsWith(end); place = dirname(place)) {
    const here = statSync(place, {throwIfNoEntry: false});
    if (here?.dev === wanted.dev && here.ino === wanted.ino) return true;
    if (place === '/' || place === end) return false;
  }
  return false;
}

function pidsIn(directory: string): number[] {
  try {
    return readFileSync(join(directory, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean).map(Number);
  } catch (error) {
    // Removed meanwhile, or one that has only threads.
    if (hasCode(error, 'ENOENT', 'ENODEV', 'EOPNOTSUPP')) return [];
    throw error;
  }
}

/** The processes in a cgroup and below it. */
export function processesIn(directory: string): number[] {
  const children = readdirSync(directory, {withFileTypes: true}).filter(entry => entry.isDirectory());
  return [...pidsIn(directory), ...children.flatMap(({name}) => processesIn(join(directory, name)))];
}
