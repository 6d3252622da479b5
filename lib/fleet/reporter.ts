/** How does the fleet hear how far this node is? The last report always gets there, whatever becomes of sessions in between. */
import type {NodeReport} from './documents.js';
import {KEYS} from './keys.js';
import type {NodeParts} from './node.js';
import {untilReached} from './reach.js';

/** Reports of roll-outs; one that a later one of the same roll-out has overtaken before it was sent is left out. */
export class Reporter {
  readonly #parts: NodeParts;
  /** By roll-out. */
  readonly #waiting = new Map<string, NodeReport>();
  #sending: Promise<void> | undefined;

  constructor(parts: NodeParts) {
    this.#parts = parts;
  }

  /** Returns at once. */
  report(report: NodeReport): void {
    this.#waiting.set(report.rollout, report);
    this.#sending ??= this.#sendAll();
  }

  /** Resolves when all was sent, or the agent ends. */
  async flushed(): Promise<void> {
    await this.#sending;
  }

  async #sendAll(): Promise<void> {
    try {
      for (const [rollout] of this.#waiting) await this.#sendOne(rollout);
    } finally {
      // Not a moment later: what is reported from now on is sent anew.
      this.#sending = undefined;
    }
  }

  async #sendOne(rollout: string): Promise<void> {
    try {
      await untilReached(this.#parts, () => this.#send(rollout));
    } catch (error) {
      this.#waiting.delete(rollout);
      if (this.#parts.signal.aborted) return;
      // What etcd refuses for good is not repeated; whoever watches the agent hears it.
      this.#parts.tell({event: 'report-refused', rollout, reason: (error as Error).message});
    }
  }

  /** Whatever is the present report by now, also when it is tried again with a later session. A roll-out that is gone needs none. */
  async #send(rollout: string): Promise<void> {
    const session = await this.#parts.session();
    const report = this.#waiting.get(rollout);
    if (!report) return;
    const {applied} = await session.transact({
      when: [{key: KEYS.plan(rollout), exists: true}],
      then: [{put: KEYS.report(rollout, report.node), value: JSON.stringify(report)}],
    });
    if (!applied) this.#parts.tell({event: 'report-unwanted', rollout});
    if (this.#waiting.get(rollout) === report) this.#waiting.delete(rollout);
    else await this.#send(rollout);
  }
}
