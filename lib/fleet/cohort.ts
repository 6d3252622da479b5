/** Which node comes when? Stably: the same nodes are the canary of a lock each time, whoever asks. */
import {createHash} from 'node:crypto';
import {LockError} from '../errors.js';
import type {Plan} from './documents.js';

export interface Labelled {
  readonly node: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** Nodes that go together: all that match, up to this rank. */
export interface Cohort {
  readonly upTo: string;
  /** Those that are new in it, by rank. */
  readonly nodes: readonly string[];
}

/** Where a node stands in the order of a lock's roll-outs: 16 hexadecimal digits. */
export function rankOf(lock: string, node: string): string {
  return createHash('sha256').update(`${lock}\0${node}`).digest('hex').slice(0, 16);
}

/** How much later than the first of all nodes does one with that rank take a step? From 0 to `spread`. */
export function turnOf(rank: string, spread: number): number {
  return (spread * Number.parseInt(rank.slice(0, 8), 16)) / 2 ** 32;
}

/** Does that node have all the labels? */
export function matches(
  {labels}: Pick<Labelled, 'labels'>,
  where: Readonly<Record<string, string>>,
): boolean {
  return Object.entries(where).every(([label, value]) => labels[label] === value);
}

/** How many nodes first, and which parts of all then. */
export interface Sizes {
  readonly canary: number;
  /** Cumulative percentages. */
  readonly steps: readonly number[];
}

/** How many of so many nodes have been reached after the canary and after each step. */
export function cohortSizes({canary, steps}: Sizes, count: number): number[] {
  const cumulative = [canary, ...steps.map(step => Math.ceil((count * step) / 100))];
  return [...new Set(cumulative.filter(size => size >= canary))];
}

/**
 * The cohorts of a roll-out, the canary first. Later ones that would add nobody are left out. Throws ERR_COHORT when no node
 * matches, or fewer than the canary needs.
 */
export function cohortsOf(plan: Pick<Plan, 'lock' | 'where'> & Sizes, nodes: readonly Labelled[]): Cohort[] {
  const ranked = nodes
    .filter(node => matches(node, plan.where))
    .map(({node}) => ({node, rank: rankOf(plan.lock, node)}))
    .sort((a, b) => (a.rank < b.rank ? -1 : 1));
  if (ranked.length < plan.canary)
    throw new LockError(
      'ERR_COHORT',
      `the canary is to have ${plan.canary} nodes, and ${ranked.length} match ${whereText(plan.where)}`,
      {canary: plan.canary, nodes: ranked.length},
    );
  let reached = 0;
  return cohortSizes(plan, ranked.length).map(size => {
    const added = ranked.slice(reached, size);
    reached = size;
    return {upTo: added.at(-1)?.rank ?? '', nodes: added.map(({node}) => node)};
  });
}

/** Labels as people write them. */
export function whereText(where: Readonly<Record<string, string>>): string {
  const text = Object.entries(where).map(([label, value]) => `${label}=${value}`);
  return text.length > 0 ? text.join(',') : 'any labels';
}
