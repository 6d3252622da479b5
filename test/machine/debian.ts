/** Which kernel of a series does Debian ship today, and how do we get it without installing it? */
import {existsSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import type {Cache} from './cache.js';
import {CommandFailed, run} from './command.js';
import {note, step} from './progress.js';

/** A kernel that can be booted, and modules be built for. */
export interface Kernel {
  readonly release: string;
  readonly image: string;
  /** Where `make -C` builds modules. */
  readonly buildTree: string;
}

/** Why there is no kernel, and what to do about it. */
export class KernelUnavailable extends Error {}

/** The packages that a package depends on, in apt's lists as they are. Empty for one that apt does not know. */
async function dependencies(...packages: string[]): Promise<string[]> {
  try {
    const {stdout} = await run(['apt-cache', 'depends', ...packages]);
    return [...stdout.matchAll(/^ [ |]Depends: ([^<\s]+)$/gm)].map(match => match[1] ?? '');
  } catch (error) {
    if (error instanceof CommandFailed) return [];
    throw error;
  }
}

function newestKept(cache: Cache, series: string): string | undefined {
  const folder = join(cache.folder, 'kernels');
  return (existsSync(folder) ? readdirSync(folder) : [])
    .filter(name => name.startsWith(`${series}.`))
    .toSorted((a, b) => a.localeCompare(b, 'en', {numeric: true}))
    .at(-1);
}

async function updateLists(): Promise<boolean> {
  if (process.getuid?.() !== 0) return false;
  try {
    await step('apt-get update', () => run(['apt-get', '-qq', 'update']));
    return true;
  } catch (error) {
    note(error instanceof CommandFailed ? error.output : String(error));
    return false;
  }
}

/** Downloads packages into a folder and unpacks them there. Needs no root. */
export async function unpack(packages: readonly string[], folder: string): Promise<void> {
  // The user that apt downloads as may not write here; it would say so and go on as root.
  await run(['apt-get', '-qq', '-o', 'APT::Sandbox::User=root', 'download', ...packages], {cwd: folder});
  for (const file of readdirSync(folder).filter(name => name.endsWith('.deb'))) {
    await run(['dpkg-deb', '--extract', join(folder, file), folder]);
    rmSync(join(folder, file));
  }
}

/** The image, and the headers with what they include and the programs that build with them. */
async function download(release: string, folder: string): Promise<void> {
  const headers = `linux-headers-${release}`;
  const more = (await dependencies(headers)).filter(name => /^linux-(headers|kbuild)-/.test(name));
  await unpack([`linux-image-${release}`, headers, ...more], folder);
  // Nothing is loaded in the machine but our own module.
  for (const modules of ['lib/modules', 'usr/lib/modules']) {
    rmSync(join(folder, modules), {recursive: true, force: true});
  }
  // The one absolute path. A relative one lets the cache move; make reads it in the folder of the headers.
  const makefile = join(folder, 'usr/src', headers, 'Makefile');
  writeFileSync(makefile, readFileSync(makefile, 'utf8').replace('include /usr/src/', 'include ../'));
}

function kernelIn(tree: string, release: string): Kernel {
  return {
    release,
    image: join(tree, 'boot', `vmlinuz-${release}`),
    buildTree: join(tree, 'usr/src', `linux-headers-${release}`),
  };
}

/** The kernels of some series ("6.12"). What apt says is asked for once: it takes a second. */
export class DebianKernels {
  readonly #cache: Cache;
  readonly #metaPackages: readonly string[];
  #offered: Promise<string[]>;

  constructor(cache: Cache, series: readonly string[]) {
    this.#cache = cache;
    // The series of the distribution itself has the meta package without a number.
    this.#metaPackages = [...series, ''].map(name => `linux-image-${name}-cloud-amd64`.replace('--', '-'));
    this.#offered = dependencies(...this.#metaPackages);
  }

  /** The newest kernel that apt offers; without apt's help the newest that was downloaded before. */
  async newest(series: string): Promise<Kernel> {
    let release = await this.#release(series);
    if (release === undefined && newestKept(this.#cache, series) === undefined) {
      release = await this.#releaseAfterUpdate(series);
    }
    if (release === undefined) {
      return this.#fallBack(series, `apt offers no cloud kernel ${series} (Debian 12 does: apt-get update)`);
    }
    try {
      return await this.#keep(release);
    } catch (error) {
      if (!(error instanceof CommandFailed)) throw error;
      return this.#afterFailure(series, error);
    }
  }

  /** The release that a meta package points to: it changes with each security update. */
  async #release(series: string): Promise<string | undefined> {
    const name = (await this.#offered).find(offer => offer.startsWith(`linux-image-${series}.`));
    return name?.slice('linux-image-'.length);
  }

  async #releaseAfterUpdate(series: string): Promise<string | undefined> {
    if (!(await updateLists())) return undefined;
    this.#offered = dependencies(...this.#metaPackages);
    return this.#release(series);
  }

  /** Old lists name packages that the mirrors have replaced. */
  async #afterFailure(series: string, failure: CommandFailed): Promise<Kernel> {
    const release = await this.#releaseAfterUpdate(series);
    return release === undefined
      ? this.#fallBack(series, `${failure.message}\n${failure.output}`)
      : this.#keep(release);
  }

  /** Takes an older kernel of the series rather than none. */
  #fallBack(series: string, why: string): Promise<Kernel> {
    const kept = newestKept(this.#cache, series);
    if (kept === undefined) throw new KernelUnavailable(why);
    note(`${why}; going on with Linux ${kept} of the last time`);
    return this.#keep(kept);
  }

  async #keep(release: string): Promise<Kernel> {
    const tree = await this.#cache.keep(join('kernels', release), folder =>
      step(`downloading Linux ${release}`, () => download(release, folder)),
    );
    return kernelIn(tree, release);
  }
}
