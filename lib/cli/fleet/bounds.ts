/** How are the bounds of a roll-out written on the command line? */
import {InvalidArgumentError} from 'commander';

/** A number of nodes, or a part of those that match. */
export interface Bound {
  readonly nodes?: number;
  readonly percent?: number;
}

export function parseCount(text: string): number {
  const count = /^\d{1,7}$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isNaN(count)) throw new InvalidArgumentError('Give a whole number of nodes.');
  return count;
}

function percentOf(text: string): number | undefined {
  const [, number] = /^(\d+(?:\.\d+)?)%$/.exec(text) ?? [];
  const percent = Number(number);
  return percent > 0 && percent <= 100 ? percent : undefined;
}

/** `5` or `10%`. */
export function parseBound(text: string): Bound {
  const percent = percentOf(text);
  if (percent !== undefined) return {percent};
  if (!/^[1-9]\d{0,6}$/.test(text))
    throw new InvalidArgumentError('Give a number of nodes, or a part of all: 5 or 10%.');
  return {nodes: Number(text)};
}

/** How many nodes that is, of so many; one at least. */
export function boundOf({nodes, percent = 100}: Bound, count: number): number {
  return nodes ?? Math.max(1, Math.floor((count * percent) / 100));
}

/** `10%,50%,100%`: ascending, all of the nodes at last. */
export function parseSteps(text: string): readonly number[] {
  const steps = text.split(',').map(percentOf);
  const wrong = steps.some((step, index) => step === undefined || step <= (steps[index - 1] ?? 0));
  if (wrong || steps.at(-1) !== 100)
    throw new InvalidArgumentError('Give percentages that ascend to 100%: 10%,50%,100%.');
  return steps as number[];
}
