/** Does a cgroup freezer keep a thread from running? (cgroups(7), cgroup-v2 and v1 freezer documents of the kernel) */
import {closeSync, existsSync, fstatSync, openSync, readFileSync} from 'node:fs';
import {deviceOf, type Mount, readMounts} from './mounts.js';
import {readText} from './read-text.js';
import type {System} from './system.js';

/** Where a cgroup hierarchy with a freezer is mounted, as we see it. Its root is not `/` for a bind mount of a part, as in containers. */
interface FreezerMount extends Mount {
  readonly version: 1 | 2;
}

/** How each version tells it. The kernel says so in a cgroup's own file also when it was a parent that was frozen. */
const TOLD = {
  1: {file: 'freezer.state', frozen: /^(?:FROZEN|FREEZING)$/m, label: ' (v1)'},
  2: {file: 'cgroup.events', frozen: /^frozen 1$/m, label: ''},
} as const;

/** The hierarchies that have a freezer and are mounted somewhere that we see. */
export function readFreezerMounts(system: System): FreezerMount[] {
  return Array.from(readMounts(system).values()).flatMap((mount): FreezerMount[] => {
    if (mount.type === 'cgroup2') return [{...mount, version: 2}];
    return mount.type === 'cgroup' && mount.options.includes('freezer') ? [{...mount, version: 1}] : [];
  });
}

/** The cgroups of a thread that may have a freezer: `0::PATH` is version 2. */
export function readGroups(directory: string): {version: 1 | 2; path: string}[] {
  const groups: {version: 1 | 2; path: string}[] = [];
  for (const line of readText(`${directory}/cgroup`).split('\n')) {
    const [, id, controllers = '', path = ''] = /^(\d+):([^:]*):(.*)$/.exec(line) ?? [];
    if (id === '0') groups.push({version: 2, path});
    else if (controllers.split(',').includes('freezer')) groups.push({version: 1, path});
  }
  return groups;
}

/** The path of a cgroup below a mount; undefined where that mount does not show it. */
export function below({root}: FreezerMount, path: string): string | undefined {
  if (root === '/') return path.startsWith('/..') ? undefined : path;
  if (path === root) return '';
  return path.startsWith(`${root}/`) ? path.slice(root.length) : undefined;
}

/** Reads a file of a mount; undefined where there is none, or where another mount covers the place. */
function readOn(mount: Mount, name: string): string | undefined {
  // The root of a hierarchy has no such file, and is where most processes are: an exception for each would cost time.
  if (!existsSync(name)) return undefined;
  let fd: number;
  try {
    fd = openSync(name, 'r');
  } catch {
    return undefined;
  }
  try {
    const {major, minor} = deviceOf(fstatSync(fd, {bigint: true}).dev);
    return major === mount.major && minor === mount.minor ? readFileSync(fd, 'utf8') : undefined;
  } catch {
    return undefined;
  } finally {
    closeSync(fd);
  }
}

/** Says whether a thread's cgroup is frozen; remembers what it has read, for the threads of one process share most. */
export class FreezerReader {
  readonly #system: System;
  readonly #known = new Map<string, boolean>();
  #mounts: FreezerMount[] | undefined;

  constructor(system: System) {
    this.#system = system;
  }

  /** In words; undefined when it is not frozen, and when its cgroup can't be seen: then nothing is guessed. */
  frozen(directory: string): string | undefined {
    for (const {version, path} of readGroups(directory)) {
      if (this.#isFrozen(version, path)) return `its cgroup ${path} is frozen${TOLD[version].label}`;
    }
    return undefined;
  }

  #isFrozen(version: 1 | 2, path: string): boolean {
    const key = `${version}${path}`;
    const known = this.#known.get(key) ?? this.#look(version, path);
    this.#known.set(key, known);
    return known;
  }

  #look(version: 1 | 2, path: string): boolean {
    this.#mounts ??= readFreezerMounts(this.#system);
    for (const mount of this.#mounts) {
      const rest = mount.version === version ? below(mount, path) : undefined;
      if (rest === undefined) continue;
      const text = readOn(mount, `${mount.point}${rest}/${TOLD[version].file}`);
      if (text !== undefined) return TOLD[version].frozen.test(text);
    }
    return false;
  }
}
