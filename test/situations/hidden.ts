/** Locks that no descriptor of any process shows: in a message, in a mapping, in a ring, in the kernel. */
import {newFile} from './places.js';
import {IO_URING, LOOP, type Place, ROOT, type Scene, type Situation} from './situation.js';
import {cast, sh, type Stage, start} from './stage.js';

/** It has the file where nobody else has it. */
function byExclusion(pid: number, place: Place): Scene['truth'] {
  return {state: 'ALIVE', holders: [pid], suspects: [{pid, place}], byExclusion: true};
}

/** A lock in the queue of a socket: no descriptor is left but the one in the message. */
export async function inFlight(
  stage: Stage,
  file: string,
  kind: string,
  how: 'queued' | 'orphaned' | 'backlog' | 'nested',
): Promise<Scene> {
  const [sender, receiver] = (await cast(stage, 'pass', file, kind, 'exclusive', how)) as [number, number];
  return {
    file,
    truth: {state: 'UNKNOWN', holders: [], suspects: [{pid: receiver, place: 'socket'}]},
    extras: {[how === 'queued' ? 'the sender, who has it no more' : 'the dead taker']: sender},
  };
}

export const HIDDEN: readonly Situation[] = [
  {
    title: 'a flock in the queue of a socket, closed by its sender, who lives',
    why: 'the table names the sender; it holds as long as nobody takes the message',
    make: stage => inFlight(stage, newFile(stage), 'flock', 'queued'),
  },
  {
    title: 'an OFD lock in the queue of a socket, closed by its sender, who lives',
    why: 'no process shows it, and the table names none',
    make: stage => inFlight(stage, newFile(stage), 'ofd', 'queued'),
  },
  {
    title: 'a flock in the queue of a socket, whose sender has ended',
    why: 'the table names the dead',
    make: stage => inFlight(stage, newFile(stage), 'flock', 'orphaned'),
  },
  {
    title: 'an OFD lock in the queue of a connection that nobody has accepted',
    why: 'the socket of that queue has no descriptor either; the listener counts for it',
    make: stage => inFlight(stage, newFile(stage), 'ofd', 'backlog'),
  },
  {
    title: 'an OFD lock in the queue of a socket that is in the queue of a socket',
    why: 'a message within a message: only the outer socket has a descriptor',
    make: stage => inFlight(stage, newFile(stage), 'ofd', 'nested'),
  },
  {
    title: 'a shared OFD lock in the queue of a socket, beside one that says the same and that a process has',
    why: 'two rows that are equal, and one description that is shown',
    async make(stage) {
      const file = newFile(stage);
      const [pid] = await cast(stage, 'lock', file, 'ofd', 'shared');
      const [sender, receiver] = (await cast(stage, 'pass', file, 'ofd', 'shared', 'queued')) as [
        number,
        number,
      ];
      const suspects = [{pid: receiver, place: 'socket'}] as const;
      return {
        file,
        truth: {state: 'ALIVE', holders: [pid], suspects, descriptions: [[pid], []]},
        extras: {'the sender, who has it no more': sender},
      };
    },
  },
  ...(['flock', 'ofd'] as const).map(
    (kind): Situation => ({
      title: `${kind === 'ofd' ? 'an OFD lock' : 'a flock'} whose file is closed, but mapped`,
      why: 'the mapping keeps the description; only /proc/PID/maps shows the file',
      async make(stage) {
        const file = newFile(stage);
        const [pid] = await cast(stage, 'map', file, kind, 'exclusive');
        return {file, truth: byExclusion(pid, 'mapping')};
      },
    }),
  ),
  {
    title: 'an OFD lock on a closed and mapped file that another process has mapped as well',
    why: 'one of the two has it, and nothing tells which',
    async make(stage) {
      const file = newFile(stage);
      const [holder] = await cast(stage, 'map', file, 'ofd', 'exclusive');
      const [other] = await cast(stage, 'map', file, 'none', 'exclusive');
      const suspects = [holder, other].map(pid => ({pid, place: 'mapping' as const}));
      return {file, truth: {state: 'UNKNOWN', holders: [], suspects}};
    },
  },
  ...(['flock', 'ofd'] as const).map(
    (kind): Situation => ({
      title: `${kind === 'ofd' ? 'an OFD lock' : 'a flock'} whose file is closed, but registered with an io_uring`,
      why: 'only the fdinfo of the ring shows it, by path',
      needs: [IO_URING],
      async make(stage) {
        const file = newFile(stage);
        const [pid] = await cast(stage, 'ring', file, kind, 'exclusive');
        return {file, truth: byExclusion(pid, 'io_uring')};
      },
    }),
  ),
  {
    title: 'a flock on the file of a loop device, whose taker has ended',
    why: 'the kernel itself has it; no process is left',
    needs: [ROOT, LOOP],
    async make(stage) {
      const file = newFile(stage);
      const taker = await start(stage, 'loop', file, 'flock', 'exclusive');
      const [dead, device] = taker.numbers as [number, number];
      stage.onEnd(() => sh('losetup', '-d', `/dev/loop${device}`));
      await taker.leave();
      return {
        file,
        truth: {state: 'UNKNOWN', holders: [], suspects: [{pid: null, place: 'loop'}]},
        extras: {'the dead taker': dead},
      };
    },
  },
];
