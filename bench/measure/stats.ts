/** What do many figures say? Their median and quartiles; and of two lists, the ratio round by round. */

export function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (sorted.length - 1) * q;
  const low = sorted[Math.floor(at)] ?? Number.NaN;
  const high = sorted[Math.ceil(at)] ?? Number.NaN;
  return low + (high - low) * (at - Math.floor(at));
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** Median of the ratios of each round where both have one figure a round, else the ratio of the medians. */
export function ratio(values: readonly number[], against: readonly number[]): number {
  if (values.length !== against.length) return median(values) / median(against);
  return median(values.map((value, round) => value / (against[round] ?? Number.NaN)));
}
