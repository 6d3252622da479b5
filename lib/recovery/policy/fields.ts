/** What do the files that people write have in common? Objects whose keys are known, times, and what is said of those that are wrong. */
import {z} from 'zod';
import {durationOf} from '../duration.js';
import {LONGEST_HOLD} from '../hold.js';
import {didYouMean, near} from '../near.js';

/** What is wrong with one value, or with one key that nobody knows. */
export interface SchemaProblem {
  readonly path: readonly (string | number)[];
  readonly what: string;
  /** It is the key that is wrong, whatever its value. */
  readonly atKey: boolean;
}

/** An object of these keys and no others; of several that it does not know, the text has a line for each. */
export function fields<Shape extends z.ZodRawShape>(
  shape: Shape,
  expected: string,
): z.ZodObject<Shape, z.core.$strict> {
  const known = Object.keys(shape);
  return z.strictObject(shape, {
    error: issue =>
      issue.code === 'unrecognized_keys'
        ? issue.keys
            .map(key => `unknown key${didYouMean(near(key, known)) || `; known are ${known.join(', ')}`}`)
            .join('\n')
        : expected,
  });
}

export function toProblems(issue: z.core.$ZodIssue): SchemaProblem[] {
  const path = issue.path.map(step => (typeof step === 'number' ? step : String(step)));
  if (issue.code !== 'unrecognized_keys')
    return [{path, what: issue.message, atKey: issue.code === 'custom' && issue.params?.['atKey'] === true}];
  const lines = issue.message.split('\n');
  return issue.keys.map((key, index) => ({path: [...path, key], what: lines[index] ?? '', atKey: true}));
}

const DURATION = 'a time with its unit: 90s, 500ms, 2m, 1h';

/** A time of at least a millisecond and at most that of the longest hold. */
export const duration = z.string(`expected ${DURATION}`).transform((text, context) => {
  const time = durationOf(text);
  if (time !== undefined && time >= 1 && time <= LONGEST_HOLD) return time;
  const why = time === undefined ? `is not ${DURATION}` : 'is out of bounds: from 1ms to 24h';
  context.addIssue(`${JSON.stringify(text)} ${why}`);
  return z.NEVER;
});
