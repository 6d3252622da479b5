/** How is a lock bit kept where the kernel keeps none? As two plain files, which know no owner. */
import {existsSync, mkdirSync, renameSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import type {LockBit} from './lock-bit.js';
import {native} from './native.js';
import {check} from './system-error.js';

export function softBit(root: string, name: string): LockBit {
  const directory = join(root, name);
  const path = join(directory, 'conf_locked');
  const epochPath = join(directory, 'epoch');
  return {
    kind: 'soft',
    directory,
    path,
    read: () => check<0 | 1>(native.readBit(path), 'read', path),
    epoch: () => check<number>(native.readEpoch(epochPath), 'read', epochPath),
    owner: () => undefined,
    set(expected, next) {
      check(native.softBitSet(directory, expected, next), 'write', path);
      return next;
    },
    clear(epoch) {
      check(native.softBitClear(directory, epoch), 'write', path);
    },
    handover(expected, next) {
      check(native.softBitHandover(directory, expected, next), 'rename', path);
      return next;
    },
  };
}

/** Makes the files beside their place and renames them there, so that no bit is ever seen half made. */
export async function createSoftBit(
  root: string,
  name: string,
  firstEpoch: () => Promise<number>,
): Promise<void> {
  if (existsSync(join(root, name))) return;
  const epoch = await firstEpoch();
  const fresh = join(root, `.new.${name}`);
  mkdirSync(fresh);
  writeFileSync(join(fresh, 'conf_locked'), '0\n');
  writeFileSync(join(fresh, 'epoch'), `${epoch}\n`);
  renameSync(fresh, join(root, name));
}
