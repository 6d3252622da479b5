/** Locks of each kind, alone and shared: who holds them when descriptors were inherited, passed on, executed over? */
import {newFile, unopened} from './places.js';
import {ROOT, type Scene, type Situation} from './situation.js';
import {cast, type Stage} from './stage.js';

type Kind = 'flock' | 'ofd' | 'posix' | 'lease';

const NAMES: Record<Kind, string> = {
  flock: 'a flock',
  ofd: 'an OFD lock',
  posix: 'a POSIX lock',
  lease: 'a lease',
};

async function held(stage: Stage, kind: Kind, mode: string): Promise<Scene & {readonly file: string}> {
  const file = newFile(stage);
  const [pid] = await cast(stage, 'lock', file, kind, mode);
  return {file, truth: {state: 'ALIVE', holders: [pid]}};
}

const KINDS: Situation[] = [
  {
    title: 'a flock',
    why: 'the table names its taker, who need not be its holder',
    make: stage => held(stage, 'flock', 'exclusive'),
  },
  {
    title: 'an OFD lock',
    why: 'the table says pid -1',
    make: stage => held(stage, 'ofd', 'exclusive'),
  },
  {
    title: 'a POSIX lock on a range',
    why: 'it belongs to a process, not to a description',
    make: stage => held(stage, 'posix', 'exclusive'),
  },
  {
    title: 'a lease for reading',
    why: 'whoever opens the file for writing breaks it',
    make: async stage => unopened(stage, await held(stage, 'lease', 'shared')),
  },
  {
    title: 'a lease for writing',
    why: 'whoever opens the file at all breaks it',
    make: async stage => unopened(stage, await held(stage, 'lease', 'exclusive')),
  },
  {
    title: 'nobody has a lock, though the file is open',
    why: 'who has it open does not hold it',
    async make(stage) {
      const file = newFile(stage);
      const [pid] = await cast(stage, 'lock', file, 'none', 'shared');
      return {file, truth: {state: 'FREE', holders: []}, extras: {'who only has it open': pid}};
    },
  },
  {
    title: 'a flock that three processes share',
    why: 'three descriptions, and a fourth that has it open only',
    async make(stage) {
      const file = newFile(stage);
      const [a] = await cast(stage, 'lock', file, 'flock', 'shared');
      const [b] = await cast(stage, 'lock', file, 'flock', 'shared');
      const [c] = await cast(stage, 'lock', file, 'flock', 'shared');
      const [bystander] = await cast(stage, 'lock', file, 'none', 'shared');
      return {
        file,
        truth: {state: 'ALIVE', holders: [a, b, c], descriptions: [[a], [b], [c]]},
        extras: {'who only has it open': bystander},
      };
    },
  },
  {
    title: 'two equal OFD locks of two processes',
    why: 'two rows that only kcmp(2) can tell apart',
    async make(stage) {
      const file = newFile(stage);
      const [a] = await cast(stage, 'lock', file, 'ofd', 'shared');
      const [b] = await cast(stage, 'lock', file, 'ofd', 'shared');
      return {file, truth: {state: 'ALIVE', holders: [a, b], descriptions: [[a], [b]]}};
    },
  },
  {
    title: 'one shared OFD lock that a process and its child have together',
    why: 'one row and two processes: the mirror of the one before',
    async make(stage) {
      const file = newFile(stage);
      const [a, b] = (await cast(stage, 'fork', file, 'ofd', 'shared', 'share')) as [number, number];
      return {file, truth: {state: 'ALIVE', holders: [a, b], descriptions: [[a, b]]}};
    },
  },
  {
    title: 'both at once: equal OFD locks of a process, and of another with its child',
    why: 'two rows and three processes',
    async make(stage) {
      const file = newFile(stage);
      const [a, b] = (await cast(stage, 'fork', file, 'ofd', 'shared', 'share')) as [number, number];
      const [c] = await cast(stage, 'lock', file, 'ofd', 'shared');
      return {file, truth: {state: 'ALIVE', holders: [a, b, c], descriptions: [[a, b], [c]]}};
    },
  },
];

function inherited(kind: Kind): Situation[] {
  return [
    {
      title: `${NAMES[kind]} that a process and its child share after fork`,
      why: 'the table has one row, and one pid at most',
      async make(stage) {
        const file = newFile(stage);
        const holders = await cast(stage, 'fork', file, kind, 'exclusive', 'share');
        return {file, truth: {state: 'ALIVE', holders}};
      },
    },
    {
      title: `${NAMES[kind]} whose taker has ended while its child goes on`,
      why: 'the child holds it, whomever the table names',
      async make(stage) {
        const file = newFile(stage);
        const [dead, child] = (await cast(stage, 'fork', file, kind, 'exclusive', 'die')) as [number, number];
        return {file, truth: {state: 'ALIVE', holders: [child]}, extras: {'the dead taker': dead}};
      },
    },
  ];
}

const PASSED_ON: Situation[] = [
  {
    title: 'a POSIX lock after fork',
    why: 'the child inherits the descriptor, but not the lock',
    async make(stage) {
      const file = newFile(stage);
      const [taker, child] = (await cast(stage, 'fork', file, 'posix', 'exclusive', 'share')) as [
        number,
        number,
      ];
      return {file, truth: {state: 'ALIVE', holders: [taker]}, extras: {'a child without the lock': child}};
    },
  },
  {
    title: 'a POSIX lock whose taker shared its descriptor table with another process, and ended',
    why: 'the table of descriptors owns it (CLONE_FILES), not the pid',
    async make(stage) {
      const file = newFile(stage);
      const [dead, child] = (await cast(stage, 'fork', file, 'posix', 'exclusive', 'table')) as [
        number,
        number,
      ];
      return {file, truth: {state: 'ALIVE', holders: [child]}, extras: {'the dead taker': dead}};
    },
  },
  {
    title: 'a flock whose taker has ended, and whose pid a stranger has, while the child goes on',
    why: 'the pid in the table is alive, and innocent (clone3, set_tid)',
    needs: [ROOT],
    async make(stage) {
      const file = newFile(stage);
      const [reused, child] = (await cast(stage, 'fork', file, 'flock', 'exclusive', 'reuse')) as [
        number,
        number,
      ];
      return {file, truth: {state: 'ALIVE', holders: [child]}, extras: {'a stranger': reused}};
    },
  },
  {
    title: 'a flock whose taker has executed another program',
    why: 'the descriptor goes on through execve(2)',
    async make(stage) {
      const file = newFile(stage);
      const [pid] = await cast(stage, 'exec', file, 'flock', 'exclusive');
      return {file, truth: {state: 'ALIVE', holders: [pid]}};
    },
  },
  {
    title: 'a flock that a process has passed on through a socket, and kept',
    why: 'the table names one, who has it; the other is no relation of it',
    async make(stage) {
      const file = newFile(stage);
      const holders = await cast(stage, 'pass', file, 'flock', 'exclusive', 'kept');
      return {file, truth: {state: 'ALIVE', holders}};
    },
  },
  ...(['flock', 'ofd'] as const).map(
    (kind): Situation => ({
      title: `${NAMES[kind]} that came through a socket from a process that has ended`,
      why: 'no relation between the two but a message (SCM_RIGHTS)',
      async make(stage) {
        const file = newFile(stage);
        const [sender, receiver] = (await cast(stage, 'pass', file, kind, 'exclusive', 'received')) as [
          number,
          number,
        ];
        return {file, truth: {state: 'ALIVE', holders: [receiver]}, extras: {'the dead taker': sender}};
      },
    }),
  ),
];

export const SHARING: readonly Situation[] = [
  ...KINDS,
  ...inherited('flock'),
  ...inherited('ofd'),
  ...PASSED_ON,
];
