/** Who shares one look at something? All who ask before it begins: what they get is never older than their question. */

/** A look that takes a while, at all that somebody asks for: one at a time, and at most one more that waits, for all who came meanwhile. */
export class Coalesced<Result, Item = never> {
  readonly #look: (items: readonly Item[]) => Promise<Result>;
  #running: Promise<Result> | undefined;
  #next: Promise<Result> | undefined;
  /** What the next look is to be at. */
  #waiting: Item[] = [];

  constructor(look: (items: readonly Item[]) => Promise<Result>) {
    this.#look = look;
  }

  run(...items: readonly Item[]): Promise<Result> {
    this.#waiting.push(...items);
    if (!this.#running) return this.#begin();
    this.#next ??= this.#running.then(
      () => this.#begin(),
      () => this.#begin(),
    );
    return this.#next;
  }

  #begin(): Promise<Result> {
    this.#next = undefined;
    const running = this.#look(this.#waiting.splice(0));
    this.#running = running;
    const end = () => {
      if (this.#running === running) this.#running = undefined;
    };
    running.then(end, end);
    return running;
  }
}
