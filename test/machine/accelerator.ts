/** Does KVM work here? /dev/kvm can be there, open, and even run some instructions, and yet no Linux. */
import {accessSync, constants, existsSync, readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import type {Cache} from './cache.js';
import {step} from './progress.js';
import {type Accelerator, runMachine} from './qemu.js';

/** A kernel without a disk gets that far, within a second or two. */
const REACHED = /Kernel panic - not syncing: VFS: Unable to mount root/;
const LIMIT_SECONDS = 10;

function canOpen(path: string): boolean {
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

async function startsWithKvm(cache: Cache, kernel: string): Promise<boolean> {
  const console = join(cache.scratch(), 'console');
  const limits = {limitSeconds: LIMIT_SECONDS, parameters: []};
  await runMachine({kernel, console, accelerator: 'kvm', ...limits}, () => undefined);
  return existsSync(console) && REACHED.test(readFileSync(console, 'utf8'));
}

/** Tries it once after each start of this host, and remembers. */
export async function chooseAccelerator(cache: Cache, kernel: string): Promise<Accelerator> {
  if (!canOpen('/dev/kvm')) return 'tcg';
  const memory = join(cache.folder, 'accelerator');
  const host = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  const [when, known] = existsSync(memory) ? readFileSync(memory, 'utf8').split(/\s/) : [];
  if (when === host && (known === 'kvm' || known === 'tcg')) return known;
  const works = await step('trying whether KVM works', () => startsWithKvm(cache, kernel));
  const accelerator = works ? 'kvm' : 'tcg';
  writeFileSync(memory, `${host} ${accelerator}\n`);
  return accelerator;
}
