/** Do two ways of a command come to the same? What may differ is left out: times, numbers, and where the test works. */
import type {Bench} from './cli.js';
import type {Ended} from './started.js';

/** Directly first. */
export const WAYS = ['direct', 'daemon'] as const;

export type Way = (typeof WAYS)[number];

/** A text without what two runs never have in common; what is told of a wait that lasts is told on a slow machine only. */
export function essence(text: string, {directory}: Pick<Bench, 'directory'>): string {
  return text
    .replaceAll(/^locksmith: waiting for .*\n/gm, '')
    .replaceAll(directory, 'DIRECTORY')
    .replaceAll(/ \(asked for by uid \d+, pid \d+\)/g, '')
    .replaceAll(/[\da-f]{16,}/g, 'HASH')
    .replaceAll(/\d[\d.]* (ms|s|min)\b/g, 'TIME')
    .replaceAll(/\d[\d.]*/g, 'N')
    .replaceAll(/ +/g, ' ');
}

/** All that a command ended with, without what two runs never have in common. */
export function outcome({code, stdout, stderr}: Ended, made: Pick<Bench, 'directory'>): object {
  return {code, stdout: essence(stdout, made), stderr: essence(stderr, made)};
}

/** The fields of a value, all the way down, and the kinds of what is in them; of a list, the kinds of its parts. */
export function shape(value: unknown): unknown {
  if (Array.isArray(value)) return [...new Set(value.map(part => JSON.stringify(shape(part))))];
  if (value === null || typeof value !== 'object') return value === null ? 'null' : typeof value;
  return Object.fromEntries(
    Object.entries(value)
      .map(([key, part]) => [key, shape(part)] as const)
      .toSorted(([a], [b]) => (a < b ? -1 : 1)),
  );
}

/** Each line of JSON by its fields. */
export function shapes({stdout}: Pick<Ended, 'stdout'>): unknown[] {
  return stdout
    .trim()
    .split('\n')
    .map(line => shape(JSON.parse(line)));
}
