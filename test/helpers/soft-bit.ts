/** What does a test do with a soft bit of its own? The library's ways of taking it from somebody else, with results like the addon's. */
import {basename, dirname} from 'node:path';
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

const bitIn = (directory: string) => softBit(dirname(directory), basename(directory));

const always: Confirm = () => undefined;

/** Keeps the bit set and raises its epoch: 0 or -errno. */
export function softBitHandover(directory: string, expected: number, next: number, confirm = always): number {
  return result(() => bitIn(directory).handover(expected, next, {forced: false, confirm}));
}

/** Clears the bit of somebody else: 0 or -errno. */
export function softBitWithdraw(directory: string, epoch: number, confirm = always): number {
  return result(() => bitIn(directory).clearConfirmed(epoch, confirm));
}
