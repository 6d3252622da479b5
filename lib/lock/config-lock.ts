/** How does one become the owner of a configuration? The lock on one file: acquire, update, read, and pass its gate. */
import {watch} from 'node:fs';
import {readFile} from 'node:fs/promises';
import {once} from 'node:events';
import {basename} from 'node:path';
import {isLockError, LockError} from '../errors.js';
import {type LockEvent, tell} from '../os/events.js';
import type {LockBit, OpenBit} from '../os/lock-bit.js';
import {LockFile, WHOLE} from '../os/lock-file.js';
import {type System, system as ourSystem} from '../os/system.js';
import {hasCode} from '../os/system-error.js';
import {WaitQueues} from '../os/wait-queue.js';
import {changeHands} from './change-hands.js';
import {markOwner} from './guard.js';
import {enter, isClosed, leave, tryEnter, waitUntilOpen} from './gate.js';
import {
  bitOf,
  checkRoot,
  type LockPaths,
  lockPaths,
  nameOf,
  openLayout,
  readTarget,
  type RootOptions,
  resolveConfig,
  resolveRoots,
  type Roots,
} from './layout.js';
import {
  type OwnedRecord,
  openRecord,
  ownerFor,
  type OwnerRecord,
  MISSING,
  readRecord,
  type ReadRecord,
  type RecordFile,
  resign,
} from './owner-record.js';
import {OwnedConfig} from './owned-config.js';
import type {NextContent, UpdateOptions, UpdateResult} from './update.js';

export interface OpenOptions extends RootOptions {
  /** Name of the lock, by default the file's name without its last extension. */
  readonly name?: string | undefined;
  /** The surroundings; for tests. */
  readonly system?: System | undefined;
}

/**
 * What to do about a lock whose owner died in the middle: fail, wait until somebody has recovered it, or call a function that
 * does. While that runs, others of this process with such a function wait.
 */
export type OnOrphan = 'fail' | 'wait' | ((orphan: LockError) => Promise<unknown>);

export interface AcquireOptions {
  /** Why, in one line: whoever finds the lock taken reads it. */
  readonly purpose?: string | undefined;
  /** Ends the wait; the promise rejects with its reason, and nothing is held. */
  readonly signal?: AbortSignal | undefined;
  readonly onOrphan?: OnOrphan | undefined;
}

/** A cycle inside the gate: while it lasts, no hold is granted. */
export interface Cycle extends Disposable, AsyncDisposable {
  /** Descriptor to hand to a child, so that the cycle lasts until the child has ended too. */
  readonly descriptors: readonly [gate: number];
  leave(): void;
}

/** What the owner changes, open from the first look to the release. */
interface Files {
  readonly openBit: OpenBit;
  readonly recordFile: RecordFile;
}

/** By lock and what is done about orphans. */
const acquirers = new WaitQueues();

function cycleOn(gate: LockFile): Cycle {
  const end = () => leave(gate);
  return {
    descriptors: [gate.fd],
    leave: end,
    [Symbol.dispose]: end,
    [Symbol.asyncDispose]: async () => end(),
  };
}

/** A named lock and the file that it guards. Holds no descriptor until something is acquired. */
export class ConfigLock {
  readonly file: string;
  readonly paths: LockPaths;
  readonly roots: Roots;
  readonly system: System;
  readonly bit: LockBit;

  constructor(system: System, roots: Roots, paths: LockPaths, file: string) {
    this.system = system;
    this.roots = roots;
    this.paths = paths;
    this.file = file;
    this.bit = bitOf(roots, paths);
  }

  get name(): string {
    return this.paths.name;
  }

  readRecord(): ReadRecord {
    return readRecord(this.paths.owner);
  }

  /**
   * Becomes the owner, waiting for whoever owns it now and for the end of a hold; first come, first served among those of
   * this process that treat orphans alike. Rejects with ERR_ORPHANED, ERR_OWNER_UNKNOWN, SystemError or signal.reason.
   */
  async acquire(options: AcquireOptions = {}): Promise<OwnedConfig> {
    const {signal, onOrphan = 'fail'} = options;
    // One of them stands before gate, guard and orphan for all, so that a recovery meets a few contenders, however many wait.
    const key = `${this.paths.directory} ${typeof onOrphan === 'string' ? onOrphan : 'act'}`;
    return acquirers.enqueue({key, shared: false, range: WHOLE, signal}, () => this.#acquireFirst(options));
  }

  async #acquireFirst({purpose = '', signal, onOrphan = 'fail'}: AcquireOptions): Promise<OwnedConfig> {
    for (;;) {
      const found = await this.#ask(purpose, signal);
      if (found instanceof OwnedConfig) return found;
      if (found === 'taken') await this.#whileBit(() => this.#isTaken(), signal);
      else if (onOrphan === 'fail') throw found;
      else if (onOrphan === 'wait') await this.#whileBit(() => this.bit.read() === 1, signal);
      else await onOrphan(found);
    }
  }

  /** Waits for the guard and becomes the owner; gives the orphan that it met, or `taken` as #become does. */
  async #ask(purpose: string, signal: AbortSignal | undefined): Promise<OwnedConfig | LockError | 'taken'> {
    const {guard, gate} = await this.#takeGuard(signal);
    let owned: OwnedConfig | undefined;
    try {
      owned = await this.#become(guard, gate, purpose);
      return owned ?? 'taken';
    } catch (error) {
      if (!isLockError(error, 'ERR_ORPHANED')) throw error;
      return error;
    } finally {
      if (!owned) giveBack(guard, gate);
    }
  }

  /** Becomes the owner if that is possible at once, else gives undefined. Rejects as acquire does. */
  async tryAcquire({purpose = ''}: Pick<AcquireOptions, 'purpose'> = {}): Promise<OwnedConfig | undefined> {
    const {guard, gate} = this.#openGuardAndGate();
    let owned: OwnedConfig | undefined;
    try {
      if (guard.try('exclusive') && tryEnter(gate)) owned = await this.#become(guard, gate, purpose);
      return owned;
    } finally {
      if (!owned) giveBack(guard, gate);
    }
  }

  /** Acquires, updates (see updateConfig), releases. */
  async update(next: NextContent, options: UpdateOptions & AcquireOptions = {}): Promise<UpdateResult> {
    const owned = await this.acquire(options);
    return this.updateAs(owned, next, options);
  }

  /** Updates as the owner, and releases whatever comes. What went wrong first is what is thrown. */
  async updateAs(owned: OwnedConfig, next: NextContent, options: UpdateOptions = {}): Promise<UpdateResult> {
    let result: UpdateResult;
    try {
      result = await owned.update(next, options);
    } catch (error) {
      await owned.release().catch(() => undefined);
      throw error;
    }
    await owned.release();
    return result;
  }

  /** Enters a cycle, waiting for the end of a hold. */
  async enter({signal}: {signal?: AbortSignal | undefined} = {}): Promise<Cycle> {
    const gate = LockFile.open(this.paths.gate, {flags: 0});
    try {
      await enter(gate, signal);
    } catch (error) {
      gate.close();
      throw error;
    }
    return cycleOn(gate);
  }

  /** Enters a cycle if no hold is in force, else gives undefined. */
  async tryEnter(): Promise<Cycle | undefined> {
    const gate = LockFile.open(this.paths.gate, {flags: 0});
    let entered = false;
    try {
      entered = tryEnter(gate);
      return entered ? cycleOn(gate) : undefined;
    } finally {
      if (!entered) gate.close();
    }
  }

  /** Reads the configuration for use; rejects with ERR_HOT while its bit is set. */
  async read(): Promise<Buffer> {
    if (this.bit.read() === 1) throw this.hot();
    return readFile(this.file);
  }

  /** Tells what is done to the lock, see events.ts. */
  tell(event: LockEvent): void {
    tell(this.paths.directory, event);
  }

  /** The refusal that names the owner. */
  hot(): LockError {
    const record = this.readRecord();
    const owner = record.state === 'owned' ? record.owner : undefined;
    return new LockError('ERR_HOT', `${basename(this.file)}: HOT`, {
      lock: this.name,
      path: this.file,
      ...(owner && {owner, epoch: (record as OwnedRecord).epoch}),
    });
  }

  /** Both, or neither when one can't be opened. */
  #openGuardAndGate(): {guard: LockFile; gate: LockFile} {
    const guard = LockFile.open(this.paths.guard);
    try {
      return {guard, gate: LockFile.open(this.paths.gate)};
    } catch (error) {
      guard.close();
      throw error;
    }
  }

  /**
   * Waits for the guard while holding nothing, least of all the gate: with a hold in force it parks before the gate;
   * and should a hold begin while it waits for the guard, it gives the guard back as soon as it gets it.
   */
  async #takeGuard(signal: AbortSignal | undefined): Promise<{guard: LockFile; gate: LockFile}> {
    const {guard, gate} = this.#openGuardAndGate();
    try {
      for (;;) {
        if (isClosed(gate)) await waitUntilOpen(gate, signal);
        await guard.wait('exclusive', {signal});
        if (tryEnter(gate)) return {guard, gate};
        guard.unlock();
      }
    } catch (error) {
      guard.close();
      gate.close();
      throw error;
    }
  }

  /** We have guard and gate. Gives undefined when a process that never asked for the guard has set the bit, and lives. */
  async #become(guard: LockFile, gate: LockFile, purpose: string): Promise<OwnedConfig | undefined> {
    if (!guard.isCurrent())
      throw new LockError('ERR_LAYOUT_BROKEN', `${this.paths.guard} was removed while we waited`, {
        lock: this.name,
        path: this.paths.guard,
      });
    for (;;) {
      if (this.#isTaken()) return undefined;
      const files = this.#openFiles();
      let owned: OwnedConfig | undefined;
      try {
        owned = await this.#setBit(guard, gate, purpose, files);
        return owned;
      } catch (error) {
        // The guard keeps out all but those who set the kernel's bit without it: then look again.
        const outpaced = this.bit.kind === 'kernel' && hasCode(error, 'EBUSY', 'EOWNERDEAD');
        if (!outpaced) throw error;
      } finally {
        if (!owned) closeFiles(files);
      }
    }
  }

  #openFiles(): Files {
    const openBit = this.bit.open();
    let recordFile: RecordFile | undefined;
    try {
      recordFile = openRecord(this.paths.owner);
      return {openBit, recordFile};
    } catch (error) {
      if (hasCode(error, 'ENOENT')) this.#checkFree(openBit, MISSING);
      throw error;
    } finally {
      if (!recordFile) openBit.close();
    }
  }

  /** Throws what keeps whoever has the guard from becoming the owner; else gives the record that he found. */
  #checkFree(openBit: OpenBit, found: ReadRecord): OwnerRecord {
    if (openBit.read() === 1) throw this.#orphaned(found);
    if (found.state === 'unreadable') throw this.#ownerUnknown(found.why);
    return found;
  }

  async #setBit(guard: LockFile, gate: LockFile, purpose: string, files: Files): Promise<OwnedConfig> {
    const {bit, file, name, system} = this;
    const {openBit, recordFile} = files;
    const found = this.#checkFree(openBit, recordFile.read());
    const owner = ownerFor(system, purpose);
    const record = (epoch: number): OwnedRecord => ({v: 1, state: 'owned', lock: name, epoch, owner});
    let set: number | undefined;
    let written: OwnedRecord | undefined;
    this.tell({event: 'acquiring'});
    try {
      const epoch = await changeHands({
        system,
        state: this.roots.state,
        kind: bit.kind,
        before: openBit.epoch(),
        recorded: found.epoch,
        take: (expected, next) => (set = openBit.set(expected, next)),
        write: next => {
          const named = record(next);
          recordFile.write(named);
          written = named;
        },
      });
      markOwner(guard);
      this.tell({event: 'acquired', epoch, identity: owner.identity});
      return new OwnedConfig({
        file,
        directory: this.paths.directory,
        bit,
        guard,
        gate,
        ...files,
        record: record(epoch),
      });
    } catch (error) {
      this.#withdraw(files, written, set);
      throw this.#isOvertaking(error) ? this.#overtaken(found.epoch) : error;
    }
  }

  /**
   * Undoes what an acquisition has done that can't go on: clears the bit that it has set (who has forced it from us meanwhile has the
   * say), and takes back the record's word. We live on and may come again for the guard; on record as the owner, we could be taken for one
   * before we are.
   */
  #withdraw(files: Files, written: OwnedRecord | undefined, set: number | undefined): void {
    try {
      if (set !== undefined) files.openBit.clear(set);
    } catch (error) {
      if (!hasCode(error, 'ESTALE')) throw error;
    } finally {
      if (written) this.tell({event: 'resigning', epoch: written.epoch});
      if (written) resign(files.recordFile, written);
    }
  }

  /** With the guard in hand: has somebody set the bit without it, and lives? Only the kernel can tell; who has resigned owns nothing. */
  #isTaken(): boolean {
    if (this.bit.owner()?.alive !== true) return false;
    const record = this.readRecord();
    return !(record.state === 'owned' && record.resigned && record.epoch === this.bit.epoch());
  }

  /** A soft bit that is busy is just being changed by force. */
  #isOvertaking(error: unknown): boolean {
    return hasCode(error, 'ESTALE') || (this.bit.kind === 'soft' && hasCode(error, 'EBUSY'));
  }

  #orphaned(found: ReadRecord): LockError {
    const owner = found.state === 'owned' && found.epoch >= this.bit.epoch() ? found.owner : undefined;
    const resigned = found.state === 'owned' && found.resigned;
    const setter = this.bit.owner();
    const stranger = setter
      ? `pid ${setter.pid}, which set it and left no record, is gone`
      : 'nobody is on record as its owner';
    const who = owner
      ? `its owner, pid ${owner.pid} on ${owner.node} since ${owner.since}, ${resigned ? 'has given up' : 'is gone'}`
      : stranger;
    return new LockError(
      'ERR_ORPHANED',
      `the lock ${this.name} on ${this.file} was left in the middle: its bit is set, and ${who}`,
      {
        lock: this.name,
        path: this.file,
        ...(owner && {owner, epoch: (found as OwnedRecord).epoch}),
      },
    );
  }

  #ownerUnknown(why: string): LockError {
    return new LockError(
      'ERR_OWNER_UNKNOWN',
      `who owned the lock ${this.name} last can't be told: ${this.paths.owner}: ${why}`,
      {lock: this.name, path: this.paths.owner},
    );
  }

  #overtaken(epoch: number): LockError {
    return new LockError('ERR_FENCED', `somebody took the lock ${this.name} by force while we acquired it`, {
      lock: this.name,
      path: this.file,
      epoch,
    });
  }

  /** Waits while something holds true of the bit: each change of its files is an event (inotify(7)). */
  async #whileBit(holds: () => boolean, signal: AbortSignal | undefined): Promise<void> {
    const watcher = watch(this.bit.directory);
    try {
      while (holds()) await once(watcher, 'change', {signal});
    } catch (error) {
      throw signal?.aborted ? signal.reason : error;
    } finally {
      watcher.close();
    }
  }
}

function closeFiles({openBit, recordFile}: Files): void {
  openBit.close();
  recordFile.close();
}

function giveBack(guard: LockFile, gate: LockFile): void {
  guard.close();
  leave(gate);
}

/** Opens the lock on a file and creates its state if it is new. `wrap` is for the layer above, which adds to the class. */
export async function openLock<T extends ConfigLock>(
  path: string,
  options: OpenOptions,
  wrap: new (system: System, roots: Roots, paths: LockPaths, file: string) => T,
): Promise<T> {
  const system = options.system ?? ourSystem();
  const file = resolveConfig(path);
  const roots = resolveRoots(system, options);
  const paths = await openLayout(system, roots, options.name ?? nameOf(file), file);
  return new wrap(system, roots, paths, file);
}

/** Finds an existing lock by its name; undefined when there is none. Creates nothing. Throws ERR_ROOT_UNSAFE, ERR_NAME_INVALID. */
export function findLock<T extends ConfigLock>(
  name: string,
  options: OpenOptions,
  wrap: new (system: System, roots: Roots, paths: LockPaths, file: string) => T,
): T | undefined {
  const system = options.system ?? ourSystem();
  const roots = resolveRoots(system, options);
  for (const path of [roots.run, roots.bits]) checkRoot(system, path);
  const paths = lockPaths(roots, name);
  const target = readTarget(paths);
  return target === undefined ? undefined : new wrap(system, roots, paths, target);
}
