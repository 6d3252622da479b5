/** Which descriptors are copies of one open file description? (kcmp(2)) */
import type {Descriptor} from './lock-survey.js';
import {native} from './native.js';

function task({pid, thread}: Descriptor): number {
  return thread ?? pid;
}

/**
 * Sorts descriptors into their open file descriptions. kcmp tells an order, so that this takes n log n comparisons.
 * undefined where that can't be told: without the right to look at a process, or on a kernel without kcmp.
 */
export function groupByDescription(descriptors: readonly Descriptor[]): Descriptor[][] | undefined {
  let told = true;
  const compare = (a: Descriptor, b: Descriptor): number => {
    const order = native.compareDescriptions(task(a), a.fd, task(b), b.fd);
    told &&= order >= 0 && order <= 2;
    return order === 1 ? -1 : order === 2 ? 1 : 0;
  };
  const groups: Descriptor[][] = [];
  for (const descriptor of descriptors.toSorted(compare)) {
    const last = groups.at(-1);
    if (last?.[0] && compare(last[0], descriptor) === 0) last.push(descriptor);
    else groups.push([descriptor]);
  }
  return told ? groups : undefined;
}
