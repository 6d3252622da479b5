/** May a file be believed? What it says is done with our rights, so only one that nobody else can write. */
import {closeSync, constants, fstatSync, openSync, readFileSync, type Stats} from 'node:fs';
import {hasCode} from '../../os/system-error.js';
import type {System} from '../../os/system.js';

/** More than anybody writes by hand, in bytes. */
const LONGEST_FILE = 1024 * 1024;

const others = (mode: number) => `(mode ${(mode & 0o7777).toString(8)})`;

/** Why a file or directory must not be believed; undefined when it may. Rights that an access list gives to somebody show in the bits of the group (acl(5)). */
export function distrust({uid}: System, {uid: owner, mode}: Stats): string | undefined {
  if (owner !== 0 && owner !== uid)
    return `it belongs to uid ${owner}; what it says would be done as uid ${uid}`;
  if (mode & 0o022) return `others may write to it ${others(mode)}; what it says would be done as uid ${uid}`;
  return undefined;
}

/** What else is demanded of a file. */
export interface Demands {
  /** Nobody else may read it either. */
  readonly secret?: boolean;
  /** It may be a link to the file, as certificates often are. */
  readonly linked?: boolean;
}

function open(path: string, linked: boolean): number {
  const flags = constants.O_RDONLY | constants.O_NONBLOCK | (linked ? 0 : constants.O_NOFOLLOW);
  try {
    return openSync(path, flags);
  } catch (cause) {
    if (hasCode(cause, 'ELOOP')) throw new Error('it is a symbolic link: put the file itself here', {cause});
    throw cause;
  }
}

function refusal(system: System, stat: Stats, secret: boolean): string | undefined {
  if (!stat.isFile()) return 'it is no regular file';
  if (stat.size > LONGEST_FILE) return `it is longer than ${LONGEST_FILE} bytes`;
  if (secret && stat.mode & 0o077) return `others may read it ${others(stat.mode)}: chmod 600`;
  return distrust(system, stat);
}

/**
 * The content of a file that may be believed. Opening waits for nobody, and follows no link out of a directory that may be
 * believed. Throws errors of node:fs, or says why it must not be believed.
 */
export function readTrusted(
  system: System,
  path: string,
  {secret = false, linked = false}: Demands = {},
): Buffer {
  const fd = open(path, linked);
  try {
    const why = refusal(system, fstatSync(fd), secret);
    if (why !== undefined) throw new Error(why);
    return readFileSync(fd);
  } finally {
    closeSync(fd);
  }
}
