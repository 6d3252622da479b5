/** Who is at the other end of a Unix socket? The kernel says so, as of connect(2), whatever the peer claims (unix(7)). */
import type {Socket} from 'node:net';
import {native} from './native.js';
import {type Identity, identityOf} from './process.js';
import {check, errnoOf, SystemError} from './system-error.js';
import type {System} from './system.js';

/** A process that connected. It may have ended since, or have handed its socket on. */
export interface Peer {
  /** In our pid namespace; 0 when it has no pid there. */
  readonly pid: number;
  readonly uid: number;
  /** Its own group first, then the supplementary ones. */
  readonly groups: readonly number[];
  /** Undefined before Linux 6.5, where only its number is known, and when it has ended already and left no name. */
  readonly identity: Identity | undefined;
}

/** Before Linux 6.5. */
const ENOPROTOOPT = -errnoOf('ENOPROTOOPT');

/** node:net gives no public name to the descriptor of a socket; without it nobody can be told from anybody. */
function descriptorOf(socket: Socket): number {
  const {_handle: handle} = socket as unknown as {_handle?: {fd?: number} | null};
  const fd = handle?.fd;
  if (fd === undefined || fd < 0) throw new SystemError(-errnoOf('EBADF'), 'getsockopt', 'socket');
  return fd;
}

function identityOfPeer(system: System, fd: number): Identity | undefined {
  const pidfd = native.peerPidfd(fd);
  if (pidfd === ENOPROTOOPT) return undefined;
  check<number>(pidfd, 'getsockopt', 'SO_PEERPIDFD');
  try {
    return identityOf(system, pidfd);
  } catch {
    // It has ended, and pidfds have no inodes here.
    return undefined;
  } finally {
    native.close(pidfd);
  }
}

/** Asks the kernel. Throws SystemError for what is no connected Unix socket. */
export function readPeer(system: System, socket: Socket): Peer {
  const fd = descriptorOf(socket);
  const {pid, uid, gid} = check<{pid: number; uid: number; gid: number}>(
    native.peerCredentials(fd),
    'getsockopt',
    'SO_PEERCRED',
  );
  const groups = check<readonly number[]>(native.peerGroups(fd), 'getsockopt', 'SO_PEERGROUPS');
  return {pid, uid, groups: [gid, ...groups], identity: identityOfPeer(system, fd)};
}
