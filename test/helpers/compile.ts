/** How does a program in C come from a source of the tests? */
import {execFileSync} from 'node:child_process';

/** Compiles it, with warnings as errors; without what a sanitizer wants to be loaded first, which is for the addon. */
export function compileProgram(source: string, program: string, ...options: readonly string[]): void {
  const flags = ['-O2', '-Wall', '-Wextra', '-Werror', ...options];
  const env = {...process.env, LD_PRELOAD: ''};
  execFileSync('cc', [...flags, '-o', program, source], {stdio: 'inherit', env});
}
