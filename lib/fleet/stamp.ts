/** Which roll-out did the content of a file come from? Its stamp says so, also where this node's own record is lost or older. */
import {closeSync, constants, openSync, readFileSync} from 'node:fs';
import {z} from 'zod';
import {type Origin, sha256, STAMP} from '../lock/update.js';
import {native} from '../os/native.js';
import {hasCode} from '../os/system-error.js';

const stamp = z.looseObject({
  sha256: z.string(),
  origin: z.object({rollout: z.string(), epoch: z.int().min(1)}),
});

function parseStamp(bytes: Buffer): z.infer<typeof stamp> | undefined {
  try {
    return stamp.safeParse(JSON.parse(bytes.toString())).data;
  } catch {
    return undefined;
  }
}

/** A file as it is. */
export interface Stamped {
  /** null: there is no file. */
  readonly sha256: string | null;
  /** The roll-out that wrote this very content; undefined when none did, or no stamp says so. */
  readonly origin: Origin | undefined;
}

/** Reads a file and its stamp. A stamp of another content says nothing: whoever edits in place leaves it. */
export function readStamped(path: string): Stamped {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return {sha256: null, origin: undefined};
    throw error;
  }
  try {
    const hash = sha256(readFileSync(fd));
    const read = native.getXattr(fd, STAMP);
    const found = typeof read === 'number' ? undefined : parseStamp(read);
    return {sha256: hash, origin: found?.sha256 === hash ? found.origin : undefined};
  } finally {
    closeSync(fd);
  }
}
