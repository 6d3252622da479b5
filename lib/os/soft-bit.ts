/** How is a lock bit kept where the kernel keeps none? As two plain files, which know no owner. */
import {existsSync, mkdirSync, renameSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import type {LockBit} from './lock-bit.js';
import {native} from './native.js';
import {change, type Confirm} from './staged.js';
import {check} from './system-error.js';

export function softBit(root: string, name: string): LockBit {
  const directory = join(root, name);
  const path = join(directory, 'conf_locked');
  const epochPath = join(directory, 'epoch');
  const staged = [join(directory, '.epoch.new'), join(directory, '.conf_locked.new')];
  const replace = (expected: number, next: number, value: 0 | 1, confirm: Confirm) =>
    change({
      staged,
      stage: () => check(native.softBitStage(directory, expected, next, value), 'write', path),
      confirm,
      commit: () => check(native.softBitCommit(directory), 'rename', path),
    });
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
    handover(expected, next, {confirm}) {
      replace(expected, next, 1, confirm);
      return next;
    },
    clearConfirmed(epoch, confirm) {
      replace(epoch, epoch, 0, confirm);
    },
    staged,
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
