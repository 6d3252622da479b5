/** Which locks of this node are not free? Looked at again when a lock comes or goes, its bit changes, or its owner ends. */
import {type FSWatcher, watch} from 'node:fs';
import {mkdirSync} from 'node:fs';
import {join} from 'node:path';
import {listNames, type Roots} from '../lock/layout.js';
import {ownerFor} from '../lock/owner-record.js';
import {Coalesced} from '../os/coalesced.js';
import {untilGone} from '../os/process.js';
import type {System} from '../os/system.js';
import {findConfigLock, type GuardedConfig} from '../recovery/guarded-config.js';
import {examineAnyway} from '../recovery/report.js';
import type {Verdict} from '../recovery/verdict.js';
import type {Registration} from './documents.js';
import {describeOwner, isOwnPurpose} from './hot.js';

type LockReport = Registration['hot'][number];

/** What the agent tells of its locks. */
export interface LocksSeen {
  readonly locks: readonly string[];
  readonly hot: readonly LockReport[];
}

/** So much later than the first change it is looked, in milliseconds: most locks are HOT for a moment only. */
const SETTLING = 1000;

function toReport({name, state, owner, ...rest}: Verdict): LockReport | undefined {
  if (state === 'FREE') return undefined;
  const {pid, node, uid, exe, purpose, since} = owner ?? {};
  const summary = describeOwner({state, owner, ...rest});
  return {
    lock: name,
    state,
    summary,
    owner: owner ? {pid, node, uid, exe, purpose, since} : null,
  };
}

/** All locks of a node, until it is disposed. */
export class LockWatch implements Disposable {
  readonly #system: System;
  readonly #roots: Roots;
  readonly #onChange: () => void;
  readonly #watchers = new Map<string, FSWatcher>();
  /** Owners whose end is waited for, by lock. */
  readonly #owners = new Map<string, {readonly identity: string; readonly done: AbortController}>();
  readonly #looking = new Coalesced(() => this.#look());
  #timer: NodeJS.Timeout | undefined;

  /** `onChange` is called when it is worth to look again. */
  constructor(system: System, roots: Roots, onChange: () => void) {
    this.#system = system;
    this.#roots = roots;
    this.#onChange = onChange;
    const locks = join(roots.run, 'locks');
    mkdirSync(locks, {recursive: true});
    this.#watch(locks, locks);
  }

  /** Looks at all locks; those who ask while somebody looks share one that begins later. */
  look(): Promise<LocksSeen> {
    return this.#looking.run();
  }

  /** Something else has changed that is told along with the locks: it settles as well. */
  touch(): void {
    this.#changed();
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    for (const watcher of this.#watchers.values()) watcher.close();
    for (const {done} of this.#owners.values()) done.abort();
  }

  /** Watched first, read afterwards: what changes in between is an event. */
  async #look(): Promise<LocksSeen> {
    const locks = listNames(this.#roots);
    const known = new Set(locks);
    for (const [name, watcher] of this.#watchers)
      if (!name.includes('/') && !known.has(name)) {
        watcher.close();
        this.#watchers.delete(name);
      }
    const hot: LockReport[] = [];
    for (const name of locks) {
      const report = await this.#lookAt(name);
      if (report) hot.push(report);
    }
    return {locks, hot};
  }

  async #lookAt(name: string): Promise<LockReport | undefined> {
    const config = findConfigLock(name, {system: this.#system, ...this.#roots});
    // Removed in between.
    if (!config) return undefined;
    this.#watch(name, config.bit.directory);
    if (isPlainlyFree(config) || isOurs(config)) return this.#watchOwner(name, null);
    const verdict = await examineAnyway(config);
    this.#watchOwner(name, verdict.state === 'DEAD' ? null : verdict.owner);
    return toReport(verdict);
  }

  #watch(key: string, directory: string): void {
    if (this.#watchers.has(key)) return;
    try {
      const watcher = watch(directory, {persistent: false}, () => this.#changed());
      watcher.on('error', () => this.#watchers.delete(key));
      this.#watchers.set(key, watcher);
    } catch {
      // A lock without its bit is reported as UNKNOWN; the next look tries again.
    }
  }

  #watchOwner(name: string, owner: Verdict['owner']): undefined {
    const watched = this.#owners.get(name);
    const {bootId, pidNamespace} = this.#system;
    const here = owner?.bootId === bootId && owner.pidNamespace === pidNamespace;
    if (watched && owner && watched.identity === owner.identity) return;
    watched?.done.abort();
    this.#owners.delete(name);
    if (!owner || !here) return;
    const done = new AbortController();
    this.#owners.set(name, {identity: owner.identity, done});
    untilGone(this.#system, owner, done.signal).then(
      death => death === 'unknown' || this.#changed(),
      () => undefined,
    );
  }

  #changed(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#onChange();
    }, SETTLING);
  }
}

/** Nobody has set its bit: nothing is HOT, and no owner can have left it. A bit that can not be read is not plainly so. */
function isPlainlyFree({bit}: GuardedConfig): boolean {
  try {
    return bit.read() === 0;
  } catch {
    return false;
  }
}

/** We apply right now, and will be done in a moment: nothing that anybody has to hear of. */
function isOurs(config: GuardedConfig): boolean {
  const record = config.readRecord();
  if (record.state !== 'owned' || !isOwnPurpose(record.owner.purpose)) return false;
  return record.owner.identity === ownerFor(config.system, '').identity;
}
