/** What do all routes of the daemon share? */
import type {FastifyInstance, FastifyRequest} from 'fastify';
import {LockError} from '../errors.js';
import type {FleetWatch} from '../fleet/fleet-watch.js';
import type {Peer} from '../os/peer.js';
import type {Settings} from '../recovery/policy/policy.js';
import type {Status} from './api.js';
import type {Events} from './events.js';
import type {Guardian} from './guardian.js';
import type {Holds} from './holds.js';
import type {Metrics} from './metrics.js';
import type {WatchedLock} from './watched-lock.js';

export interface Parts {
  readonly guardian: Guardian;
  readonly holds: Holds;
  readonly events: Events;
  readonly metrics: Metrics;
  /** Undefined: this daemon looks at none. */
  readonly fleet: FleetWatch | undefined;
  /** Where the audit log is. */
  readonly state: string;
  status(): Status;
  /** Throws ERR_POLICY where the policy says two things of that lock. */
  settingsOf(lock: string): Settings;
  /** Who asks. */
  peerOf(request: FastifyRequest): Peer;
}

/** A group of routes. */
export type Routes = (app: FastifyInstance, parts: Parts) => void;

/** The lock of that name. Throws ERR_UNKNOWN_LOCK. */
export function lockOf({guardian}: Parts, name: string): WatchedLock {
  const lock = guardian.find(name);
  if (!lock) throw new LockError('ERR_UNKNOWN_LOCK', `no lock is called ${name}`, {lock: name});
  return lock;
}

/** A signal that aborts when whoever asked has hung up. */
export function untilGone(request: FastifyRequest): AbortSignal {
  const end = new AbortController();
  const {socket} = request.raw;
  const hungUp = () => end.abort(new Error('whoever asked has hung up'));
  if (socket.destroyed) hungUp();
  else socket.once('close', hungUp);
  return end.signal;
}

/** For the audit log: what is asked for, and by whom. */
export function onBehalf(reason: string, {pid, uid}: Peer): string {
  return `${reason} (asked for by uid ${uid}, pid ${pid})`;
}

/** Server-sent events, numbered from the connection on. */
export async function* serverEvents<Event extends {readonly event: string}>(
  events: AsyncIterable<Event>,
  dataOf: (event: Event) => unknown,
): AsyncGenerator<{id: string; event: string; data: unknown}> {
  let id = 0;
  for await (const event of events) yield {id: String(++id), event: event.event, data: dataOf(event)};
}
