/** Which device and inode does the lock table use for a file? Not always those of stat(): see proc_locks(5), proc_pid_mountinfo(5). */
import {readFileSync} from 'node:fs';
import {native} from './native.js';
import type {System} from './system.js';
import {check} from './system-error.js';

/** A file as the kernel's lock table names it: the superblock's device and the inode's own number. */
export interface FileId {
  readonly major: number;
  readonly minor: number;
  readonly inode: bigint;
}

/** Linux's O_PATH (fcntl.h); node:fs has no name for it. Opens without any right to the content, and without waiting. */
const O_PATH = 0o10000000;

/** Devices of the mounts that a process sees, by mount id. */
export function readMounts(
  system: System,
  pid: number | 'self' = 'self',
): Map<number, {major: number; minor: number}> {
  const mounts = new Map<number, {major: number; minor: number}>();
  for (const line of readFileSync(`${system.procRoot}/${pid}/mountinfo`, 'utf8').split('\n')) {
    const match = /^(\d+) \d+ (\d+):(\d+) /.exec(line);
    if (match) mounts.set(Number(match[1]), {major: Number(match[2]), minor: Number(match[3])});
  }
  return mounts;
}

/** Looks a file up. Follows symbolic links. Throws SystemError where there is no such file. */
export function fileId(system: System, path: string): FileId {
  const fd = check<number>(native.open(path, O_PATH, 0), 'open', path);
  try {
    const info = readFileSync(`${system.procRoot}/self/fdinfo/${fd}`, 'utf8');
    const inode = /^ino:\s*(\d+)$/m.exec(info)?.[1];
    const mount = readMounts(system).get(Number(/^mnt_id:\s*(\d+)$/m.exec(info)?.[1]));
    if (inode === undefined || mount === undefined) throw new Error(`no mount is known for ${path}`);
    return {...mount, inode: BigInt(inode)};
  } finally {
    native.close(fd);
  }
}
