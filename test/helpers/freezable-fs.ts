/** Where does a disk hang? Under a file system of its own, which root can freeze: every write and sync waits until it is thawed. */
import {execFile} from 'node:child_process';
import {mkdirSync} from 'node:fs';
import {join} from 'node:path';
import {promisify} from 'node:util';
import {type Ends, scratch} from './scratch.js';

const run = promisify(execFile);

export class FreezableFs {
  readonly path: string;
  #frozen = false;

  private constructor(path: string) {
    this.path = path;
  }

  /** Mounting needs root: for `testAsRoot`. Thawed and unmounted with the test. */
  static async mount(t: Ends): Promise<FreezableFs> {
    const {directory} = scratch(t);
    const [image, path] = [join(directory, 'image'), join(directory, 'mounted')];
    mkdirSync(path);
    await run('truncate', ['--size', '512M', image]);
    await run('mke2fs', ['-q', '-t', 'ext4', image]);
    await run('mount', ['-o', 'loop', image, path]);
    const mounted = new FreezableFs(path);
    t.teardown(async () => {
      await mounted.thaw();
      await run('umount', ['--lazy', path]);
    });
    return mounted;
  }

  async freeze(): Promise<void> {
    this.#frozen = true;
    await run('fsfreeze', ['--freeze', this.path]);
  }

  async thaw(): Promise<void> {
    if (!this.#frozen) return;
    await run('fsfreeze', ['--unfreeze', this.path]);
    this.#frozen = false;
  }
}
