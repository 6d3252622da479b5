/** How is a machine that is gone for good no longer counted as silent? What remains known of it is removed. */
import {LockError} from '../errors.js';
import {didYouMean, near} from '../recovery/near.js';
import type {FleetAccess} from './access.js';
import {KEYS, lastOf} from './keys.js';

interface Asking {
  readonly signal?: AbortSignal | undefined;
}

async function unknown({etcd, config}: FleetAccess, node: string, asking: Asking): Promise<LockError> {
  const {items} = await etcd.list(KEYS.known, asking);
  const meant = near(
    node,
    items.map(({key}) => lastOf(key)),
  );
  const text = `no node of the fleet ${config.fleet} is called ${node}${didYouMean(meant)}`;
  return new LockError('ERR_ARGUMENT', text, {node});
}

/**
 * Forgets a node: it takes no part any more, and nobody waits for it. When its agent comes back, it is known anew. Rejects with ERR_NODE_TAKEN
 * while it is registered, ERR_ARGUMENT when it is not known, and as the store does.
 */
export async function forgetNode(access: FleetAccess, node: string, asking: Asking = {}): Promise<void> {
  const {etcd, session} = access;
  const [registered, known] = [KEYS.node(node), KEYS.knownNode(node)];
  for (;;) {
    if (await etcd.get(registered, asking))
      throw new LockError(
        'ERR_NODE_TAKEN',
        `${node} is UP: end its agent first, or it would be known again at once; nothing was changed`,
        {node},
      );
    if (!(await etcd.get(known, asking))) throw await unknown(access, node, asking);
    const when = [
      {key: registered, exists: false},
      {key: known, exists: true},
    ];
    const {applied} = await session.transact({when, then: [{delete: known}]}, asking);
    // Else it has come back, or somebody else has forgotten it.
    if (applied) return;
  }
}
