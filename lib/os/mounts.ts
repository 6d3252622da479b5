/** Which device and inode does the lock table use for a file? Not always those of stat(): see proc_locks(5), proc_pid_mountinfo(5). */
import {fstatSync} from 'node:fs';
import {native} from './native.js';
import {readText} from './read-text.js';
import type {System} from './system.js';
import {check} from './system-error.js';

/** A file as the kernel's lock table names it: the superblock's device and the inode's own number. */
export interface FileId {
  readonly major: number;
  readonly minor: number;
  readonly inode: bigint;
}

/** One mounted file system, as a process sees it. */
export interface Mount {
  readonly major: number;
  readonly minor: number;
  /** What of the file system is mounted: `/`, or less for a bind mount of a part. */
  readonly root: string;
  /** Where it is mounted. */
  readonly point: string;
  readonly type: string;
  /** Options of the file system itself, not of this mount of it. */
  readonly options: readonly string[];
}

/** Linux's O_PATH (fcntl.h); node:fs has no name for it. Opens without any right to the content, and without waiting. */
const O_PATH = 0o10000000;

/** A path in mountinfo: space, tab, newline, backslash and # are octal escapes (proc_pid_mountinfo(5)). */
function unescape(path: string): string {
  return path.replaceAll(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 8)));
}

/** The mounts that a process sees, by mount id. */
export function readMounts(system: System, pid: number | 'self' = 'self'): Map<number, Mount> {
  const mounts = new Map<number, Mount>();
  for (const line of readText(`${system.procRoot}/${pid}/mountinfo`).split('\n')) {
    // What is mounted may have an empty name, and then there are two blanks before the options.
    const match = /^(\d+) \d+ (\d+):(\d+) (\S+) (\S+) .*? - (\S+) (?:.* )?(\S*)$/.exec(line);
    if (!match) continue;
    const [, id, major, minor, root = '', point = '', type = '', options = ''] = match;
    mounts.set(Number(id), {
      major: Number(major),
      minor: Number(minor),
      root: unescape(root),
      point: unescape(point),
      type,
      options: options.split(','),
    });
  }
  return mounts;
}

function mountsOf(system: System, pid: number): Map<number, Mount> {
  try {
    return readMounts(system, pid);
  } catch {
    return new Map();
  }
}

/** Tells whether a descriptor, known by inode and mount, is open on a file. A mount that we don't see is looked up with the process that does. */
export function isOpenOn(
  system: System,
): (descriptor: {pid: number; mountId: number; inode: bigint}, file: FileId) => boolean {
  let ours: Map<number, Mount> | undefined;
  const others = new Map<number, Map<number, Mount>>();
  return ({pid, mountId, inode}, file) => {
    if (inode !== file.inode) return false;
    ours ??= readMounts(system);
    if (!ours.has(mountId) && !others.has(pid)) others.set(pid, mountsOf(system, pid));
    const mount = ours.get(mountId) ?? others.get(pid)?.get(mountId);
    return mount !== undefined && mount.major === file.major && mount.minor === file.minor;
  };
}

/** A file that was found, and stays the one that is meant even if its name is given to another. */
export interface PinnedFile extends Disposable {
  readonly id: FileId;
  /** A name that leads to this very file, whatever is done to its path. */
  readonly path: string;
}

/** Looks a file up and keeps it. Follows symbolic links. Throws SystemError where there is no such file. */
export function pinFile(system: System, path: string | Buffer): PinnedFile {
  const fd = check<number>(native.open(path, O_PATH, 0), 'open', String(path));
  try {
    return {id: idOf(system, fd), path: `/proc/self/fd/${fd}`, [Symbol.dispose]: () => native.close(fd)};
  } catch (error) {
    native.close(fd);
    throw error;
  }
}

/** Looks a file up. Follows symbolic links. Throws SystemError where there is no such file. */
export function fileId(system: System, path: string | Buffer): FileId {
  using file = pinFile(system, path);
  return file.id;
}

function idOf(system: System, fd: number): FileId {
  const info = readText(`${system.procRoot}/self/fdinfo/${fd}`);
  const status = fstatSync(fd, {bigint: true});
  const inode = /^ino:\s*(\d+)$/m.exec(info)?.[1];
  const mount = readMounts(system).get(Number(/^mnt_id:\s*(\d+)$/m.exec(info)?.[1]));
  // A mount of another mount namespace (a path through /proc/PID/fd or root) is not among ours; then stat() has to do.
  const {major, minor} = mount ?? deviceOf(status.dev);
  return {major, minor, inode: inode === undefined ? status.ino : BigInt(inode)};
}

/** Takes a device number of stat(2) apart, as glibc's gnu_dev_major() and gnu_dev_minor() do (makedev(3)). */
export function deviceOf(device: bigint): {major: number; minor: number} {
  return {
    major: Number(((device >> 8n) & 0xfffn) | ((device >> 32n) & 0xfffff000n)),
    minor: Number((device & 0xffn) | ((device >> 12n) & 0xffffff00n)),
  };
}
