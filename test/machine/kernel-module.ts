/** Does the module build, without a warning, for a kernel? */
import {createHash} from 'node:crypto';
import {copyFileSync, readdirSync, readFileSync} from 'node:fs';
import {join} from 'node:path';
import type {Cache} from './cache.js';
import {CommandFailed, run} from './command.js';
import type {Kernel} from './debian.js';

/** The name that insmod and rmmod know. */
export const MODULE = 'locksmith';

const MAKE = [
  // What Kbuild calls W=1 are the warnings that reviewers of the kernel ask about.
  'W=1',
  'KCFLAGS=-Werror',
  // The 6.12 headers have a vmlinux with type information: pahole would be needed, to no use of ours.
  'CONFIG_DEBUG_INFO_BTF_MODULES=',
];

/** Leaves out what an earlier build by hand may have left behind. */
function sourceFiles(folder: string): string[] {
  return readdirSync(folder)
    .filter(name => (/\.[ch]$/.test(name) && !name.endsWith('.mod.c')) || name === 'Kbuild')
    .toSorted();
}

function keyOf(kernel: Kernel, sources: string): string {
  const hash = createHash('sha256').update([kernel.release, ...MAKE].join('\n'));
  for (const name of sourceFiles(sources)) hash.update(name).update(readFileSync(join(sources, name)));
  return hash.digest('hex').slice(0, 16);
}

/** Builds a copy of the sources: Kbuild writes next to them. modpost's warnings are no errors to make. */
async function build(kernel: Kernel, sources: string, folder: string): Promise<void> {
  for (const name of sourceFiles(sources)) copyFileSync(join(sources, name), join(folder, name));
  const command = ['make', '-s', '-C', kernel.buildTree, `M=${folder}`, ...MAKE, 'modules'];
  const {stdout, stderr} = await run(command);
  if (/warning/i.test(stdout + stderr)) throw new CommandFailed(command, stdout + stderr);
}

/** Path of the module for a kernel. Throws CommandFailed when it does not build, or not without a warning. */
export async function buildModule(cache: Cache, kernel: Kernel, sources: string): Promise<string> {
  const folder = await cache.keep(
    join('modules', `${kernel.release}-${keyOf(kernel, sources)}`),
    async kept => {
      const scratch = cache.scratch();
      await build(kernel, sources, scratch);
      copyFileSync(join(scratch, `${MODULE}.ko`), join(kept, `${MODULE}.ko`));
    },
  );
  return join(folder, `${MODULE}.ko`);
}
