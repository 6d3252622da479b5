/** How are figures written? With as many digits as they deserve. */
import type {Figure, Unit} from '../measure/figure.js';
import {median, quantile, ratio} from '../measure/stats.js';

/** Three digits, and no more than are known. */
function digits(value: number): string {
  if (!Number.isFinite(value)) return '-';
  const places = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return value.toFixed(places);
}

const SCALES: Readonly<Record<Unit, readonly (readonly [from: number, per: number, name: string])[]>> = {
  ns: [
    [1e9, 1e9, 's'],
    [1e6, 1e6, 'ms'],
    [0, 1e3, 'µs'],
  ],
  ms: [
    [1e3, 1e3, 's'],
    [0, 1, 'ms'],
  ],
  MB: [[0, 1, 'MB']],
  count: [[0, 1, '']],
  'per second': [[0, 1, '/s']],
};

export function written(value: number, unit: Unit): string {
  const scale = SCALES[unit].find(([from]) => Math.abs(value) >= from);
  if (!scale || Number.isNaN(value)) return '-';
  const [, per, name] = scale;
  return name === '' ? digits(value / per) : `${digits(value / per)} ${name}`;
}

/** A ratio as people say it: 1.31 x, or 1/85 x for what is much less. */
export function writtenRatio(value: number): string {
  if (!Number.isFinite(value)) return '-';
  return value < 0.1 && value > 0 ? `1/${digits(1 / value)}` : digits(value);
}

export interface Line {
  readonly subject: string;
  readonly median: string;
  readonly spread: string;
  readonly ratio: string;
}

/** A line for each subject: its median, the quartiles, the ratio to the yardstick; the quickest first. */
export function linesOf({rows, unit, yardstick}: Figure): Line[] {
  const against = rows.get(yardstick) ?? [];
  return [...rows]
    .toSorted(([, a], [, b]) => median(a) - median(b))
    .map(([subject, values]) => ({
      subject,
      median: written(median(values), unit),
      spread: `${written(quantile(values, 0.25), unit)} to ${written(quantile(values, 0.75), unit)}`,
      ratio: writtenRatio(ratio(values, against)),
    }));
}

export interface Outcome {
  readonly goal: string;
  readonly found: string;
  /** undefined: it could not be told, as one of the two could not be measured. */
  readonly met: boolean | undefined;
}

/** What became of the goals and limits of a figure. */
export function outcomes({rows, unit, goals = [], limits = []}: Figure): Outcome[] {
  const ratios = goals.map(({subject, against, atMost}): Outcome => {
    const values = rows.get(subject);
    const found = against.flatMap(name =>
      values && rows.has(name) ? [ratio(values, rows.get(name) ?? [])] : [],
    );
    const worst = Math.max(...found);
    const whom = against.length === 1 ? (against[0] ?? '') : 'any peer';
    const goal =
      atMost < 1
        ? `${subject}: at least ${digits(1 / atMost)} times faster than ${whom}`
        : `${subject}: at most ${digits(atMost)} x ${whom}`;
    if (found.length === 0) return {goal, found: '-', met: undefined};
    const text = atMost < 1 ? `${digits(1 / worst)} times` : `${digits(worst)} x`;
    return {goal, found: text, met: worst <= atMost};
  });
  const bounds = limits.map(({subject, below}): Outcome => {
    const value = median(rows.get(subject) ?? []);
    const goal = `${subject}: below ${written(below, unit)}`;
    if (Number.isNaN(value)) return {goal, found: '-', met: undefined};
    return {goal, found: written(value, unit), met: value < below};
  });
  return [...ratios, ...bounds];
}
