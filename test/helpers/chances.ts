/** What happens by chance in a test? The same again for the same seed. */

export interface Chances {
  /** A number from 0 up to, but without, 1. */
  next(): number;
  /** A whole number from `least` to `most`. */
  between(least: number, most: number): number;
  pick<T>(among: readonly T[]): T;
  /** One of them, by its weight. */
  weighted<T>(among: readonly (readonly [weight: number, what: T])[]): T;
}

/** Numbers by a counter that is mixed well (splitmix32). */
export function chances(seed: number): Chances {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x9e3779b9) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32;
  };
  const between = (least: number, most: number) => least + Math.floor(next() * (most - least + 1));
  return {
    next,
    between,
    pick: among => {
      if (among.length === 0) throw new Error('there is nothing to choose from');
      return among[between(0, among.length - 1)] as (typeof among)[number];
    },
    weighted(among) {
      let left = next() * among.reduce((sum, [weight]) => sum + weight, 0);
      for (const [weight, what] of among) {
        left -= weight;
        if (left < 0) return what;
      }
      throw new Error('there is nothing to choose from');
    },
  };
}
