/** Where does the next content wait? Shadows: complete files beside the configuration, named by the epoch that wrote them. */
import {readdir, unlink} from 'node:fs/promises';
import {basename, dirname, join} from 'node:path';
import {hasCode} from '../os/system-error.js';
import {syncDirectory} from '../os/durable.js';

/** Path of the shadow that the owner of an epoch writes. */
export function shadowPath(file: string, epoch: number): string {
  return join(dirname(file), `.${basename(file)}.shadow.${epoch}`);
}

/** All shadows of a file, with the epochs that they are named by. */
export async function listShadows(file: string): Promise<{path: string; epoch: number}[]> {
  const prefix = `.${basename(file)}.shadow.`;
  const names = await readdir(dirname(file));
  return names
    .filter(name => name.startsWith(prefix) && /^\d+$/.test(name.slice(prefix.length)))
    .map(name => ({path: join(dirname(file), name), epoch: Number(name.slice(prefix.length))}));
}

/**
 * Removes every shadow of an older epoch. This is the fence: an owner that was frozen before its rename finds its
 * source gone. So it comes after the epoch was raised, and before anything is called clean.
 */
export async function removeShadowsBelow(file: string, epoch: number): Promise<string[]> {
  const old = (await listShadows(file)).filter(shadow => shadow.epoch < epoch).map(shadow => shadow.path);
  for (const path of old) await removeIfThere(path);
  if (old.length > 0) await syncDirectory(dirname(file));
  return old;
}

/** Removes a file; that it is gone already is fine. */
export async function removeIfThere(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error;
  }
}
