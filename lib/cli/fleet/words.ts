/** How are nodes, owners, people and labels shown? */
import type {Command, NodeReport} from '../../fleet/documents.js';
import type {FleetNode} from '../../fleet/rollout-view.js';
import {oneLine} from '../output.js';

/** As the node says itself, or as it said last. */
export function labelsOf({registration, known}: Pick<FleetNode, 'registration' | 'known'>) {
  return (registration ?? known)?.labels ?? {};
}

/** `rack=4,site=oslo`; nothing where there are none. */
export function labelText(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([label, value]) => `${label}=${value}`)
    .toSorted((a, b) => a.localeCompare(b))
    .join(',');
}

/** `pid 42 on node-7, for "nightly tuning"`. */
export function ownerText(owner: NonNullable<NodeReport['owner']>): string {
  const {pid, node, purpose} = owner;
  const who = [...(pid === undefined ? [] : [`pid ${pid}`]), ...(node === undefined ? [] : [`on ${node}`])];
  const why = purpose === undefined || purpose === '' ? [] : [`for ${JSON.stringify(purpose)}`];
  return oneLine([who.join(' ') || 'somebody', ...why].join(', '));
}

/** `pid 42 (uid 0) on node-7`. */
export function personText({pid, uid, node}: Command['by']): string {
  return oneLine(`pid ${pid} (uid ${uid}) on ${node}`);
}
