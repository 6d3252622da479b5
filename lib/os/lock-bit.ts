/** Is the lock bit set, by whom, and at which epoch? One interface over the kernel's bits and over plain files. */
import {existsSync, statfsSync} from 'node:fs';
import {createKernelBit, kernelBit} from './kernel-bit.js';
import type {Confirm} from './staged.js';
import {createSoftBit, softBit} from './soft-bit.js';

/** `kernel`: attributes of the module, below /sys/locks. `soft`: plain files in the same layout. */
export type BitKind = 'kernel' | 'soft';

/** The process that set a bit, as the kernel knows it. */
export interface BitOwner {
  /** In our pid namespace; 0 when it has no pid there. */
  readonly pid: number;
  /** False is final: it is never said of a process that merely has the pid. */
  readonly alive: boolean;
}

/** A bit in the hands of its owner: to set, and to clear, until somebody takes it from him. */
export interface OpenBit extends Disposable {
  read(): 0 | 1;
  /** As it was set; once it was taken by force, that of a soft bit is the old one for ever. */
  epoch(): number;
  /**
   * Test-and-set; returns the epoch that is now in force: `next` of a soft bit, at least `next` of the kernel's. EBUSY: it is
   * set. EOWNERDEAD: it is set, and the kernel knows that its owner is dead. ESTALE: the epoch is not `expected`.
   */
  set(expected: number, next: number): number;
  /**
   * Compare-and-clear, and closes it whatever comes of that. ESTALE: the epoch is another. EALREADY: it is clear. EBUSY: the kernel knows
   * that another owner lives.
   */
  clear(epoch: number): void;
  /** Closing twice does nothing. */
  close(): void;
}

/** The bit of one lock: survives whoever set it. All methods throw SystemError for what the kernel refuses. */
export interface LockBit {
  readonly kind: BitKind;
  /** The directory of the bit; a watch on it (inotify(7)) tells each change, and for kernel bits the owner's death. */
  readonly directory: string;
  /** The file that holds the bit: `.../NAME/conf_locked`. */
  readonly path: string;
  read(): 0 | 1;
  /** Fencing token of the last acquisition or handover. */
  epoch(): number;
  /** Who set the bit: null when it is clear, undefined where nobody keeps that (soft bits). */
  owner(): BitOwner | null | undefined;
  /** For whoever is to become its owner, and stays it until it is closed. */
  open(): OpenBit;
  /**
   * Compares the epoch and raises it while the bit stays 1; returns the epoch in force, as OpenBit.set does. ESTALE as above. The kernel
   * refuses to take from a living owner (EBUSY) unless it is forced, and wants CAP_SYS_ADMIN for that (EPERM).
   */
  handover(
    expected: number,
    next: number,
    how: {readonly forced: boolean; readonly confirm: Confirm},
  ): number;
  /** As OpenBit.clear, by whoever took the bit over with `handover`, who has the guard. */
  clearConfirmed(epoch: number, confirm: Confirm): void;
  /** Where the next state of the bit waits until it is confirmed, see staged.ts; none for the kernel's, which changes at a write. */
  readonly staged: readonly string[];
}

/** SYSFS_MAGIC (linux/magic.h). */
const SYSFS_MAGIC = 0x62656572;

/** Which kind of bits a directory holds: that follows from the file system that it is on. */
export function bitKindOf(directory: string): BitKind {
  return existsSync(directory) && statfsSync(directory).type === SYSFS_MAGIC ? 'kernel' : 'soft';
}

/** The bit in a directory, below a directory of bits. Touches nothing yet. */
export function openLockBit(root: string, name: string): LockBit {
  return bitKindOf(root) === 'kernel' ? kernelBit(root, name) : softBit(root, name);
}

/**
 * Makes a bit that is clear; one that is there already is left as it is. A soft bit starts at the epoch that
 * `firstEpoch` gives; the kernel's tells its own. Returns the epoch in force.
 */
export async function createLockBit(
  root: string,
  name: string,
  firstEpoch: () => Promise<number>,
): Promise<number> {
  if (bitKindOf(root) === 'kernel') createKernelBit(root, name);
  else await createSoftBit(root, name, firstEpoch);
  return openLockBit(root, name).epoch();
}
