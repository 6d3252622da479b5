/** Where does the file of a situation lie? */
import {mkdirSync, readFileSync, statSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {setImmediate} from 'node:timers/promises';
import type {Scene} from './situation.js';
import {sh, type Stage, start} from './stage.js';

/** Big enough for a loop device. */
const CONTENT = 'gain = 7\n'.repeat(1000);

/** A new file on the stage. */
export function newFile(stage: Stage, name = 'settings.conf', directory = stage.directory): string {
  const file = join(directory, name);
  writeFileSync(file, CONTENT);
  return file;
}

/** A new directory on the stage. */
export function newDirectory(stage: Stage, name: string): string {
  const directory = join(stage.directory, name);
  mkdirSync(directory);
  return directory;
}

/** Mounts, for as long as the stage stands; arguments as of mount(8), the last is the directory. */
export function mount(stage: Stage, ...args: [...string[], string]): string {
  const directory = args.at(-1) as string;
  sh('mount', ...args);
  stage.onEnd(() => sh('umount', '-l', directory));
  return directory;
}

/**
 * Resolves when so many wait for locks of a file, in the kernel's own table. Nothing in Linux announces that a
 * process begins to wait, so this looks again and again.
 */
export async function untilBlocked(file: string, count: number): Promise<void> {
  const row = new RegExp(`-> .*:${statSync(file).ino} `);
  const waiting = () =>
    readFileSync('/proc/locks', 'utf8')
      .split('\n')
      .filter(line => row.test(line)).length;
  while (waiting() < count) await setImmediate();
}

/** A scene where the observation must not open the file (inotify(7) counts that; O_PATH is no opening). */
export async function unopened(stage: Stage, scene: Scene & {readonly file: string}): Promise<Scene> {
  const opens = await start(stage, 'opens', scene.file);
  return {
    ...scene,
    async harm() {
      const [count = '?'] = await opens.leave();
      return count === '0' ? undefined : `the file was opened ${count} times`;
    },
  };
}
