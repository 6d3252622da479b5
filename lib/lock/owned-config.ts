/** What may the owner of a configuration do? Update it, check its fence, and release: one acquisition, from bit to bit. */
import {LockError} from '../errors.js';
import {type LockEvent, tell} from '../os/events.js';
import type {LockBit, OpenBit} from '../os/lock-bit.js';
import type {LockFile} from '../os/lock-file.js';
import {hasCode} from '../os/system-error.js';
import {forget, shoutIfDropped} from './dropped.js';
import {leave} from './gate.js';
import {type Owner, type OwnedRecord, type PlannedUpdate, type RecordFile, resign} from './owner-record.js';
import {type NextContent, type UpdateOptions, type UpdateResult, updateConfig} from './update.js';

/** What an acquisition consists of. */
export interface Acquisition {
  readonly file: string;
  /** The lock's own, RUN/locks/NAME. */
  readonly directory: string;
  readonly bit: LockBit;
  readonly guard: LockFile;
  readonly gate: LockFile;
  readonly openBit: OpenBit;
  readonly recordFile: RecordFile;
  readonly record: OwnedRecord;
}

/** A configuration that we own. Ends by `release` (or `await using`). */
export class OwnedConfig {
  readonly #held: Acquisition;
  /** As it was written last. */
  #record: OwnedRecord;
  #released = false;

  constructor(held: Acquisition) {
    this.#held = held;
    this.#record = held.record;
    shoutIfDropped(this, () => `the lock ${this.name} on ${this.file}`);
  }

  get name(): string {
    return this.#held.record.lock;
  }

  get file(): string {
    return this.#held.file;
  }

  /** Fencing token of this acquisition. */
  get epoch(): number {
    return this.#held.record.epoch;
  }

  get owner(): Owner {
    return this.#held.record.owner;
  }

  get released(): boolean {
    return this.#released;
  }

  /**
   * Descriptors to hand to a child (`stdio: [0, 1, 2, ...owned.descriptors]`): as long as a copy of them is open
   * anywhere, the guard stays locked and no hold is granted.
   */
  get descriptors(): readonly [guard: number, gate: number] {
    this.#mustBeHeld();
    return [this.#held.guard.fd, this.#held.gate.fd];
  }

  /** Throws ERR_FENCED when somebody took the lock away meanwhile, ERR_RELEASED after the release. */
  checkFence(): void {
    this.#mustBeHeld();
    const {bit, recordFile} = this.#held;
    const now = bit.epoch();
    if (now !== this.epoch || !recordFile.isCurrent()) throw this.#fenced(now);
  }

  /** Changes the content: see updateConfig. */
  async update(next: NextContent, options: UpdateOptions = {}): Promise<UpdateResult> {
    return updateConfig(this, next, options);
  }

  /** Writes down which update is under way, so that recovery can tell by hash how far it came. */
  planUpdate(update: PlannedUpdate): void {
    this.#write({...this.#held.record, update});
  }

  /** Writes down that no update is under way. */
  endUpdate(): void {
    this.#write(this.#held.record);
  }

  /**
   * Gives the lock back: bit, record, guard, gate. Throws ERR_FENCED when it was ours no more, SystemError when the bit could
   * not be cleared: the lock is then an orphan, although we live. Everything is closed all the same. Descriptors are closed,
   * never unlocked, so that what children inherited stays locked.
   */
  async release(): Promise<void> {
    if (this.#released) return;
    forget(this);
    const {bit, openBit, recordFile, guard, gate, record} = this.#held;
    try {
      // Whoever takes the lock away by force replaces one of them first; the other one is compared when the bit is cleared.
      if (!recordFile.isCurrent()) throw this.#fenced(bit.epoch());
      this.tell({event: 'releasing', epoch: this.epoch});
      openBit.clear(this.epoch);
      recordFile.write({v: 1, state: 'free', lock: record.lock, epoch: record.epoch});
      this.tell({event: 'released', epoch: this.epoch});
    } catch (error) {
      this.tell({event: 'resigning', epoch: this.epoch});
      resign(recordFile, this.#record);
      throw hasCode(error, 'ESTALE', 'EALREADY') ? this.#fenced(bit.epoch()) : error;
    } finally {
      this.#released = true;
      openBit.close();
      recordFile.close();
      guard.close();
      leave(gate);
    }
  }

  /** Tells what is done to the lock, see events.ts. */
  tell(event: LockEvent): void {
    tell(this.#held.directory, event);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release();
  }

  #write(record: OwnedRecord): void {
    this.#mustBeHeld();
    try {
      this.#held.recordFile.write(record);
      this.#record = record;
    } catch (error) {
      throw hasCode(error, 'ESTALE') ? this.#fenced(this.#held.bit.epoch()) : error;
    }
  }

  #mustBeHeld(): void {
    if (this.#released)
      throw new LockError('ERR_RELEASED', `the lock ${this.name} has been released`, {lock: this.name});
  }

  #fenced(now: number): LockError {
    this.tell({event: 'fenced', epoch: this.epoch});
    return new LockError(
      'ERR_FENCED',
      `the lock ${this.name} is ours no more: we had epoch ${this.epoch}, now it is ${now}; ${this.file} was left as it is`,
      {lock: this.name, path: this.file, epoch: this.epoch, currentEpoch: now},
    );
  }
}
