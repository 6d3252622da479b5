/** Which locks are there? Each that comes is watched until it goes. */
import {type FSWatcher, lstatSync, mkdirSync, watch} from 'node:fs';
import {join} from 'node:path';
import {listNames, type Roots} from '../lock/layout.js';
import type {System} from '../os/system.js';
import {findConfigLock, type GuardedConfig} from '../recovery/guarded-config.js';
import type {Deaths} from './deaths.js';
import type {Tell} from './events.js';
import {type LockListener, WatchedLock} from './watched-lock.js';

export interface Surroundings {
  readonly system: System;
  readonly roots: Roots;
}

interface Known {
  readonly lock: WatchedLock;
  /** Of its directory: a lock that was removed and made anew is another one. */
  readonly inode: bigint | undefined;
}

function inodeOf(directory: string): bigint | undefined {
  return lstatSync(directory, {bigint: true, throwIfNoEntry: false})?.ino;
}

/** All locks below RUN, until it is disposed. */
export class Watcher implements Disposable {
  readonly #surroundings: Surroundings;
  readonly #deaths: Deaths;
  readonly #listener: LockListener;
  readonly #tell: Tell;
  readonly #known = new Map<string, Known>();
  readonly #directory: FSWatcher;
  #closed = false;

  constructor(surroundings: Surroundings, deaths: Deaths, listener: LockListener, tell: Tell) {
    this.#surroundings = surroundings;
    this.#deaths = deaths;
    this.#listener = listener;
    this.#tell = tell;
    const directory = join(surroundings.roots.run, 'locks');
    mkdirSync(directory, {recursive: true});
    this.#directory = watch(directory, () => this.discover());
    this.#directory.on('error', error => this.#trouble(directory, error));
  }

  get locks(): WatchedLock[] {
    return [...this.#known.values()].map(({lock}) => lock);
  }

  get(name: string): WatchedLock | undefined {
    return this.#known.get(name)?.lock;
  }

  /** Watches what has come, and forgets what has gone. */
  discover(): void {
    if (this.#closed) return;
    const {system, roots} = this.#surroundings;
    const names = new Set(listNames(roots));
    for (const [name, {lock, inode}] of this.#known)
      if (!names.has(name) || inodeOf(lock.config.paths.directory) !== inode) this.#forget(name, lock);
    for (const name of names) {
      if (this.#known.has(name)) continue;
      try {
        const config = findConfigLock(name, {...roots, system});
        if (config) this.#add(name, config);
      } catch (error) {
        this.#trouble(`the lock ${name}`, error);
      }
    }
  }

  #add(name: string, config: GuardedConfig): void {
    const inode = inodeOf(config.paths.directory);
    this.#tell({event: 'appeared', lock: name, file: config.file});
    this.#known.set(name, {lock: new WatchedLock(config, this.#deaths, this.#listener), inode});
  }

  #forget(name: string, lock: WatchedLock): void {
    this.#known.delete(name);
    lock[Symbol.dispose]();
    this.#tell({event: 'disappeared', lock: name});
  }

  #trouble(what: string, error: unknown): void {
    this.#tell({event: 'trouble', what, error});
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    this.#directory.close();
    for (const {lock} of this.#known.values()) lock[Symbol.dispose]();
    this.#known.clear();
  }
}
