/**
 * Which fencing token comes next, so that none is ever given twice?
 *
 * Epochs come in blocks of 2^20. A block is numbered by the second of its reservation, or by the number after
 * the last one reserved if that is higher, and is written down durably before one of its epochs is used. Each
 * block belongs to one lock. So an acquisition costs no fsync, and an epoch neither repeats after a reboot, nor
 * after the clock was set back, nor when a lock is removed and made again. Below 2^53 until the year 2242.
 */
import {constants} from 'node:fs';
import {join} from 'node:path';
import {LockError} from '../errors.js';
import {replaceFile} from '../os/durable.js';
import {LockFile} from '../os/lock-file.js';
import {readText} from '../os/read-text.js';
import {hasCode} from '../os/system-error.js';
import type {System} from '../os/system.js';

/** Epochs in a block. */
export const BLOCK = 2 ** 20;

function readHighWater(path: string): number {
  let text: string;
  try {
    text = readText(path);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return 0;
    throw error;
  }
  const block = Number(text);
  if (!/^\d+\n$/.test(text) || !Number.isSafeInteger(block * BLOCK)) {
    throw new LockError(
      'ERR_EPOCH_CORRUPT',
      `${path} should hold one number, the last block of epochs that was given`,
      {path},
    );
  }
  return block;
}

/** Writes down durably which block is in use, and returns it. `choose` gets the last one that was. */
async function useBlock(state: string, choose: (last: number) => number): Promise<number> {
  const path = join(state, 'epoch');
  using mutex = LockFile.open(`${path}.lock`, {flags: constants.O_RDWR | constants.O_CREAT});
  await mutex.wait('exclusive');
  const last = readHighWater(path);
  const block = choose(last);
  if (block > last) await replaceFile(path, `${path}.new`, `${block}\n`);
  return block;
}

/** Reserves a block durably and gives its first epoch. */
export async function reserveEpoch(system: System, state: string): Promise<number> {
  const clock = Math.floor(system.now() / 1000);
  return BLOCK * (await useBlock(state, last => Math.max(clock, last + 1)));
}

/** The epoch after `current`: the next of its block, or the first of a new block when that one is used up. */
export async function nextEpoch(system: System, state: string, current: number): Promise<number> {
  const next = current + 1;
  // Not by %, which takes longer for a number of this size than all else here.
  return Math.floor(next / BLOCK) * BLOCK === next ? reserveEpoch(system, state) : next;
}

/**
 * Writes down durably how far the kernel has come, which gives its epochs itself: whoever loads the module after
 * the next boot starts it above (modprobe.d). Costs nothing while the block is the same.
 */
export async function noteEpoch(state: string, before: number, epoch: number): Promise<void> {
  const block = Math.floor(epoch / BLOCK);
  if (block !== Math.floor(before / BLOCK)) await useBlock(state, () => block);
}
