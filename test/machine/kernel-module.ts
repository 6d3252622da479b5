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
  // What all these kernels were built with.
  'CC=gcc-12',
  // The warnings that reviewers of the kernel ask about.
  'W=1',
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
  // In the kernel's log a WARNING names its line: say the file that people edit.
  const flags = `KCFLAGS=-Werror -fmacro-prefix-map=${folder}=${sources}`;
  const command = ['make', '-s', '-C', kernel.buildTree, `M=${folder}`, ...MAKE, flags, 'modules'];
  const said = await run(command).catch((error: unknown) => error as CommandFailed);
  const output = said instanceof CommandFailed ? said.output : said.stdout + said.stderr;
  if (said instanceof CommandFailed || /warning/i.test(output)) {
    throw new CommandFailed(command, output.replaceAll(folder, sources));
  }
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
