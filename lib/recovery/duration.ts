/** How are times written, by people and in policy files? */

const UNITS: Record<string, number> = {ms: 1, s: 1000, m: 60_000, h: 3_600_000};

/** Milliseconds of `90s`, `500ms`, `2m`, `1.5h`; undefined for anything else, also for a number without its unit. */
export function durationOf(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text);
  return match ? Math.round(Number(match[1]) * (UNITS[match[2] ?? ''] ?? 0)) : undefined;
}
