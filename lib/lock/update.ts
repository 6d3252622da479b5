/** How does a configuration change? Whole, validated, fenced: shadow, fsync, validate, compare the epoch, rename. */
import {createHash} from 'node:crypto';
import {constants, type Stats} from 'node:fs';
import {type FileHandle, open, readFile, rename, stat} from 'node:fs/promises';
import {dirname} from 'node:path';
import {isLockError, LockError} from '../errors.js';
import {syncDirectory} from '../os/durable.js';
import {native} from '../os/native.js';
import {errnoName, hasCode, SystemError} from '../os/system-error.js';
import type {OwnedConfig} from './owned-config.js';
import {removeIfThere, shadowPath} from './shadow.js';

/** Makes the next content from the current one. */
export type NextContent = (current: Buffer) => string | Uint8Array | Promise<string | Uint8Array>;

export interface UpdateOptions {
  /** Refuses the content by throwing. The shadow is complete at that path, and so is `content`. */
  readonly validate?: (shadow: string, content: Buffer) => void | Promise<void>;
  /** Ends the update before its rename; the promise rejects with its reason. */
  readonly signal?: AbortSignal | undefined;
  /** Starts a comment line in this file's language, `#` say: the stamp then also becomes the last line. */
  readonly comment?: string | undefined;
  /** The roll-out that this content comes from, for the stamp. */
  readonly origin?: Origin | undefined;
}

/** A roll-out, and which of its two epochs. */
export interface Origin {
  readonly rollout: string;
  readonly epoch: number;
}

export interface UpdateResult {
  readonly epoch: number;
  readonly sha256: string;
  readonly bytes: number;
  /** False where the file system has no user extended attributes, so that the file carries no stamp. */
  readonly stamped: boolean;
}

/** Extended attribute that says who wrote a content (xattr(7)). */
export const STAMP = 'user.locksmith.stamp';

export function sha256(content: Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}

/** SHA-256 of a file; null when there is none. */
export async function hashFile(path: string): Promise<string | null> {
  try {
    return sha256(await readFile(path));
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return null;
    throw error;
  }
}

const STAMP_LINE = 'last touched by ';

/** The content with the stamp as its last line, in the place of an older stamp. */
function withComment(content: Buffer, comment: string, owned: OwnedConfig): Buffer {
  const text = content.toString('utf8').replace(/\n?$/, '\n');
  const lines = text.split('\n').filter(line => !line.startsWith(`${comment} ${STAMP_LINE}`));
  const {node, pid} = owned.owner;
  lines[lines.length - 1] =
    `${comment} ${STAMP_LINE}${node} pid ${pid} @ ${new Date().toISOString()} epoch ${owned.epoch}`;
  return Buffer.from(`${lines.join('\n')}\n`);
}

/** Stamps an open file; false where its file system can't. */
function stamp(
  handle: FileHandle,
  path: string,
  owned: OwnedConfig,
  hash: string,
  origin: Origin | undefined,
): boolean {
  const {node, pid, bootId} = owned.owner;
  const text = JSON.stringify({
    lock: owned.name,
    node,
    bootId,
    pid,
    epoch: owned.epoch,
    sha256: hash,
    time: new Date().toISOString(),
    ...(origin && {origin}),
  });
  const result = native.setXattr(handle.fd, STAMP, Buffer.from(text));
  if (result < 0 && !['EOPNOTSUPP', 'ENOSPC', 'E2BIG'].includes(errnoName(result)))
    throw new SystemError(result, 'fsetxattr', path);
  return result >= 0;
}

/** Gives the shadow the mode and the owner of the file that it will replace. */
async function copyOwnership(handle: FileHandle, like: Stats): Promise<void> {
  const own = await handle.stat();
  if (own.uid !== like.uid || own.gid !== like.gid) await handle.chown(like.uid, like.gid);
  await handle.chmod(like.mode & 0o7777);
}

async function writeShadow(
  path: string,
  content: Buffer,
  like: Stats,
  owned: OwnedConfig,
  origin: Origin | undefined,
): Promise<boolean> {
  const handle = await open(
    path,
    constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW,
    0o600,
  );
  try {
    await handle.writeFile(content);
    await copyOwnership(handle, like);
    const stamped = stamp(handle, path, owned, sha256(content), origin);
    await handle.sync();
    return stamped;
  } finally {
    await handle.close();
  }
}

async function validateShadow(
  owned: OwnedConfig,
  path: string,
  content: Buffer,
  {validate}: UpdateOptions,
): Promise<void> {
  try {
    await validate?.(path, content);
  } catch (cause) {
    const said = cause instanceof Error ? cause.message : String(cause);
    throw new LockError(
      'ERR_VALIDATION',
      `the validator refused the new content of ${owned.file}: ${said}`,
      {lock: owned.name, path: owned.file},
      {cause},
    );
  }
}

/** The rename, fenced by the kernel: whoever raised the epoch has removed our shadow. */
async function commit(owned: OwnedConfig, shadow: string): Promise<void> {
  owned.checkFence();
  try {
    owned.tell({event: 'committing', epoch: owned.epoch});
    await rename(shadow, owned.file);
    owned.tell({event: 'committed', epoch: owned.epoch});
  } catch (error) {
    if (hasCode(error, 'ENOENT')) owned.checkFence();
    throw error;
  }
}

/** Undoes what an update that failed has begun. When we are fenced, the record is not ours to write. */
async function rollBack(owned: OwnedConfig, shadow: string, error: unknown): Promise<void> {
  await removeIfThere(shadow);
  if (!isLockError(error, 'ERR_FENCED')) owned.endUpdate();
}

/**
 * Replaces the content of a configuration that we own. A reader sees the old or the new file, never a mixture.
 * Throws ERR_FENCED, ERR_VALIDATION, ERR_NOT_DURABLE, or SystemError; before the rename nothing is changed then.
 */
export async function updateConfig(
  owned: OwnedConfig,
  next: NextContent,
  options: UpdateOptions,
): Promise<UpdateResult> {
  options.signal?.throwIfAborted();
  const current = await readFile(owned.file);
  const given = Buffer.from((await next(current)) as Uint8Array);
  const content = options.comment === undefined ? given : withComment(given, options.comment, owned);
  const hash = sha256(content);
  const shadow = shadowPath(owned.file, owned.epoch);
  owned.planUpdate({from: sha256(current), to: hash});
  let stamped: boolean;
  try {
    stamped = await writeShadow(shadow, content, await stat(owned.file), owned, options.origin);
    await validateShadow(owned, shadow, content, options);
    options.signal?.throwIfAborted();
    await commit(owned, shadow);
  } catch (error) {
    await rollBack(owned, shadow, error);
    throw error;
  }
  await confirm(owned);
  owned.endUpdate();
  return {epoch: owned.epoch, sha256: hash, bytes: content.length, stamped};
}

async function confirm(owned: OwnedConfig): Promise<void> {
  try {
    await syncDirectory(dirname(owned.file));
  } catch (cause) {
    throw new LockError(
      'ERR_NOT_DURABLE',
      `${owned.file} has its new content, but its directory could not be synced`,
      {lock: owned.name, path: owned.file},
      {cause},
    );
  }
}
