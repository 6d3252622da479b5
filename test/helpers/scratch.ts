/** Where does a test work? In a directory of its own, with roots of its own. */
import {mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import type {ExecutionContext} from 'ava';
import {type GuardedConfig, openConfigLock} from '../../lib/recovery/guarded-config.js';

/** What ends, and takes with it what was made for it: a test, or a program of the tests. */
export type Ends = Pick<ExecutionContext, 'teardown'>;

/** Directory, configuration file and roots of one test. */
export interface Scratch {
  readonly directory: string;
  readonly file: string;
  readonly roots: {readonly run: string; readonly state: string; readonly bits: string};
}

export const OLD = 'gain = 7\n';
export const NEW = 'gain = 9\n';

/** Makes a scratch directory that goes when the test has ended. */
export function scratch(t: Ends, base: string = tmpdir()): Scratch {
  const directory = mkdtempSync(join(base, 'locksmith-test-'));
  t.teardown(() => rmSync(directory, {recursive: true, force: true}));
  mkdirSync(join(directory, 'etc'));
  const file = join(directory, 'etc', 'aim_lock_config.conf');
  writeFileSync(file, OLD);
  const run = join(directory, 'run');
  return {directory, file, roots: {run, state: join(directory, 'state'), bits: join(run, 'bits')}};
}

export async function openScratch({file, roots}: Scratch): Promise<GuardedConfig> {
  return openConfigLock(file, roots);
}
