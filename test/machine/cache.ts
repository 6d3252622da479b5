/** Where is kept what is expensive to get, so that an interrupt leaves nothing half done? */
import {existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync} from 'node:fs';
import {homedir} from 'node:os';
import {dirname, join} from 'node:path';
import {hasCode} from '../../lib/os/system-error.js';

const LOGS_KEPT = 20;

function cacheFolder(env: NodeJS.ProcessEnv): string {
  return (
    env['LOCKSMITH_VM_CACHE'] ?? join(env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'locksmith-vm')
  );
}

function alive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return !hasCode(error, 'ESRCH');
  }
}

/** Several runs may share it. It can be deleted at any time when none of them is under way. */
export class Cache {
  readonly folder: string;

  constructor(folder = cacheFolder(process.env)) {
    this.folder = folder;
    mkdirSync(this.#work, {recursive: true});
    this.#clearWork();
    process.once('exit', () => this.#clearWork(process.pid));
  }

  /** An empty folder of this process, on the same file system as what is kept, that goes with the process. */
  scratch(): string {
    return mkdtempSync(join(this.#work, `${process.pid}-`));
  }

  /** The folder `name`. When it is not there, `make` fills a scratch folder, which then gets that name. */
  async keep(name: string, make: (folder: string) => Promise<void>): Promise<string> {
    const kept = join(this.folder, name);
    if (existsSync(kept)) return kept;
    const fresh = this.scratch();
    await make(fresh);
    mkdirSync(dirname(kept), {recursive: true});
    try {
      renameSync(fresh, kept);
    } catch (error) {
      // Another run was faster, with the same content.
      if (!hasCode(error, 'ENOTEMPTY') && !hasCode(error, 'EEXIST')) throw error;
    }
    return kept;
  }

  /** A new path for a log, which outlives this run; only the newest few are kept. */
  logPath(name: string): string {
    const folder = join(this.folder, 'logs');
    mkdirSync(folder, {recursive: true});
    for (const old of readdirSync(folder).toSorted().slice(0, -LOGS_KEPT)) rmSync(join(folder, old));
    return join(folder, `${new Date().toISOString().replaceAll(':', '')}-${process.pid}-${name}.log`);
  }

  get #work(): string {
    return join(this.folder, 'work');
  }

  /** Removes scratch folders, of one process or of all that are gone. */
  #clearWork(only?: number): void {
    for (const name of existsSync(this.#work) ? readdirSync(this.#work) : []) {
      const pid = Number.parseInt(name, 10);
      if (only === undefined ? !alive(pid) : pid === only) {
        rmSync(join(this.#work, name), {recursive: true, force: true});
      }
    }
  }
}
