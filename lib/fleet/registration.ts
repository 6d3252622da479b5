/** Who is this node, for the fleet? Its registration, which lasts as long as its session, and what remains known of it afterwards. */
import {isLockError, LockError} from '../errors.js';
import {type KnownNode, parseDocument, registration, type Registration} from './documents.js';
import type {KeyValue} from './etcd/etcd.js';
import type {Session} from './etcd/session.js';
import {KEYS} from './keys.js';
import type {LocksSeen} from './lock-watch.js';
import type {NodeParts} from './node.js';
import {epochsSeen} from './node-state.js';

/** What the agent says of its node now. */
export function describeNode(
  {config, version, system, roots}: Pick<NodeParts, 'config' | 'version' | 'system' | 'roots'>,
  {locks, hot}: LocksSeen,
  since: string,
): Registration {
  return {
    v: 1,
    node: config.node,
    machineId: system.machineId ?? null,
    bootId: system.bootId,
    version,
    labels: config.labels,
    locks: [...locks],
    hot: [...hot],
    epochs: epochsSeen(system, roots),
    since,
  };
}

function knownOf({v, node, machineId, version, labels, epochs}: Registration): KnownNode {
  return {v, node, machineId, version, labels, epochs};
}

function taken({node, machineId, bootId}: Registration, theirs: Registration): LockError {
  const which = theirs.machineId === machineId ? `boot ${theirs.bootId}` : `machine ${theirs.machineId}`;
  return new LockError(
    'ERR_NODE_TAKEN',
    `${node} is registered already by ${which} since ${theirs.since}; this is machine ${machineId}, boot ${bootId}`,
    {node},
  );
}

/** A registration that can not be read is nobody's whom we could name, but it lives. */
function requireOurs(ours: Registration, found: KeyValue | undefined): void {
  if (!found) return;
  const theirs = parseDocument(registration, found.value, KEYS.node(ours.node));
  if (theirs.machineId !== ours.machineId || theirs.bootId !== ours.bootId) throw taken(ours, theirs);
}

/**
 * Registers with a session, in the place of an earlier registration of this boot of this machine. Rejects with ERR_NODE_TAKEN while another's is there,
 * and as Session.transact does.
 */
export async function register(
  {etcd, signal}: Pick<NodeParts, 'etcd' | 'signal'>,
  session: Session,
  ours: Registration,
): Promise<void> {
  const key = KEYS.node(ours.node);
  for (;;) {
    const found = await etcd.get(key, {signal});
    requireOurs(ours, found);
    const {applied} = await session.transact(
      {
        when: [found ? {key, modRevision: found.modRevision} : {key, exists: false}],
        then: [
          {put: key, value: JSON.stringify(ours), lease: 'session'},
          {put: KEYS.knownNode(ours.node), value: JSON.stringify(knownOf(ours))},
        ],
      },
      {signal},
    );
    if (applied) return;
  }
}

/** Takes the registration back; a session that is lost has no more. */
export async function unregister(session: Session, node: string): Promise<void> {
  try {
    await session.transact({when: [], then: [{delete: KEYS.node(node)}]});
  } catch (error) {
    if (!isLockError(error)) throw error;
  }
}
