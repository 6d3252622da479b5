/** What is known of one lock, from moment to moment? Its files, its bit and the end of its owner are events. */
import {type FSWatcher, watch} from 'node:fs';
import type {Owner} from '../lock/owner-record.js';
import {Coalesced} from '../os/coalesced.js';
import type {Death} from '../os/death.js';
import type {Incarnate} from '../os/process.js';
import {ownerOnRecord} from '../recovery/claim.js';
import type {GuardedConfig} from '../recovery/guarded-config.js';
import {examineAnyway} from '../recovery/report.js';
import type {Verdict} from '../recovery/verdict.js';
import type {Deaths} from './deaths.js';

/** What a glance at bit, epoch and record shows. Undefined is what can't be read. */
export interface Glance {
  readonly bit: 0 | 1 | undefined;
  readonly epoch: number | undefined;
  readonly owner: Owner | null;
  /** The kernel says that who set the bit has ended; it tells that of a soft bit never. */
  readonly abandoned: boolean;
}

/** Who hears what happens to a lock. */
export interface LockListener {
  /** Bit, epoch or owner are others than before. */
  changed(lock: WatchedLock, glance: Glance): void;
  /** The owner on record has ended; undefined when that was before anybody looked. */
  ownerDied(lock: WatchedLock, owner: Owner, death: Death | undefined): void;
  /** The kernel says that who set the bit has ended, whether or not he left a record. */
  abandoned(lock: WatchedLock): void;
  /** Somebody has looked at everything: at a change, an end, a sweep, or because he was asked. */
  examined(lock: WatchedLock, verdict: Verdict, before: Verdict | undefined): void;
  /** A watch of its files ended; the sweep is what is left. */
  failed(lock: WatchedLock, error: unknown): void;
}

function sameGlance(a: Glance | undefined, b: Glance): boolean {
  if (a === undefined || a.bit !== b.bit || a.epoch !== b.epoch || a.abandoned !== b.abandoned) return false;
  return a.owner?.identity === b.owner?.identity;
}

/** Ours to look up by its pid: of this boot, and with a number of our own pid namespace. */
function findable({bootId, pidNamespace}: GuardedConfig['system'], owner: Owner): boolean {
  return owner.bootId === bootId && owner.pidNamespace === pidNamespace;
}

/** A lock under watch, until it is disposed. */
export class WatchedLock implements Disposable {
  readonly config: GuardedConfig;
  readonly #deaths: Deaths;
  readonly #listener: LockListener;
  /** By directory; undefined where one could not be watched. */
  readonly #watchers = new Map<string, FSWatcher | undefined>();
  #glance: Glance | undefined;
  #examined: {readonly verdict: Verdict; readonly at: number; readonly glance: Glance} | undefined;
  #owner: {readonly identity: string; readonly watching: Disposable} | undefined;
  #due = false;
  readonly #examination = new Coalesced(async () => {
    const verdict = await examineAnyway(this.config);
    this.#noteVerdict(verdict);
    return verdict;
  });
  #closed = false;

  /** Looks at once, and from then on at each change. */
  constructor(config: GuardedConfig, deaths: Deaths, listener: LockListener) {
    this.config = config;
    this.#deaths = deaths;
    this.#listener = listener;
    // Watched first, read afterwards: what changes in between is an event.
    this.#watchFiles();
    this.look();
  }

  get name(): string {
    return this.config.name;
  }

  /** As it was seen last. */
  get glance(): Glance | undefined {
    return this.#glance;
  }

  /** As it was examined last. */
  get verdict(): Verdict | undefined {
    return this.#examined?.verdict;
  }

  /** The same with its time, milliseconds since 1970, unless bit, epoch or owner are others by now. */
  get current(): {readonly verdict: Verdict; readonly at: number} | undefined {
    const examined = this.#examined;
    return examined && this.#glance && sameGlance(examined.glance, this.#glance) ? examined : undefined;
  }

  /** Looks at everything; those who ask while somebody looks share one that begins later. */
  examine(): Promise<Verdict> {
    return this.#examination.run();
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    for (const watcher of this.#watchers.values()) watcher?.close();
    this.#owner?.watching[Symbol.dispose]();
    this.#owner = undefined;
  }

  /** Also those that came later, a bit of the kernel whose module was loaded again say. */
  #watchFiles(): void {
    const {paths, bit} = this.config;
    for (const directory of [paths.directory, bit.directory])
      if (!this.#watchers.get(directory)) this.#watch(directory);
  }

  /** What can't be watched is told once; the sweep tries again. */
  #watch(directory: string): void {
    const known = this.#watchers.has(directory);
    try {
      const watcher = watch(directory, () => this.#lookSoon());
      watcher.on('error', error => this.#listener.failed(this, error));
      this.#watchers.set(directory, watcher);
    } catch (error) {
      this.#watchers.set(directory, undefined);
      if (!known) this.#listener.failed(this, error);
    }
  }

  /** One look for all events of a turn of the loop. */
  #lookSoon(): void {
    if (this.#due || this.#closed) return;
    this.#due = true;
    setImmediate(() => {
      this.#due = false;
      this.look();
    });
  }

  /** Glances at it now; an event may still be on its way. */
  look(): void {
    if (this.#closed) return;
    const glance = this.#read();
    const changed = !sameGlance(this.#glance, glance);
    this.#glance = glance;
    if (glance.owner && glance.bit === 1) this.#watchOwner(glance.owner);
    if (!changed) return;
    this.#listener.changed(this, glance);
    if (glance.abandoned) this.#listener.abandoned(this);
  }

  #read(): Glance {
    const {bit} = this.config;
    try {
      const [value, epoch] = [bit.read(), bit.epoch()];
      const record = this.config.readRecord();
      const owner = ownerOnRecord(value, {kind: bit.kind, epoch}, record);
      return {bit: value, epoch, owner, abandoned: value === 1 && bit.owner()?.alive === false};
    } catch {
      // The examination says what is wrong.
      return {bit: undefined, epoch: undefined, owner: null, abandoned: false};
    }
  }

  /** An owner in another pid namespace has another pid here, which only an examination finds. */
  #watchOwner(owner: Owner, pid = findable(this.config.system, owner) ? owner.pid : undefined): void {
    if (pid === undefined || this.#owner?.identity === owner.identity) return;
    this.#owner?.watching[Symbol.dispose]();
    const who: Incarnate = {pid, identity: owner.identity};
    const watching = this.#deaths.watch(who, death => this.#ownerDied(owner, death));
    // It stays noted when it has ended: nobody dies twice.
    this.#owner = {identity: owner.identity, watching};
  }

  /** It may have given the lock back long before. */
  #ownerDied(owner: Owner, death: Death | undefined): void {
    if (this.#closed) return;
    const {bit, owner: now} = this.#read();
    if (bit === 1 && now?.identity === owner.identity) this.#listener.ownerDied(this, owner, death);
  }

  /** A look that ends after us watches nobody any more: that would keep the process from its end. */
  #noteVerdict(verdict: Verdict): void {
    if (this.#closed) return;
    const before = this.#examined?.verdict;
    this.#watchFiles();
    this.look();
    if (this.#glance) this.#examined = {verdict, at: this.config.system.now(), glance: this.#glance};
    const {owner, holders} = verdict;
    const holder = owner && verdict.hot && holders.find(({identity}) => identity === owner.identity);
    if (owner && holder) this.#watchOwner(owner, holder.pid);
    this.#listener.examined(this, verdict, before);
  }
}
