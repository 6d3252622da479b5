/** How is a lock bit kept where the kernel keeps none? As two plain files, which know no owner. */
import {constants, existsSync, mkdirSync, renameSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import type {LockBit, OpenBit} from './lock-bit.js';
import {native} from './native.js';
import {change, type Confirm} from './staged.js';
import {check} from './system-error.js';

const FLAGS = constants.O_RDWR | constants.O_NOFOLLOW;

/** Both files of a bit, which who takes it by force replaces: what is written to these then is nobody's any more. */
class OpenSoftBit implements OpenBit {
  readonly #path: string;
  readonly #epochPath: string;
  readonly #bit: number;
  readonly #epoch: number;
  #closed = false;

  /** In this order (native/lock_bit.cc). */
  constructor(path: string, epochPath: string) {
    this.#path = path;
    this.#epochPath = epochPath;
    this.#bit = check<number>(native.open(path, FLAGS, 0), 'open', path);
    const epoch = native.open(epochPath, FLAGS, 0);
    if (epoch < 0) native.close(this.#bit);
    this.#epoch = check<number>(epoch, 'open', epochPath);
  }

  read(): 0 | 1 {
    return check<0 | 1>(native.readOpenBit(this.#bit), 'read', this.#path);
  }

  epoch(): number {
    return check<number>(native.readOpenEpoch(this.#epoch), 'read', this.#epochPath);
  }

  set(expected: number, next: number): number {
    check(native.softBitSet(this.#bit, this.#epoch, expected, next), 'write', this.#path);
    return next;
  }

  clear(epoch: number): void {
    this.#closed = true;
    check(native.softBitClear(this.#bit, this.#epoch, epoch), 'write', this.#path);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    native.close(this.#epoch);
    native.close(this.#bit);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

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
    open: () => new OpenSoftBit(path, epochPath),
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
