/** What is a situation? A lock that is held, waited for, hidden or looks held, made for real, and the truth about it. */
import {spawnSync} from 'node:child_process';
import {existsSync, readdirSync, readFileSync} from 'node:fs';
import {fileURLToPath} from 'node:url';
import type {Stage} from './stage.js';

/** Where a lock can be without a descriptor of a process. */
export type Place = 'socket' | 'io_uring' | 'mapping' | 'loop';

/** null: the kernel itself. */
export interface Suspect {
  readonly pid: number | null;
  readonly place: Place;
}

/** What whoever set it up knows. */
export interface Truth {
  readonly state: 'FREE' | 'ALIVE' | 'FROZEN' | 'UNKNOWN';
  /** Pids, as the observer sees them. */
  readonly holders: readonly number[];
  readonly waiters?: readonly number[];
  /** Where it may be. Sockets of others with descriptors in their queues, of which a machine has some, are no mistake. */
  readonly suspects?: readonly Suspect[];
  /** It is one of the suspects, or rather the holder for whoever can exclude everybody else. */
  readonly byExclusion?: boolean;
  /** Only where it is the point. */
  readonly complete?: boolean;
  /** The processes that share a description, for each description that holds a lock; only where it is the point. */
  readonly descriptions?: readonly (readonly number[])[];
}

/** A situation that stands. */
export interface Scene {
  readonly file: string | Buffer;
  readonly truth: Truth;
  /** What others, who hold nothing, are called: `{'the dead taker': 4711}`. */
  readonly extras?: Readonly<Record<string, number>>;
  /** The command that puts an observer into its place; it ends with the observer's own command. */
  readonly as?: readonly string[];
  /** The answer must come while something hangs: the observer is a process of its own, that can be ended. */
  readonly apart?: boolean;
  /** What the observation has done that it may not; undefined: nothing. */
  harm?(): Promise<string | undefined>;
}

/** One row of the table. */
export interface Situation {
  /** A sentence. */
  readonly title: string;
  /** Why it is hard. */
  readonly why: string;
  readonly needs?: readonly Need[];
  make(stage: Stage): Promise<Scene>;
}

/** What not every machine has. */
export interface Need {
  readonly what: string;
  isThere(): boolean;
}

function has(command: string): boolean {
  return spawnSync('sh', ['-c', 'command -v "$1"', 'sh', command], {stdio: 'ignore'}).status === 0;
}

function knowsFileSystem(name: string): boolean {
  return new RegExp(`\\b${name}$`, 'm').test(readFileSync('/proc/filesystems', 'utf8'));
}

/** Where a cgroup hierarchy is mounted (cgroups(7)): version 2, or version 1 with the freezer. */
export function cgroupRoot(version: 1 | 2): string | undefined {
  const pattern = version === 2 ? /^\S+ (\S+) cgroup2 /m : /^\S+ (\S+) cgroup \S*\bfreezer\b/m;
  return pattern.exec(readFileSync('/proc/mounts', 'utf8'))?.[1];
}

/** As root of a container one may not look at everything, for example at a pid 1 that has more capabilities. */
export function seesEverything(): boolean {
  try {
    for (const pid of readdirSync('/proc').filter(name => /^\d+$/.test(name))) {
      if (existsSync(`/proc/${pid}`)) readdirSync(`/proc/${pid}/fdinfo`);
    }
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'EACCES';
  }
}

/** The command in front of an observer who owns nothing. */
export const AS_NOBODY = ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups'] as const;

const here = fileURLToPath(import.meta.url);

export const ROOT: Need = {what: 'root', isThere: () => process.getuid?.() === 0};
export const FREEZER_V1: Need = {
  what: 'the freezer of cgroup version 1, which this machine does not mount',
  isThere: () => cgroupRoot(1) !== undefined,
};
export const FREEZER_V2: Need = {
  what: 'cgroup version 2, which this machine does not mount',
  isThere: () => cgroupRoot(2) !== undefined,
};
export const IO_URING: Need = {
  what: 'io_uring, which this machine forbids',
  isThere: () => {
    const setting = '/proc/sys/kernel/io_uring_disabled';
    return existsSync(setting) && readFileSync(setting, 'utf8').trim() !== '2';
  },
};
export const LOOP: Need = {what: 'loop devices', isThere: () => existsSync('/dev/loop-control')};
export const FUSE: Need = {what: '/dev/fuse', isThere: () => existsSync('/dev/fuse')};
export const OVERLAY: Need = {what: 'overlayfs', isThere: () => knowsFileSystem('overlay')};
export const BTRFS: Need = {
  what: 'btrfs and mkfs.btrfs (Debian: btrfs-progs)',
  isThere: () => knowsFileSystem('btrfs') && has('mkfs.btrfs'),
};
export const NOBODY: Need = {
  what: 'a checkout that every user may read',
  isThere: () => spawnSync(AS_NOBODY[0], [...AS_NOBODY.slice(1), 'cat', here]).status === 0,
};

/** What is missing to make a situation here; undefined: nothing. */
export function missingFor({needs = []}: Situation): string | undefined {
  const missing = [{what: 'a C compiler', isThere: () => has('cc')}, ...needs].find(need => !need.isThere());
  return missing?.what;
}
