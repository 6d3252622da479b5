/** How does a node's answer stay in the store? Written by whichever session is in force, again after each loss, until it is taken back. */
import {EventEmitter, once} from 'node:events';
import {setTimeout as pause} from 'node:timers/promises';
import {isLockError} from '../errors.js';
import type {Session} from './etcd/session.js';
import type {NodeParts} from './node.js';

/** Milliseconds before a write is tried again that the store did not take. */
const AGAIN = 1000;

/** What may be otherwise the next time. */
const PASSING = [
  'ERR_SESSION_LOST',
  'ERR_STORE_UNREACHABLE',
  'ERR_STORE_FULL',
  'ERR_OUTCOME_UNKNOWN',
] as const;

type Writer = Pick<NodeParts, 'session' | 'signal' | 'tell'>;

/** One key of ours, which says what we said last. It is written while the key is there that it answers, and goes with our session at the latest. */
export class NodeAnswer {
  readonly #writer: Writer;
  readonly #key: string;
  readonly #asked: string;
  readonly #changes = new EventEmitter();
  /** Undefined: the key is to go. */
  #wanted: string | undefined;
  #written: string | undefined;
  /** Say it even when what it answers has gone. */
  #insist = false;
  #left = false;
  #keeping: Promise<void> | undefined;

  /** `asked` is the key that it answers. */
  constructor(writer: Writer, key: string, asked: string) {
    this.#writer = writer;
    this.#key = key;
    this.#asked = asked;
  }

  /** Says this from now on; `insist`: also when what it answers has gone. Never throws: that the store does not take it is told. */
  say(answer: object, insist = false): void {
    this.#insist = insist;
    this.#want(JSON.stringify(answer));
  }

  /** Resolves when the store has what was said last, or never will have; rejects with signal.reason. */
  async said(signal: AbortSignal): Promise<void> {
    while (this.#keeping && this.#written !== this.#wanted) {
      const written = once(this.#changes, 'written', {signal}).catch(() => signal.throwIfAborted());
      await Promise.race([written, this.#keeping]);
      if (this.#writer.signal.aborted) return;
    }
  }

  /** Resolves when the key has gone, or the agent has ended. */
  async takeBack(): Promise<void> {
    if (!this.#keeping) return;
    this.#want(undefined);
    await this.#keeping;
  }

  /** Writes nothing more, and leaves the key as it is. */
  leave(): void {
    this.#left = true;
    this.#changes.emit('wanted');
  }

  #want(text: string | undefined): void {
    this.#wanted = text;
    this.#changes.emit('wanted');
    this.#keeping ??= this.#keep();
  }

  async #keep(): Promise<void> {
    try {
      while (await this.#keepUnder(await this.#writer.session()));
    } catch (error) {
      // Our session ends with the agent, and the key with it.
      const {signal} = this.#writer;
      if (!signal.aborted)
        this.#writer.tell({event: 'answer-failed', key: this.#key, error: (error as Error).message});
    }
  }

  /** Until that session is lost: true; or nothing is left to say: false. */
  async #keepUnder(session: Session): Promise<boolean> {
    const either = AbortSignal.any([session.signal, this.#writer.signal]);
    while (!this.#left) {
      const wanted = this.#wanted;
      try {
        await this.#write(session, wanted);
      } catch (error) {
        if (!PASSING.some(code => isLockError(error, code))) throw error;
        await pause(AGAIN, undefined, {signal: this.#writer.signal});
        return true;
      }
      this.#written = wanted;
      this.#changes.emit('written');
      if (wanted === undefined) return false;
      if (this.#wanted === wanted && !this.#left)
        await once(this.#changes, 'wanted', {signal: either}).catch(() => undefined);
      if (either.aborted) return true;
    }
    return false;
  }

  async #write(session: Session, text: string | undefined): Promise<void> {
    const {signal} = this.#writer;
    const key = this.#key;
    if (text === undefined) {
      await session.transact({when: [], then: [{delete: key}]}, {signal});
      return;
    }
    const when = this.#insist ? [] : [{key: this.#asked, exists: true}];
    await session.transact({when, then: [{put: key, value: text, lease: 'session'}]}, {signal});
  }
}
