/** How is a lock bit of the kernel module used? Its files mean what docs/sysfs-locks says. */
import {accessSync, constants, existsSync} from 'node:fs';
import {join} from 'node:path';
import type {BitOwner, LockBit, OpenBit} from './lock-bit.js';
import {native} from './native.js';
import type {System} from './system.js';
import {check, errnoOf, hasCode, SystemError} from './system-error.js';

/** Where the module keeps its bits: `/sys/locks`. */
export function kernelBits({sysRoot}: System): string {
  return join(sysRoot, 'locks');
}

/** Is the module loaded? */
export function hasKernelBits(system: System): boolean {
  return existsSync(join(kernelBits(system), 'create'));
}

/** May we make a lock of that name in the kernel, which must not be there yet? */
export function mayCreateKernelBit(system: System, name: string): boolean {
  const root = kernelBits(system);
  if (!hasKernelBits(system) || existsSync(join(root, name))) return false;
  try {
    accessSync(join(root, 'create'), constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function read(path: string): string {
  return check<string>(native.readAttribute(path), 'read', path);
}

function readEpoch(path: string): number {
  return check<number>(native.readEpoch(path), 'read', path);
}

function write(path: string, value: string | number): void {
  check(native.writeAttribute(path, `${value}\n`), 'write', path);
}

function parseOwner(text: string, path: string): BitOwner | null {
  if (text === 'none\n') return null;
  const match = /^(\d+) (alive|dead)\n$/.exec(text);
  if (!match) throw new SystemError(errnoOf('EBADMSG'), 'read', path);
  return {pid: Number(match[1]), alive: match[2] === 'alive'};
}

/**
 * Makes sure that the kernel's next epoch is at least `next`. Only a lock that had a higher one can need that: the clock
 * was set back before the module was loaded anew. The parameter reads as the last epoch given to any lock, and what is
 * written to it is a floor.
 */
function raiseEpochs(root: string, next: number): void {
  const base = join(root, '../module/locksmith/parameters/epoch_base');
  if (readEpoch(base) < next - 1) write(base, next - 1);
}

export function kernelBit(root: string, name: string): LockBit {
  const directory = join(root, name);
  const file = (attribute: string) => join(directory, attribute);
  const path = file('conf_locked');
  const readValue = () => check<0 | 1>(native.readBit(path), 'read', path);
  const epoch = () => readEpoch(file('epoch'));
  const release = (known: number) => write(file('release'), known);
  // The kernel knows whose it is: nothing needs to stay open for that.
  const open: OpenBit = {
    read: readValue,
    epoch,
    set(expected, next) {
      if (epoch() !== expected) throw new SystemError(errnoOf('ESTALE'), 'write', path);
      raiseEpochs(root, next);
      write(path, 1);
      return epoch();
    },
    clear: release,
    close() {},
    [Symbol.dispose]() {},
  };
  return {
    kind: 'kernel',
    directory,
    path,
    read: readValue,
    epoch,
    owner: () => parseOwner(read(file('owner')), file('owner')),
    open: () => open,
    handover(expected, next, {forced, confirm}) {
      raiseEpochs(root, next);
      confirm();
      write(file(forced ? 'force' : 'handover'), expected);
      return epoch();
    },
    clearConfirmed(known, confirm) {
      confirm();
      release(known);
    },
    staged: [],
  };
}

/** Makes a lock in the kernel; one that is there already is as good. Throws SystemError: EACCES, ENOSPC. */
export function createKernelBit(root: string, name: string): void {
  try {
    write(join(root, 'create'), name);
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error;
  }
}

/** Removes a lock from the kernel. Throws SystemError: EBUSY while its bit is set, ENOENT when there is none. */
export function removeKernelBit(root: string, name: string): void {
  write(join(root, 'remove'), name);
}
