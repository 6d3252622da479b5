/** How are times and numbers written on the command line, and how are they shown? */
import {InvalidArgumentError} from 'commander';
import {durationOf} from '../recovery/duration.js';

/** Milliseconds of `90s`, `500ms`, `2m`, `1.5h`; a bare number counts seconds. */
export function parseDuration(text: string): number {
  const duration = durationOf(/^[\d.]+$/.test(text) ? `${text}s` : text);
  if (duration === undefined)
    throw new InvalidArgumentError('A duration is a number with its unit: 90s, 500ms, 2m, 1h.');
  return duration;
}

/** Longest wait that a timer of Node can count, in seconds. */
const LONGEST_WAIT = 2_147_483;

/** Milliseconds of a number of seconds, as flock(1) takes it. */
export function parseSeconds(text: string): number {
  const seconds = /^(\d+(\.\d*)?|\.\d+)$/.test(text) ? Number(text) : Number.POSITIVE_INFINITY;
  if (seconds > LONGEST_WAIT)
    throw new InvalidArgumentError(`Give seconds, decimals allowed, up to ${LONGEST_WAIT}: 10 or 0.5.`);
  return Math.round(seconds * 1000);
}

export function parseStatus(text: string): number {
  const status = /^\d{1,3}$/.test(text) ? Number(text) : 256;
  if (status > 255) throw new InvalidArgumentError('An exit status is a number from 0 to 255.');
  return status;
}

export function parseEpoch(text: string): number {
  const epoch = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(epoch))
    throw new InvalidArgumentError('An epoch is a whole number, as `locksmith explain` prints it.');
  return epoch;
}

/** Steps of a time that people read: up to which milliseconds, in which unit. */
const SCALES: readonly (readonly [below: number, unit: number, name: string, digits: number])[] = [
  [10, 1, 'ms', 1],
  [1000, 1, 'ms', 0],
  [120_000, 1000, 's', 1],
  [3_600_000, 60_000, 'min', 0],
  [172_800_000, 3_600_000, 'h', 0],
  [Number.POSITIVE_INFINITY, 86_400_000, 'days', 0],
];

/** `4.2 ms`, `310 ms`, `1.5 s`, `12 min`. */
export function showDuration(milliseconds: number): string {
  const [, unit, name, digits] = SCALES.find(([below]) => milliseconds < below) ?? [0, 1, 'ms', 0];
  return `${Number((milliseconds / unit).toFixed(digits))} ${name}`;
}

/** `12 min ago`, of an ISO 8601 time. */
export function showAge(time: string): string {
  const age = Date.now() - Date.parse(time);
  return Number.isNaN(age) ? 'at an unknown time' : `${showDuration(Math.max(0, age))} ago`;
}
