/** Where in etcd is what? The names of all keys, below the prefix of the fleet. */

/** Of all keys of a fleet; etcd may keep other things, and other fleets. */
export function prefixOf(fleet: string): string {
  return `/locksmith/${fleet}/`;
}

/** What is in force now. Every node watches this, and nothing else. */
export const NOW = 'now/';

export const KEYS = {
  nodes: 'nodes/',
  node: (node: string) => `nodes/${node}`,
  known: 'known/',
  knownNode: (node: string) => `known/${node}`,
  orders: `${NOW}rollouts/`,
  order: (lock: string) => `${NOW}rollouts/${lock}`,
  holds: `${NOW}holds/`,
  hold: (id: string) => `${NOW}holds/${id}`,
  holdAcknowledgements: (id: string) => `holds/${id}/acks/`,
  holdAcknowledgement: (id: string, node: string) => `holds/${id}/acks/${node}`,
  rollouts: 'rollouts/',
  rollout: (id: string) => `rollouts/${id}/`,
  plan: (id: string) => `rollouts/${id}/plan`,
  state: (id: string) => `rollouts/${id}/state`,
  reports: (id: string) => `rollouts/${id}/nodes/`,
  report: (id: string, node: string) => `rollouts/${id}/nodes/${node}`,
  commands: (id: string) => `rollouts/${id}/commands/`,
  command: (id: string, seq: number) => `rollouts/${id}/commands/${numbered(seq)}`,
  history: (id: string) => `rollouts/${id}/history/`,
  event: (id: string, seq: number) => `rollouts/${id}/history/${numbered(seq)}`,
  blob: (sha256: string) => `blobs/${sha256}`,
  epoch: (lock: string) => `epochs/${lock}`,
  proposals: 'proposals/',
  proposal: (id: string) => `proposals/${id}`,
  leader: 'leader',
} as const;

/** Sorts as text as it does as a number. */
function numbered(seq: number): string {
  return String(seq).padStart(8, '0');
}

/** The last part of a key. */
export function lastOf(key: string): string {
  return key.slice(key.lastIndexOf('/') + 1);
}
