/** What does a test do with a soft bit of its own? What its owner does, and whoever takes it from him, with results like the addon's. */
import {basename, dirname} from 'node:path';
import type {LockBit} from '../../lib/os/lock-bit.js';
import {softBit} from '../../lib/os/soft-bit.js';
import type {Confirm} from '../../lib/os/staged.js';
import {SystemError} from '../../lib/os/system-error.js';

function result(act: () => unknown): number {
  try {
    act();
    return 0;
  } catch (error) {
    if (error instanceof SystemError) return error.errno;
    throw error;
  }
}

/** The bit whose files are in a directory. */
export const bitIn = (directory: string): LockBit => softBit(dirname(directory), basename(directory));

const always: Confirm = () => undefined;

/** Sets the bit as who becomes its owner: 0 or -errno. */
export function softBitSet(directory: string, expected: number, next: number): number {
  return result(() => {
    using open = bitIn(directory).open();
    open.set(expected, next);
  });
}

/** Clears it as its owner: 0 or -errno. */
export function softBitClear(directory: string, epoch: number): number {
  return result(() => bitIn(directory).open().clear(epoch));
}

/** Keeps the bit set and raises its epoch: 0 or -errno. */
export function softBitHandover(directory: string, expected: number, next: number, confirm = always): number {
  return result(() => bitIn(directory).handover(expected, next, {forced: false, confirm}));
}

/** Clears the bit of somebody else: 0 or -errno. */
export function softBitWithdraw(directory: string, epoch: number, confirm = always): number {
  return result(() => bitIn(directory).clearConfirmed(epoch, confirm));
}
