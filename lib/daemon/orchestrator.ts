/** How does an orchestrator come to the hold point? It passes the gate with each cycle, and hears early when a hold is asked for. */
import {EventEmitter, once} from 'node:events';
import {setTimeout as sleep} from 'node:timers/promises';
import {isLockError} from '../errors.js';
import type {ConfigLock, Cycle} from '../lock/config-lock.js';
import type {DaemonClient} from './client.js';
import type {Order} from './orchestrators.js';

export interface OrchestratorOptions {
  /** For people: who is waited for. */
  readonly name: string;
  readonly locks: readonly string[];
  /** Hears what keeps it from the daemon. It goes on all the same: the gate is what counts. */
  readonly onTrouble?: (error: unknown) => void;
}

/** Milliseconds until a daemon that went away is looked for again. */
const AGAIN = 250;

/** A hold that it knows of. */
interface Known {
  readonly id: string;
  readonly lock: string;
  /** No hold outlives its bound, whatever becomes of the daemon. */
  readonly over: NodeJS.Timeout;
  acknowledged: boolean;
}

/**
 * One orchestrator, registered with a daemon, and with each that comes after it. The gate keeps it out during a hold, with and without a
 * daemon; hearing of holds lets it come to the hold point sooner, and say so.
 */
export class Orchestrator implements AsyncDisposable {
  readonly #client: DaemonClient;
  readonly #options: OrchestratorOptions;
  readonly #end = new AbortController();
  readonly #holds = new Map<string, Known>();
  /** How many cycles are running, by lock. */
  readonly #running = new Map<string, number>();
  readonly #changes = new EventEmitter<{resumed: []}>();
  readonly #following: Promise<void>;
  #id: string | undefined;

  constructor(client: DaemonClient, options: OrchestratorOptions) {
    this.#client = client;
    this.#options = options;
    this.#changes.setMaxListeners(0);
    this.#following = this.#follow();
  }

  /** Begins a cycle, waiting for the end of a hold. Rejects with signal.reason or SystemError. */
  async cycle(config: ConfigLock, {signal}: {signal?: AbortSignal | undefined} = {}): Promise<Cycle> {
    for (;;) {
      while (this.#isHeld(config.name)) await once(this.#changes, 'resumed', {signal});
      const cycle = await config.enter({signal});
      if (!this.#isHeld(config.name)) return this.#begun(config.name, cycle);
      // It has said meanwhile that it stands at the hold point.
      cycle.leave();
    }
  }

  /** Leaves the daemon. Cycles go on to their end. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort();
    await this.#following;
    if (this.#id !== undefined) await this.#tell(id => this.#client.leave(id));
  }

  #isHeld(lock: string): boolean {
    return [...this.#holds.values()].some(hold => hold.lock === lock);
  }

  #begun(lock: string, cycle: Cycle): Cycle {
    this.#count(lock, 1);
    let running = true;
    const leave = () => {
      if (!running) return;
      running = false;
      cycle.leave();
      this.#count(lock, -1);
    };
    return {
      descriptors: cycle.descriptors,
      leave,
      [Symbol.dispose]: leave,
      [Symbol.asyncDispose]: async () => leave(),
    };
  }

  #count(lock: string, change: 1 | -1): void {
    const before = this.#running.get(lock) ?? 0;
    this.#running.set(lock, before + change);
    if (before + change === (change === 1 ? 1 : 0))
      void this.#tell(id => this.#client.cycle(id, lock, change === 1));
    for (const hold of this.#holds.values()) this.#acknowledge(hold);
  }

  /** Registers with one daemon after the other, until it is disposed. Never rejects. */
  async #follow(): Promise<void> {
    const {signal} = this.#end;
    const {name, locks} = this.#options;
    while (!signal.aborted) {
      try {
        const {id} = await this.#client.register({name, locks: [...locks]}, {signal});
        this.#id = id;
        for await (const order of this.#client.orders(id, {signal})) this.#obey(order);
      } catch (error) {
        if (!signal.aborted) this.#options.onTrouble?.(error);
      }
      // Its holds end with a daemon; one that only cut us off still has the gate.
      for (const hold of this.#holds.values()) this.#resume(hold);
      await sleep(AGAIN, undefined, {signal, ref: false}).catch(() => undefined);
    }
  }

  #obey(order: Order): void {
    const known = this.#holds.get(order.hold);
    if (order.event === 'resume') {
      if (known) this.#resume(known);
      return;
    }
    if (known) return;
    const over = setTimeout(() => this.#resume(hold), order.remaining).unref();
    const hold: Known = {id: order.hold, lock: order.lock, over, acknowledged: false};
    this.#holds.set(hold.id, hold);
    this.#acknowledge(hold);
  }

  /** Once, and only outside of a cycle. */
  #acknowledge(hold: Known): void {
    if (hold.acknowledged || (this.#running.get(hold.lock) ?? 0) > 0) return;
    hold.acknowledged = true;
    void this.#tell(id => this.#client.acknowledge(id, hold.id));
  }

  #resume(hold: Known): void {
    clearTimeout(hold.over);
    this.#holds.delete(hold.id);
    this.#changes.emit('resumed');
  }

  /** Never rejects. What came too late, or to a daemon that is gone, is settled otherwise. */
  async #tell(say: (id: string) => Promise<void>): Promise<void> {
    if (this.#id === undefined) return;
    try {
      await say(this.#id);
    } catch (error) {
      const settled = ['ERR_UNKNOWN_HOLD', 'ERR_UNKNOWN_ORCHESTRATOR', 'ERR_NO_DAEMON'] as const;
      if (!settled.some(code => isLockError(error, code))) this.#options.onTrouble?.(error);
    }
  }
}
