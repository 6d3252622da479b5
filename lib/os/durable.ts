/** How does a file change so that a crash or a power cut leaves the old or the new one, whole? */
import {constants, fsync} from 'node:fs';
import {open, rename, unlink} from 'node:fs/promises';
import {dirname} from 'node:path';
import {promisify} from 'node:util';

/** Makes what was renamed or removed in a directory survive a power cut (fsync(2)). */
export async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Replaces a file by a complete new one, durably. `scratch` is a path on the same file system that nobody else uses. */
export async function replaceFile(
  path: string,
  scratch: string,
  content: string | Uint8Array,
): Promise<void> {
  try {
    const handle = await open(
      scratch,
      constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW,
      0o644,
    );
    try {
      await handle.writeFile(content);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(scratch, path);
  } catch (error) {
    await unlink(scratch).catch(() => undefined);
    throw error;
  }
  await syncDirectory(dirname(path));
}

/** Makes what was written to a descriptor survive a power cut. */
export const syncDescriptor: (fd: number) => Promise<void> = promisify(fsync);
