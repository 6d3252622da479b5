/** Observers that can't see everything: of another pid namespace, of another user, under hidepid. */
import {chmodSync} from 'node:fs';
import {newFile} from './places.js';
import {AS_NOBODY, NOBODY, ROOT, type Scene, type Situation} from './situation.js';
import {cast, type Stage} from './stage.js';

/** Its own pids, and a /proc of its own, which shows only these. */
const IN_NEW_PID_NAMESPACE = ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc'] as const;

/** A /proc that hides the processes of others (proc(5)), in a mount namespace of its own. */
const UNDER_HIDEPID = [
  'unshare',
  '--mount',
  'sh',
  '-c',
  `mount -t proc -o hidepid=2 locksmith-test /proc && exec ${AS_NOBODY.join(' ')} "$@"`,
  'sh',
] as const;

async function seenBy(stage: Stage, as: readonly string[], kind: string): Promise<Scene> {
  chmodSync(stage.directory, 0o755);
  const file = newFile(stage);
  const [pid] = await cast(stage, 'lock', file, kind, 'exclusive');
  return {file, as, truth: {state: 'UNKNOWN', holders: [], complete: false}, extras: {'the taker': pid}};
}

export const OBSERVERS: readonly Situation[] = [
  {
    title: 'a holder in a child pid namespace, seen from outside',
    why: 'it has two pids; ours is the outer one',
    needs: [ROOT],
    async make(stage) {
      const file = newFile(stage);
      const [pid] = await cast(stage, 'namespace', file, 'flock', 'exclusive', 'pid');
      return {file, truth: {state: 'ALIVE', holders: [pid]}};
    },
  },
  {
    title: 'a flock whose taker has ended in a pid namespace, seen from there, while its child goes on',
    why: 'the kernel leaves out the row, since the taker has no pid there any more; the child shows the lock',
    needs: [ROOT],
    async make(stage) {
      const file = newFile(stage);
      const [init] = await cast(stage, 'namespace', file, 'flock', 'exclusive', 'orphan');
      const as = ['nsenter', '--target', String(init), '--pid', 'unshare', '--mount-proc'];
      return {file, as, truth: {state: 'ALIVE', holders: [3]}, extras: {'the dead taker': 2}};
    },
  },
  ...(['flock', 'ofd'] as const).map(
    (kind): Situation => ({
      title: `${kind === 'ofd' ? 'an OFD lock' : 'a flock'} of a holder in another mount namespace`,
      why: 'the same file, by a mount that the observer does not know',
      needs: [ROOT],
      async make(stage) {
        const file = newFile(stage);
        const [pid] = await cast(stage, 'namespace', file, kind, 'exclusive', 'mount');
        return {file, truth: {state: 'ALIVE', holders: [pid]}};
      },
    }),
  ),
  ...(['flock', 'ofd'] as const).map(
    (kind): Situation => ({
      title: `${kind === 'ofd' ? 'an OFD lock' : 'a flock'} on a file of a container, named by /proc/PID/root/PATH`,
      why: 'its file system is mounted in another mount namespace only',
      needs: [ROOT],
      async make(stage) {
        const file = newFile(stage);
        const [pid] = await cast(stage, 'namespace', file, kind, 'exclusive', 'tmpfs');
        return {file: `/proc/${pid}/root${file}`, truth: {state: 'ALIVE', holders: [pid]}};
      },
    }),
  ),
  {
    title: 'a flock of a holder outside the pid namespace of the observer',
    why: 'the kernel leaves the whole row out of the table',
    needs: [ROOT],
    make: stage => seenBy(stage, IN_NEW_PID_NAMESPACE, 'flock'),
  },
  {
    title: 'an OFD lock of a holder outside the pid namespace of the observer',
    why: 'there is a row, and nobody it could belong to',
    needs: [ROOT],
    make: stage => seenBy(stage, IN_NEW_PID_NAMESPACE, 'ofd'),
  },
  {
    title: 'a POSIX lock of a holder outside the pid namespace of the observer',
    why: 'no row, and F_GETLK says pid 0',
    needs: [ROOT],
    make: stage => seenBy(stage, IN_NEW_PID_NAMESPACE, 'posix'),
  },
  {
    title: 'a flock seen by another user under hidepid=2',
    why: 'the table names a process that /proc does not show',
    needs: [ROOT, NOBODY],
    make: stage => seenBy(stage, UNDER_HIDEPID, 'flock'),
  },
  {
    title: 'an OFD lock seen by another user under hidepid=2',
    why: 'a scan meets nothing that it may not read, and yet has seen nothing',
    needs: [ROOT, NOBODY],
    make: stage => seenBy(stage, UNDER_HIDEPID, 'ofd'),
  },
  {
    title: 'a flock seen by another user',
    why: 'the process is there, but its descriptors are not for us: it may have passed the lock on',
    needs: [ROOT, NOBODY],
    make: stage => seenBy(stage, AS_NOBODY, 'flock'),
  },
  {
    title: 'an OFD lock seen by another user',
    why: 'any process that we may not read can have it',
    needs: [ROOT, NOBODY],
    make: stage => seenBy(stage, AS_NOBODY, 'ofd'),
  },
];
