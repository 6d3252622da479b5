/** How are figures written? With as many digits as they deserve. */
import type {Figure, Goal, Unit} from '../measure/figure.js';
import {median, quantile, ratio} from '../measure/stats.js';

/** Three digits, and no more than are known. */
function digits(value: number): string {
  if (!Number.isFinite(value)) return '-';
  if (Number.isInteger(value)) return String(value);
  if (Math.abs(value) < 0.01) return value.toPrecision(1);
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

/** The rows, the least first. */
export function ranked({rows}: Figure): [subject: string, values: readonly number[]][] {
  return [...rows].toSorted(([, a], [, b]) => median(a) - median(b));
}

/** What is said before a figure that is a lower bound. */
export function boundOf({cutOff = []}: Figure, subject: string): string {
  return cutOff.includes(subject) ? 'at least ' : '';
}

/** A line for each subject: its median, the quartiles, the ratio to the yardstick; the quickest first. */
export function linesOf(figure: Figure): Line[] {
  const {rows, unit, yardstick} = figure;
  const against = rows.get(yardstick) ?? [];
  return ranked(figure).map(([subject, values]) => ({
    subject,
    median: boundOf(figure, subject) + written(median(values), unit),
    spread: `${written(quantile(values, 0.25), unit)} to ${written(quantile(values, 0.75), unit)}`,
    ratio: boundOf(figure, subject) + writtenRatio(ratio(values, against)),
  }));
}

export interface Outcome {
  readonly goal: string;
  readonly found: string;
  /** undefined: it could not be told, as one of the two could not be measured. */
  readonly met: boolean | undefined;
}

/** What became of a goal. Whoever it is compared with may have been cut off: then we are at least that much better. */
function outcomeOf(figure: Figure, {subject, against, atMost}: Goal): Outcome {
  const {rows, cutOff = []} = figure;
  const values = rows.get(subject);
  const found = against.flatMap(name =>
    values && rows.has(name) ? [ratio(values, rows.get(name) ?? [])] : [],
  );
  const worst = Math.max(...found);
  const whom = against.length === 1 ? (against[0] ?? '') : 'any peer';
  const faster = atMost < 1;
  const goal = faster
    ? `${subject}: at least ${digits(1 / atMost)} times faster than ${whom}`
    : `${subject}: at most ${digits(atMost)} x ${whom}`;
  if (found.length === 0 || Number.isNaN(worst)) return {goal, found: '-', met: undefined};
  const bounded = against.some(name => cutOff.includes(name));
  const text = faster ? `${digits(1 / worst)} times` : `${digits(worst)} x`;
  const bound = faster ? 'at least ' : 'at most ';
  return {
    goal,
    found: bounded ? bound + text : text,
    met: worst <= atMost || (bounded ? undefined : false),
  };
}

/** What became of the goals and limits of a figure. */
export function outcomes(figure: Figure): Outcome[] {
  const {rows, unit, goals = [], limits = []} = figure;
  const ratios = goals.map(goal => outcomeOf(figure, goal));
  const bounds = limits.map(({subject, below}): Outcome => {
    const value = median(rows.get(subject) ?? []);
    const goal = `${subject}: below ${written(below, unit)}`;
    if (Number.isNaN(value)) return {goal, found: '-', met: undefined};
    return {goal, found: written(value, unit), met: value < below};
  });
  return [...ratios, ...bounds];
}

/** What is said of a goal that was met, or not, or of which that is not known. */
export const MARK = {true: 'met', false: 'NOT MET', undefined: 'not known'} as const;

/** A line for each subject without figures: why it has none. */
export function unmeasured({absent, excused = new Map()}: Figure): string[] {
  return [...absent, ...excused].map(([subject, why]) => `${subject}: not measured: ${why}`);
}
