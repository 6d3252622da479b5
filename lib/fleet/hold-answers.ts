/** What do the nodes say of a fleet hold, and does it still stand? Followed from before it is asked for until they go on. */
import {EventEmitter, once} from 'node:events';
import {isLockError, LockError} from '../errors.js';
import {Deadline} from '../os/deadline.js';
import {type FleetHold, type HoldAcknowledgement, holdAcknowledgement, parseDocument} from './documents.js';
import type {Etcd, KeyValue} from './etcd/etcd.js';
import type {Change} from './etcd/mirror.js';
import type {Session} from './etcd/session.js';
import {KEYS, lastOf} from './keys.js';

export type OnAnswer = (node: string, acknowledgement: HoldAcknowledgement | undefined) => void;

/** What an unreadable answer comes to: the node is not known to hold. */
function readAnswer({key, value}: KeyValue, hold: FleetHold): HoldAcknowledgement {
  const node = lastOf(key);
  try {
    const answer = parseDocument(holdAcknowledgement, value, key);
    if (answer.node === node && answer.hold === hold.id) return answer;
    return {...answer, node, held: false, reason: `${key} in etcd is the answer of another`};
  } catch (error) {
    if (!isLockError(error, 'ERR_STORE_ANSWER')) throw error;
    return {
      v: 1,
      node,
      hold: hold.id,
      held: false,
      orchestrators: [],
      reason: error.message,
      at: hold.at,
    };
  }
}

export class HoldAnswers {
  readonly #all = new Map<string, HoldAcknowledgement>();
  readonly #lost = new Set<string>();
  readonly #onAnswer: OnAnswer | undefined;
  readonly #changes = new EventEmitter();
  readonly #listening = new AbortController();
  readonly #broken = new AbortController();
  #gone: LockError | undefined;
  #releasing = false;

  constructor(onAnswer?: OnAnswer) {
    this.#onAnswer = onAnswer;
  }

  /** As they are now. */
  get all(): ReadonlyMap<string, HoldAcknowledgement> {
    return this.#all;
  }

  /** Nodes whose answer has gone: they are no longer heard of. */
  get lost(): ReadonlySet<string> {
    return this.#lost;
  }

  /** Aborts, with ERR_HOLD_EXPIRED, when somebody has ended the hold, or a node that had acknowledged says that it goes on. */
  get broken(): AbortSignal {
    return this.#broken.signal;
  }

  /** Somebody has ended it. */
  get gone(): LockError | undefined {
    return this.#gone;
  }

  /** Resolves when nothing that is said from now on is missed. Rejects as the store does. */
  async listen(etcd: Etcd, hold: FleetHold): Promise<void> {
    const {signal} = this.#listening;
    const key = KEYS.hold(hold.id);
    await etcd.mirror(KEYS.holdAcknowledgements(hold.id), {
      onChanges: changes => this.#hear(changes, hold),
      signal,
    });
    await etcd.mirror(key, {
      onChanges: changes => {
        for (const change of changes) if (change.key === key) this.#look(change, hold);
      },
      signal,
    });
  }

  /** Resolves when all of them have answered, or the signal aborts. */
  async of(nodes: readonly string[], signal: AbortSignal): Promise<void> {
    await this.#until(() => nodes.every(node => this.#all.has(node)), signal);
  }

  /** We end it: whatever is said from now on breaks nothing. Gives the nodes that hold now. */
  release(): string[] {
    this.#releasing = true;
    return [...this.#all.values()].filter(({held}) => held).map(({node}) => node);
  }

  /** Waits until these go on. What they could not let go on is read, and its answer removed. */
  async goOn(
    nodes: readonly string[],
    milliseconds: number,
    session: Session,
  ): Promise<{readonly silent: readonly string[]; readonly failed: ReadonlyMap<string, string>}> {
    using bound = new Deadline(milliseconds);
    const holding = () => nodes.filter(node => this.#all.get(node)?.held);
    await this.#until(() => holding().length === 0, bound.signal);
    const failed = new Map(
      nodes.flatMap(node => {
        const answer = this.#all.get(node);
        return answer && !answer.held ? [[node, answer.reason ?? ''] as const] : [];
      }),
    );
    for (const node of failed.keys())
      await session.transact({
        when: [],
        then: [{delete: KEYS.holdAcknowledgement(this.#all.get(node)?.hold ?? '', node)}],
      });
    return {silent: holding(), failed};
  }

  close(): void {
    this.#listening.abort();
  }

  async #until(met: () => boolean, signal: AbortSignal): Promise<void> {
    while (!met() && !signal.aborted) await once(this.#changes, 'change', {signal}).catch(() => undefined);
  }

  #hear(changes: readonly Change[], hold: FleetHold): void {
    for (const {key, value} of changes) {
      const node = lastOf(key);
      const before = this.#all.get(node);
      const answer = value && readAnswer(value, hold);
      if (answer) this.#all.set(node, answer);
      else this.#all.delete(node);
      if (answer) this.#lost.delete(node);
      else if (before?.held) this.#lost.add(node);
      if (before?.held && answer?.held === false)
        this.#break(hold, `${node} goes on: ${answer.reason ?? ''}`);
      this.#onAnswer?.(node, answer);
    }
    this.#changes.emit('change');
  }

  #look({value, before}: Change, hold: FleetHold): void {
    if (value && !before) return;
    const why = value ? 'somebody has written over it' : 'somebody has ended it';
    this.#gone = this.#break(hold, why);
    this.#changes.emit('change');
  }

  #break({id, lock}: FleetHold, why: string): LockError | undefined {
    if (this.#releasing) return undefined;
    const error = new LockError(
      'ERR_HOLD_EXPIRED',
      `hold ${id} of ${lock} has ended before its time: ${why}`,
      {
        lock,
        hold: id,
      },
    );
    this.#broken.abort(error);
    return error;
  }
}
