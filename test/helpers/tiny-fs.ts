/** Where does a test meet a full or a read-only disk? On a tmpfs of its own, which root can mount. */
import {spawnSync} from 'node:child_process';
import {mkdtempSync, rmdirSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import type {ExecutionContext} from 'ava';

function sh(...command: string[]): void {
  const [file = '', ...args] = command;
  const {status, stderr} = spawnSync(file, args, {encoding: 'utf8'});
  if (status !== 0) throw new Error(`${command.join(' ')}: ${stderr}`);
}

function mount(t: ExecutionContext, size: string): string {
  const path = mkdtempSync(join(tmpdir(), 'locksmith-tiny-'));
  sh('mount', '-t', 'tmpfs', '-o', `size=${size},mode=755`, 'locksmith-test', path);
  t.teardown(() => {
    sh('umount', '-l', path);
    rmdirSync(path);
  });
  return path;
}

/** Mounting needs root: for `testAsRoot`. */
export const tinyFileSystem = {
  mount,
  remount(path: string, options: string): void {
    sh('mount', '-o', `remount,${options}`, path);
  },
};
