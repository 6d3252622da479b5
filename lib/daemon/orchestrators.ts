/** Who wants to hear of a hold before it is granted, and has come to the hold point? Each answers under the id of that hold. */
import {randomUUID} from 'node:crypto';
import {LockError} from '../errors.js';
import {monotonic} from '../os/deadline.js';
import type {Peer} from '../os/peer.js';
import type {Announce, Announced} from '../recovery/hold.js';
import type {Acknowledgement} from '../recovery/quiesce/quiesce.js';
import type {OrchestratorAnswer} from './api.js';
import type {Deaths} from './deaths.js';
import {Events, type Tell} from './events.js';

/** What one of them hears. */
export type Order =
  | {readonly event: 'hold'; readonly hold: string; readonly lock: string; readonly remaining: number}
  | {readonly event: 'resume'; readonly hold: string; readonly lock: string};

interface Orchestrator {
  readonly id: string;
  readonly name: string;
  readonly by: Peer;
  readonly locks: readonly string[];
  readonly orders: Events<Order>;
  readonly cycles: Set<string>;
  readonly watch: Disposable | undefined;
}

/** One hold, from its announcement to its end. */
interface Pending {
  readonly id: string;
  readonly lock: string;
  /** On the monotonic clock. */
  readonly from: number;
  readonly until: number;
  /** Who was asked, and who has answered after how long. */
  readonly asked: ReadonlySet<Orchestrator>;
  readonly answered: Map<Orchestrator, number>;
  wake: () => void;
}

/** All who have registered. */
export class Orchestrators {
  readonly #deaths: Deaths;
  readonly #tell: Tell;
  readonly #known = new Map<string, Orchestrator>();
  readonly #pending = new Map<string, Pending>();

  constructor(deaths: Deaths, tell: Tell) {
    this.#deaths = deaths;
    this.#tell = tell;
  }

  list(): OrchestratorAnswer[] {
    return [...this.#known.values()].map(({id, name, by, locks, cycles}) => ({
      id,
      name,
      pid: by.pid,
      uid: by.uid,
      locks: [...locks],
      cycles: [...cycles],
      holds: [...this.#pending.values()]
        .filter(({asked}) => [...asked].some(each => each.id === id))
        .map(({id: hold, lock, answered}) => ({
          hold,
          lock,
          acknowledged: [...answered.keys()].some(each => each.id === id),
        })),
    }));
  }

  /** Until it leaves or dies. What is on hold just now it hears of as well, but nobody waits for it there: it has no cycle yet. */
  register(name: string, locks: readonly string[], by: Peer): string {
    const id = randomUUID();
    const watch = this.#deaths.watchPeer(by, () => this.#forget(id));
    this.#known.set(id, {id, name, by, locks, orders: new Events(), cycles: new Set(), watch});
    this.#tell({event: 'orchestrator-joined', name, pid: by.pid, locks: [...locks]});
    return id;
  }

  leave(id: string, by: Peer): void {
    this.#of(id, by);
    this.#forget(id);
  }

  /** What it hears from now on; first the holds that are in force already. */
  listen(id: string, by: Peer): AsyncIterableIterator<Order> {
    const {orders, locks} = this.#of(id, by);
    const listening = orders.listen();
    for (const pending of this.#pending.values())
      if (locks.includes(pending.lock)) listening.push(orderOf(pending));
    return listening;
  }

  /** It says that a cycle has begun, or ended. The gate is what counts; this is for people. */
  cycle(id: string, by: Peer, lock: string, running: boolean): void {
    const {cycles} = this.#of(id, by);
    if (running) cycles.add(lock);
    else cycles.delete(lock);
  }

  /** It stands at the hold point of that hold. Throws ERR_UNKNOWN_HOLD for one that is over or was not announced to it, ERR_ACKNOWLEDGED the second time. */
  acknowledge(id: string, by: Peer, hold: string): void {
    const orchestrator = this.#of(id, by);
    const pending = this.#pending.get(hold);
    if (!pending?.asked.has(orchestrator))
      throw new LockError(
        'ERR_UNKNOWN_HOLD',
        `no hold ${hold} waits for ${orchestrator.name}: it is over, or was never announced to it`,
        {hold},
      );
    if (pending.answered.has(orchestrator))
      throw new LockError(
        'ERR_ACKNOWLEDGED',
        `${orchestrator.name} has acknowledged the hold ${hold} before`,
        {hold},
      );
    pending.answered.set(orchestrator, monotonic() - pending.from);
    pending.wake();
  }

  /** Announces a hold to all who have registered for that lock. */
  readonly announce: Announce = (lock, milliseconds) => {
    const from = monotonic();
    const pending: Pending = {
      id: randomUUID(),
      lock,
      from,
      until: from + milliseconds,
      asked: new Set([...this.#known.values()].filter(({locks}) => locks.includes(lock))),
      answered: new Map(),
      wake: () => undefined,
    };
    this.#pending.set(pending.id, pending);
    this.#tell({
      event: 'hold-asked',
      lock,
      hold: pending.id,
      waitsFor: [...pending.asked].map(({name}) => name),
    });
    for (const {orders} of pending.asked) orders.tell(orderOf(pending));
    return this.#announced(pending);
  };

  async end(): Promise<void> {
    for (const id of this.#known.keys()) this.#forget(id);
  }

  #announced(pending: Pending): Announced {
    const missing = () =>
      [...pending.asked].filter(each => this.#known.has(each.id) && !pending.answered.has(each));
    return {
      acknowledged: async signal => {
        const aborted = () => pending.wake();
        signal.addEventListener('abort', aborted, {once: true});
        while (missing().length > 0 && !signal.aborted)
          await new Promise<void>(resolve => (pending.wake = resolve));
        signal.removeEventListener('abort', aborted);
        const late = missing();
        if (late.length > 0) throw isTimeout(signal.reason) ? refused(pending, late) : signal.reason;
        return [...pending.answered].map(
          ([{name, by}, after]): Acknowledgement => ({
            adapter: `orchestrator ${name} (pid ${by.pid})`,
            what: 'it says that it stands at the hold point',
            after,
          }),
        );
      },
      end: () => {
        this.#pending.delete(pending.id);
        for (const {orders} of pending.asked)
          orders.tell({event: 'resume', hold: pending.id, lock: pending.lock});
      },
    };
  }

  /** The one of that id, asked for by the process that registered it. */
  #of(id: string, by: Peer): Orchestrator {
    const found = this.#known.get(id);
    if (!found)
      throw new LockError('ERR_UNKNOWN_ORCHESTRATOR', `no orchestrator ${id} has registered`, {
        orchestrator: id,
      });
    if (found.by.pid === by.pid && found.by.identity === by.identity) return found;
    throw new LockError('ERR_NOT_PERMITTED', `${found.name} is pid ${found.by.pid}; this is pid ${by.pid}`, {
      orchestrator: id,
    });
  }

  /** Who is gone can't be waited for. */
  #forget(id: string): void {
    const found = this.#known.get(id);
    if (!found) return;
    this.#known.delete(id);
    found.watch?.[Symbol.dispose]();
    void found.orders.end();
    this.#tell({event: 'orchestrator-left', name: found.name, pid: found.by.pid});
    for (const pending of this.#pending.values()) pending.wake();
  }
}

/** The time is over; else whoever asked for the hold waits no longer. */
function isTimeout(reason: unknown): boolean {
  return reason instanceof DOMException && reason.name === 'TimeoutError';
}

function orderOf({id, lock, until}: Pending): Order {
  return {event: 'hold', hold: id, lock, remaining: Math.max(0, until - monotonic())};
}

function refused({lock, id}: Pending, late: readonly Orchestrator[]): LockError {
  const who = late.map(({name, by}) => `${name} (pid ${by.pid})`).join(', ');
  return new LockError('ERR_HOLD_REFUSED', `${who} did not acknowledge the hold on ${lock} in time`, {
    lock,
    hold: id,
    pids: late.map(({by}) => by.pid),
  });
}
