/** Is the lock bit set, and at which epoch? One interface over the kernel's bits and over plain files. */
import {existsSync, statfsSync} from 'node:fs';
import {native} from './native.js';
import {check, errnoOf} from './system-error.js';

/** SYSFS_MAGIC (linux/magic.h). */
const SYSFS_MAGIC = 0x62656572;

/** `kernel`: an attribute of the module, below /sys/locks. `soft`: a plain file in the same layout. */
export type BitKind = 'kernel' | 'soft';

/** The bit of one lock: survives whoever set it. All methods throw SystemError for what the kernel refuses. */
export interface LockBit {
  readonly kind: BitKind;
  /** The file that holds the bit: `.../NAME/conf_locked`. */
  readonly path: string;
  read(): 0 | 1;
  /** Fencing token of the last acquisition or handover. */
  epoch(): number;
  /** Test-and-set; returns the epoch that is now in force. EBUSY: it is set. ESTALE: the epoch is not `expected`. */
  set(expected: number, next: number): number;
  /** Compare-and-clear. ESTALE: the epoch is another. EALREADY: it is clear. */
  clear(epoch: number): void;
  /** Compares the epoch and raises it while the bit stays 1; returns the epoch in force. ESTALE as above. */
  handover(expected: number, next: number): number;
}

function softBit(directory: string): LockBit {
  const path = `${directory}/conf_locked`;
  return {
    kind: 'soft',
    path,
    read: () => check<0 | 1>(native.readBit(path), 'read', path),
    epoch: () => check<number>(native.readEpoch(`${directory}/epoch`), 'read', `${directory}/epoch`),
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

/** The kernel gives the epochs itself: `next` is ignored and what it gave is read back. */
function kernelBit(directory: string): LockBit {
  const path = `${directory}/conf_locked`;
  const write = (file: string, text: string) =>
    check(native.writeAttribute(`${directory}/${file}`, `${text}\n`), 'write', `${directory}/${file}`);
  const epoch = () => check<number>(native.readEpoch(`${directory}/epoch`), 'read', `${directory}/epoch`);
  return {
    kind: 'kernel',
    path,
    read: () => check<0 | 1>(native.readBit(path), 'read', path),
    epoch,
    set(expected) {
      if (epoch() !== expected) check(-errnoOf('ESTALE'), 'write', path);
      write('conf_locked', '1');
      return epoch();
    },
    clear(known) {
      write('release', String(known));
    },
    handover(expected) {
      write('handover', String(expected));
      return epoch();
    },
  };
}

/** Opens the bit of a lock: the kind follows from the file system that the directory is on. */
export function openLockBit(directory: string): LockBit {
  const kernel = existsSync(directory) && statfsSync(directory).type === SYSFS_MAGIC;
  return kernel ? kernelBit(directory) : softBit(directory);
}
