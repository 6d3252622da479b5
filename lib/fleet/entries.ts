/** What does a set of entries of the store say? Each is parsed once, and one that is invalid is a problem, not a failure. */
import {z} from 'zod';
import {isLockError} from '../errors.js';
import {matches, rankOf} from './cohort.js';
import {
  type HistoryEvent,
  historyEvent,
  type KnownNode,
  knownNode,
  type NodeReport,
  nodeReport,
  parseDocument,
  parseEnvelope,
  type Plan,
  type Registration,
  registration,
} from './documents.js';
import type {KeyValue} from './etcd/etcd.js';
import {KEYS, lastOf} from './keys.js';

export type Entries = ReadonlyMap<string, KeyValue>;
/** Hears what is invalid, in words. */
export type OnProblem = (problem: string) => void;

type Parsed = {readonly value: unknown} | {readonly problem: string};

/** A mirror gives the same object until the key changes. */
const parsed = new WeakMap<KeyValue, Parsed>();

function parseOnce(entry: KeyValue, parse: (value: Buffer) => unknown): Parsed {
  const known = parsed.get(entry);
  if (known) return known;
  let now: Parsed;
  try {
    now = {value: parse(entry.value)};
  } catch (error) {
    if (!isLockError(error)) throw error;
    now = {problem: error.message};
  }
  parsed.set(entry, now);
  return now;
}

function settle(now: Parsed, problem: OnProblem): unknown {
  if ('value' in now) return now.value;
  problem(now.problem);
  return undefined;
}

/** A document as it stands there; undefined when there is none, or an invalid one. */
export function documentAt<T>(
  entries: Entries,
  key: string,
  schema: z.ZodType<T>,
  problem: OnProblem,
): T | undefined {
  const entry = entries.get(key);
  const parse = (value: Buffer) => parseDocument(schema, value, key);
  return entry && (settle(parseOnce(entry, parse), problem) as T | undefined);
}

/** One that is in an envelope. Signatures are not looked at: this is for showing only. */
export function sealedAt<T>(
  entries: Entries,
  key: string,
  schema: z.ZodType<T>,
  problem: OnProblem,
): T | undefined {
  const entry = entries.get(key);
  const parse = (value: Buffer) => parseDocument(schema, parseEnvelope(value, key).document, key);
  return entry && (settle(parseOnce(entry, parse), problem) as T | undefined);
}

/** The last parts of all keys directly below a prefix. */
export function namesBelow(entries: Entries, prefix: string): string[] {
  return [...entries.keys()].filter(key => key.startsWith(prefix)).map(lastOf);
}

/** A node, registered or only known. */
export interface FleetNode {
  readonly node: string;
  /** It has no registration. That proves nothing of the machine. */
  readonly silent: boolean;
  readonly registration: Registration | undefined;
  /** What remains known when it is silent. */
  readonly known: KnownNode | undefined;
}

/** What it says of itself, last. */
export function aboutNode({registration: now, known}: FleetNode): KnownNode | undefined {
  return now ?? known;
}

export function nodeAt(entries: Entries, node: string, problem: OnProblem): FleetNode {
  const now = documentAt<Registration>(entries, KEYS.node(node), registration, problem);
  const known = documentAt<KnownNode>(entries, KEYS.knownNode(node), knownNode, problem);
  return {node, silent: !entries.has(KEYS.node(node)), registration: now, known};
}

/** All nodes, by name. */
export function nodesOf(entries: Entries, problem: OnProblem): FleetNode[] {
  const names = new Set([...namesBelow(entries, KEYS.nodes), ...namesBelow(entries, KEYS.known)]);
  return [...names].toSorted().map(node => nodeAt(entries, node, problem));
}

export type RankedNode = FleetNode & {readonly rank: string};

/** Those that take part in a roll-out, by rank. */
export function membersOf(plan: Pick<Plan, 'lock' | 'where'>, nodes: readonly FleetNode[]): RankedNode[] {
  return nodes
    .filter(node => {
      const about = aboutNode(node);
      return about !== undefined && matches(about, plan.where);
    })
    .map(node => ({...node, rank: rankOf(plan.lock, node.node)}))
    .toSorted((a, b) => (a.rank < b.rank ? -1 : 1));
}

export function reportAt(
  entries: Entries,
  id: string,
  node: string,
  problem: OnProblem,
): NodeReport | undefined {
  return documentAt<NodeReport>(entries, KEYS.report(id, node), nodeReport, problem);
}

/** In its order. */
export function historyOf(entries: Entries, id: string, problem: OnProblem): HistoryEvent[] {
  return namesBelow(entries, KEYS.history(id))
    .toSorted()
    .flatMap(
      name => documentAt<HistoryEvent>(entries, `${KEYS.history(id)}${name}`, historyEvent, problem) ?? [],
    );
}
