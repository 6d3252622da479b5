/** What does the daemon tell, and to whom? Everything that happens, to everybody who listens; who can't keep up is cut off, never waited for. */
import type {Owner} from '../lock/owner-record.js';
import type {Ending} from '../os/death.js';
import type {Certificate} from '../recovery/take-back.js';
import type {Verdict} from '../recovery/verdict.js';
import {toCertificate, toFacts, toOwner, toReport} from '../recovery/report.js';
import type {HoldAnswer} from './api.js';

/** What happens. */
export type DaemonEvent =
  /** A lock came under watch. */
  | {readonly event: 'appeared'; readonly lock: string; readonly file: string}
  | {readonly event: 'disappeared'; readonly lock: string}
  /** Its bit, epoch or owner changed; null is what can't be read. */
  | {
      readonly event: 'changed';
      readonly lock: string;
      readonly bit: 0 | 1 | null;
      readonly epoch: number | null;
      readonly owner: Owner | null;
    }
  /** The owner on record has ended. */
  | {
      readonly event: 'owner-died';
      readonly lock: string;
      readonly owner: Owner;
      readonly ending: Ending | null;
    }
  /** Somebody looked at everything, and it is another state or epoch than before. */
  | {readonly event: 'verdict'; readonly lock: string; readonly verdict: Verdict}
  | {readonly event: 'recovering'; readonly lock: string; readonly reason: string}
  | {readonly event: 'recovered'; readonly lock: string; readonly certificate: Certificate}
  | {readonly event: 'recovery-refused'; readonly lock: string; readonly error: unknown}
  /** An orphan that the policy leaves to people. */
  | {readonly event: 'orphan'; readonly lock: string; readonly verdict: Verdict}
  | {
      readonly event: 'orchestrator-joined';
      readonly name: string;
      readonly pid: number;
      readonly locks: readonly string[];
    }
  | {readonly event: 'orchestrator-left'; readonly name: string; readonly pid: number}
  /** A hold is asked for, here or by a recovery; these must come to the hold point first, beside those who pass the gate. */
  | {
      readonly event: 'hold-asked';
      readonly lock: string;
      readonly hold: string;
      readonly waitsFor: readonly string[];
    }
  | {readonly event: 'hold-granted'; readonly lock: string; readonly hold: HoldAnswer}
  /** `error`: what that had stopped does not go on. */
  | {
      readonly event: 'hold-ended';
      readonly lock: string;
      readonly id: string;
      readonly why: string;
      readonly error?: unknown;
    }
  /** A registered owner is late with its heartbeat or its progress, or (null) no longer. */
  | {readonly event: 'suspect'; readonly lock: string; readonly late: 'heartbeat' | 'progress' | null}
  | {readonly event: 'swept'; readonly locks: number; readonly took: number}
  | {readonly event: 'policy'; readonly problem: string | null}
  /** Something of the fleet has changed, and something in these roll-outs; whoever wants to know asks. */
  | {readonly event: 'fleet-changed'; readonly rollouts: readonly string[]}
  /** What is known of the fleet is current from now on, or no longer, and why. */
  | {readonly event: 'fleet-standing'; readonly current: boolean; readonly why: string | null}
  /** Something of the daemon's own could not be done. */
  | {readonly event: 'trouble'; readonly what: string; readonly error: unknown};

export type Tell = (event: DaemonEvent) => void;

/** An event as everybody else sees it. */
export function toEvent(event: DaemonEvent): Record<string, unknown> {
  if ('verdict' in event) return {...event, verdict: toReport(event.verdict)};
  if ('certificate' in event) return {...event, certificate: toCertificate(event.certificate)};
  if ('owner' in event) return {...event, owner: toOwner(event.owner)};
  if ('error' in event) return {...event, error: toFacts(event.error)};
  return event;
}

/** So many events wait for a listener that is slow. */
const MOST_WAITING = 1000;

/** One who listens: an async iterator over what is told from now on. */
export class Listener<Event> implements AsyncIterableIterator<Event> {
  readonly #waiting: Event[] = [];
  readonly #onEnd: () => void;
  #wake: (() => void) | undefined;
  #ended = false;

  constructor(onEnd: () => void) {
    this.#onEnd = onEnd;
  }

  push(event: Event): void {
    this.#waiting.push(event);
    if (this.#waiting.length > MOST_WAITING) this.#end();
    this.#wake?.();
  }

  #end(): void {
    this.#ended = true;
    this.#waiting.length = 0;
    this.#onEnd();
    this.#wake?.();
  }

  async next(): Promise<IteratorResult<Event, undefined>> {
    while (this.#waiting.length === 0 && !this.#ended)
      await new Promise<void>(resolve => (this.#wake = resolve));
    const value = this.#waiting.shift();
    return value === undefined ? {done: true, value: undefined} : {done: false, value};
  }

  async return(): Promise<IteratorResult<Event, undefined>> {
    if (!this.#ended) this.#end();
    return {done: true, value: undefined};
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}

/** All who listen. */
export class Events<Event = DaemonEvent> {
  readonly #direct: ((event: Event) => void)[] = [];
  readonly #listeners = new Set<Listener<Event>>();
  #onListen: () => void = () => undefined;

  /** Calls back for each event, before anybody else hears of it. */
  on(tell: (event: Event) => void): void {
    this.#direct.push(tell);
  }

  /** Calls back when somebody begins to listen. */
  onListen(callback: () => void): void {
    this.#onListen = callback;
  }

  readonly tell = (event: Event): void => {
    for (const tell of this.#direct) tell(event);
    for (const listener of this.#listeners) listener.push(event);
  };

  get listeners(): number {
    return this.#listeners.size;
  }

  /** What is told from now on. Ends when it is left, or when it does not keep up. */
  listen(): Listener<Event> {
    const listener: Listener<Event> = new Listener(() => this.#listeners.delete(listener));
    this.#listeners.add(listener);
    this.#onListen();
    return listener;
  }

  /** Ends them all. */
  async end(): Promise<void> {
    for (const listener of this.#listeners) await listener.return();
  }
}
