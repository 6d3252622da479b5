/** How does one become the owner of a configuration? The lock on one file: acquire, update, read, and pass its gate. */
import {watch} from 'node:fs';
import {readFile} from 'node:fs/promises';
import {once} from 'node:events';
import {basename} from 'node:path';
import {isLockError, LockError} from '../errors.js';
import {monotonic} from '../os/deadline.js';
import {type LockEvent, tell} from '../os/events.js';
import type {LockBit} from '../os/lock-bit.js';
import {LockFile, WHOLE} from '../os/lock-file.js';
import {type System, system as ourSystem} from '../os/system.js';
import {WaitQueues} from '../os/wait-queue.js';
import {become, type Claimant, type GuardAndGate, isTaken} from './become.js';
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
import {type OwnedRecord, readRecord, type ReadRecord} from './owner-record.js';
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
    const asked = monotonic();
    // One of them stands before gate, guard and orphan for all, so that a recovery meets a few contenders, however many wait.
    const key = `${this.paths.directory} ${typeof onOrphan === 'string' ? onOrphan : 'act'}`;
    return acquirers.enqueue({key, shared: false, range: WHOLE, signal}, () =>
      this.#acquireFirst(options, asked),
    );
  }

  async #acquireFirst(
    {purpose = '', signal, onOrphan = 'fail'}: AcquireOptions,
    asked: number,
  ): Promise<OwnedConfig> {
    for (;;) {
      const found = await this.#ask({purpose, asked}, signal);
      if (found instanceof OwnedConfig) return found;
      if (found === 'taken') await this.#whileBit(() => isTaken(this), signal);
      else if (onOrphan === 'fail') throw found;
      else if (onOrphan === 'wait') await this.#whileBit(() => this.bit.read() === 1, signal);
      else await onOrphan(found);
    }
  }

  /** Waits for the guard and becomes the owner; gives the orphan that it met, or `taken` as become does. */
  async #ask(
    claimant: Claimant,
    signal: AbortSignal | undefined,
  ): Promise<OwnedConfig | LockError | 'taken'> {
    const held = await this.#takeGuard(signal);
    let owned: OwnedConfig | undefined;
    try {
      owned = await become(this, held, claimant);
      return owned ?? 'taken';
    } catch (error) {
      if (!isLockError(error, 'ERR_ORPHANED')) throw error;
      return error;
    } finally {
      if (!owned) giveBack(held);
    }
  }

  /** Becomes the owner if that is possible at once, else gives undefined. Rejects as acquire does. */
  async tryAcquire({purpose = ''}: Pick<AcquireOptions, 'purpose'> = {}): Promise<OwnedConfig | undefined> {
    const claimant = {purpose, asked: monotonic()};
    const held = this.#openGuardAndGate();
    let owned: OwnedConfig | undefined;
    try {
      if (held.guard.try('exclusive') && tryEnter(held.gate)) owned = await become(this, held, claimant);
      return owned;
    } finally {
      if (!owned) giveBack(held);
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
  #openGuardAndGate(): GuardAndGate {
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
  async #takeGuard(signal: AbortSignal | undefined): Promise<GuardAndGate> {
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

function giveBack({guard, gate}: GuardAndGate): void {
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
