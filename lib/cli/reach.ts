/** Does a daemon answer, and which? */
import {existsSync} from 'node:fs';
import {dirname} from 'node:path';
import type {Status} from '../daemon/api.js';
import type {DaemonClient} from '../daemon/client.js';
import {SYSTEM_SOCKET, socketPath} from '../daemon/socket-path.js';
import {isLockError, LockError} from '../errors.js';
import {checkRoot, listNames, resolveRoots} from '../lock/layout.js';
import {hasCode} from '../os/system-error.js';
import {type System, system as ourSystem} from '../os/system.js';

/** A daemon that says nothing for so long, in milliseconds, is as good as none: one that is stopped still takes connections. */
export const PATIENCE = 2000;

/** The same for those who want the daemon or nothing. */
export const LONG_PATIENCE = 10_000;

/** A daemon that answers. Whoever reached it closes the client. */
export interface Reached {
  readonly socket: string;
  /** It watches the locks of our RUN. */
  readonly ours: boolean;
  readonly client: DaemonClient;
  readonly status: Status;
}

/** None that answers us: nobody is there, it is not for us, or (a fault) it is there and does not do its work. */
export interface Unreached {
  readonly socket: string;
  readonly kind: 'absent' | 'refused' | 'fault';
  readonly error: Error;
}

export function isReached(found: Reached | Unreached): found is Reached {
  return 'client' in found;
}

function silent(socket: string, patience: number): LockError {
  return new LockError(
    'ERR_NO_DAEMON',
    `the daemon on ${socket} has not answered for ${patience / 1000} s: it is stopped, or stuck`,
    {path: socket, silent: true},
  );
}

/** It takes connections, and says nothing. */
export function isSilent(error: unknown): boolean {
  return isLockError(error, 'ERR_NO_DAEMON') && 'silent' in error;
}

/** How it is. Rejects with ERR_NO_DAEMON also when it keeps silent. */
export async function askStatus(client: DaemonClient, patience = PATIENCE): Promise<Status> {
  const end = new AbortController();
  // One more turn: we may have been stopped ourselves, and its answer be here.
  const timer = setTimeout(() => setImmediate(() => end.abort(silent(client.socket, patience))), patience);
  try {
    return await client.status({signal: end.signal});
  } finally {
    clearTimeout(timer);
  }
}

function kindOf(error: unknown): Unreached['kind'] {
  if (hasCode(error, 'EACCES', 'EPERM', 'ERR_NOT_PERMITTED')) return 'refused';
  return isLockError(error, 'ERR_NO_DAEMON') && !isSilent(error) ? 'absent' : 'fault';
}

interface How {
  readonly ours: boolean;
  readonly patience: number;
}

async function reach(system: System, socket: string, {ours, patience}: How): Promise<Reached | Unreached> {
  const {DaemonClient} = await import('../daemon/client.js');
  checkRoot(system, dirname(socket));
  const client = new DaemonClient(socket);
  try {
    return {socket, ours, client, status: await askStatus(client, patience)};
  } catch (error) {
    await client.close();
    return {socket, kind: kindOf(error), error: error as Error};
  }
}

function nobody(socket: string): Unreached {
  const error = new LockError('ERR_NO_DAEMON', `no daemon answers on ${socket}`, {path: socket});
  return {socket, kind: 'absent', error};
}

/** Also the system's daemon, for a user who has not said which RUN is meant, and has no locks of his own. */
function mayAskSystem({uid, env}: System, roots: ReturnType<typeof resolveRoots>): boolean {
  return uid !== 0 && env['LOCKSMITH_RUN'] === undefined && listNames(roots).length === 0;
}

/** The daemon of our RUN, else the system's where that is meant too. Rejects with ERR_ROOT_UNSAFE where anybody could pass for it. */
export async function reachDaemon(
  patience: number = PATIENCE,
  system: System = ourSystem(),
): Promise<Reached | Unreached> {
  const roots = resolveRoots(system);
  const sockets = [socketPath(roots), ...(mayAskSystem(system, roots) ? [SYSTEM_SOCKET] : [])];
  let found = nobody(sockets.at(-1) ?? '');
  for (const [index, socket] of sockets.entries()) {
    // The client takes a while to load, and mostly there is nobody to talk to.
    if (!existsSync(socket)) continue;
    const here = await reach(system, socket, {ours: index === 0, patience});
    if (isReached(here) || here.kind !== 'absent') return here;
    found = here;
  }
  return found;
}
