/** What became of a lock that changed? It is examined while somebody listens, so that he hears more than that it changed; else the next sweep does it. */
import type {DaemonEvent, Events} from './events.js';
import type {Guardian} from './guardian.js';

/** Milliseconds for which a lock stays as it is before it is examined: one that changes on and on is not looked at each time. */
const QUIET = 150;

export class Onlooker implements Disposable {
  readonly #guardian: Guardian;
  readonly #events: Events;
  readonly #due = new Map<string, NodeJS.Timeout>();

  constructor(guardian: Guardian, events: Events) {
    this.#guardian = guardian;
    this.#events = events;
    events.on(event => this.#note(event));
    events.onListen(() => this.#catchUp());
  }

  #note(event: DaemonEvent): void {
    if (event.event === 'changed' && this.#events.listeners > 0) this.#examineSoon(event.lock);
  }

  /** What has changed since the last sweep, when nobody listened. */
  #catchUp(): void {
    for (const lock of this.#guardian.locks) if (!lock.current) this.#examineSoon(lock.name);
  }

  #examineSoon(name: string): void {
    clearTimeout(this.#due.get(name));
    const timer = setTimeout(() => {
      this.#due.delete(name);
      // It may have gone meanwhile.
      const lock = this.#guardian.find(name);
      if (lock && !lock.current) this.#guardian.examine(lock);
    }, QUIET);
    this.#due.set(name, timer);
  }

  [Symbol.dispose](): void {
    for (const timer of this.#due.values()) clearTimeout(timer);
    this.#due.clear();
  }
}
