/** Which nodes does a fleet hold mean? Those that are registered with the lock, and those that only were known. */
import {isLockError} from '../errors.js';
import {matches} from './cohort.js';
import {knownNode, parseDocument, registration} from './documents.js';
import type {Etcd, KeyValue} from './etcd/etcd.js';
import {KEYS, lastOf} from './keys.js';

export interface HoldScope {
  /** Registered, with the lock and the labels. */
  readonly nodes: readonly string[];
  /** Known, with the labels, and not registered: whether they have the lock is not known. */
  readonly silent: readonly string[];
  /** What stands under their names is no registration, and why. */
  readonly unreadable: ReadonlyMap<string, string>;
}

/** Parses each, or notes why not. */
function readAll<T>(
  items: readonly KeyValue[],
  read: (item: KeyValue) => T,
  unreadable: Map<string, string>,
): T[] {
  return items.flatMap(item => {
    try {
      return [read(item)];
    } catch (error) {
      if (!isLockError(error, 'ERR_STORE_ANSWER')) throw error;
      unreadable.set(lastOf(item.key), error.message);
      return [];
    }
  });
}

/** Rejects as the store does. */
export async function holdScope(
  etcd: Etcd,
  lock: string,
  where: Readonly<Record<string, string>>,
  signal?: AbortSignal,
): Promise<HoldScope> {
  const known = await etcd.list(KEYS.known, {signal});
  // Second, so that whoever registers meanwhile is not silent.
  const registered = await etcd.list(KEYS.nodes, {signal});
  const unreadable = new Map<string, string>();
  const present = new Set(registered.items.map(({key}) => lastOf(key)));
  const nodes = readAll(
    registered.items,
    ({key, value}) => ({...parseDocument(registration, value, key), node: lastOf(key)}),
    unreadable,
  ).filter(node => matches(node, where) && node.locks.includes(lock));
  const silent = readAll(
    known.items.filter(({key}) => !present.has(lastOf(key))),
    ({key, value}) => ({...parseDocument(knownNode, value, key), node: lastOf(key)}),
    unreadable,
  ).filter(node => matches(node, where));
  return {nodes: nodes.map(({node}) => node), silent: silent.map(({node}) => node), unreadable};
}
