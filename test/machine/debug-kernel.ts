/** How do we get a kernel that checks itself? It is built once, from Debian's sources, and kept. */
import {createHash} from 'node:crypto';
import {copyFileSync, mkdirSync, readFileSync} from 'node:fs';
import {availableParallelism} from 'node:os';
import {join} from 'node:path';
import type {Cache} from './cache.js';
import {run} from './command.js';
import {type Kernel, unpack} from './debian.js';
import {step} from './progress.js';

const SOURCE = 'linux-source-6.12';
const MAKE = ['make', '-s', 'CC=gcc-12', 'HOSTCC=gcc-12'];

const settings = (text: string) => text.split('\n').filter(line => line.startsWith('CONFIG_'));

/** The settings of a fragment that a kernel's .config does not have: some other setting stands in their way. */
export function missingSettings(fragment: string, config: string): string[] {
  const has = new Set(settings(config));
  return settings(fragment).filter(line =>
    line.endsWith('=n') ? has.has(line.replace(/=n$/, '=y')) : !has.has(line),
  );
}

/** On top of a kernel that can do nothing. */
async function configure(tree: string, fragment: string): Promise<void> {
  await run([...MAKE, 'tinyconfig'], {cwd: tree});
  await run(['scripts/kconfig/merge_config.sh', '-m', '.config', fragment], {cwd: tree});
  await run([...MAKE, 'olddefconfig'], {cwd: tree});
  const missing = missingSettings(
    readFileSync(fragment, 'utf8'),
    readFileSync(join(tree, '.config'), 'utf8'),
  );
  if (missing.length > 0) throw new Error(`${fragment}: the kernel does not take ${missing.join(', ')}`);
}

/** Fills `into` with the image, and with what it takes to build modules: a thousandth of what was compiled. */
async function build(fragment: string, name: string, scratch: string, into: string): Promise<void> {
  await step(`downloading ${SOURCE}`, async () => {
    await unpack([SOURCE], scratch);
    await run(['tar', '--extract', '--file', join(scratch, 'usr/src', `${SOURCE}.tar.xz`)], {cwd: scratch});
  });
  const tree = join(scratch, SOURCE);
  await configure(tree, fragment);
  // The name makes the release one of its own, so that no module of another kernel is taken for one of this.
  const make = [...MAKE, `-j${availableParallelism()}`, `LOCALVERSION=-${name}`];
  await step('compiling it', () => run([...make, 'bzImage', 'modules'], {cwd: tree}));
  copyFileSync(join(tree, 'arch/x86/boot/bzImage'), join(into, 'image'));
  mkdirSync(join(into, 'build'));
  const install = `KBUILD_RUN_COMMAND=scripts/package/install-extmod-build ${join(into, 'build')}`;
  await run([...make, 'run-command', install], {cwd: tree});
}

/** The kernel with the checkers of debug.config; only another configuration makes a new one. */
export async function debugKernel(cache: Cache, fragment: string): Promise<Kernel> {
  const hash = createHash('sha256').update(readFileSync(fragment)).digest('hex').slice(0, 8);
  const name = `debug-${hash}`;
  const folder = await cache.keep(join('debug-kernels', name), into =>
    step('building the debug kernel, once', () => build(fragment, name, cache.scratch(), into)),
  );
  const buildTree = join(folder, 'build');
  const release = readFileSync(join(buildTree, 'include/config/kernel.release'), 'utf8').trim();
  return {release, image: join(folder, 'image'), buildTree};
}
