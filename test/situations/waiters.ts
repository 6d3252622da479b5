/** Those that wait for a lock, also behind others that wait. */
import {newFile, untilBlocked} from './places.js';
import type {Scene, Situation} from './situation.js';
import {cast, type Stage} from './stage.js';

async function waiting(stage: Stage, kind: string, modes: readonly string[], how = 'waits'): Promise<Scene> {
  const file = newFile(stage);
  const [holder] = await cast(stage, 'lock', file, kind, 'exclusive');
  // Who has it open, and waits for nothing.
  const [bystander] = await cast(stage, 'lock', file, 'none', 'exclusive');
  const waiters: number[] = [];
  for (const mode of modes) {
    const [pid] = await cast(stage, 'lock', file, kind, mode, how);
    waiters.push(pid);
    await untilBlocked(file, waiters.length);
  }
  return {
    file,
    truth: {state: 'ALIVE', holders: [holder], waiters},
    extras: {'who only has it open': bystander},
  };
}

export const WAITERS: readonly Situation[] = [
  {
    title: 'a process that waits for a flock',
    why: 'it has the file open as the holder has',
    make: stage => waiting(stage, 'flock', ['exclusive']),
  },
  {
    title: 'a process that waits for an OFD lock',
    why: 'the table says that somebody waits, with pid -1',
    make: stage => waiting(stage, 'ofd', ['exclusive']),
  },
  {
    title: 'a process that waits for a POSIX lock',
    why: 'a range of its own',
    make: stage => waiting(stage, 'posix', ['shared']),
  },
  {
    title: 'a process that waits behind another that waits for a flock',
    why: 'the table indents it: it is the other that is in its way',
    make: stage => waiting(stage, 'flock', ['exclusive', 'exclusive']),
  },
  {
    title: 'a process that waits behind another that waits for an OFD lock',
    why: 'two rows with pid -1',
    make: stage => waiting(stage, 'ofd', ['exclusive', 'exclusive']),
  },
  {
    title: 'a thread that waits for an OFD lock',
    why: 'the first thread of its process does something else',
    make: stage => waiting(stage, 'ofd', ['exclusive'], 'thread'),
  },
  {
    title:
      'a process that waits for an OFD lock, and one that waits for that of another file and has this one open',
    why: 'both wait in the same call, and have the same file open',
    async make(stage) {
      const other = newFile(stage, 'other.conf');
      await cast(stage, 'lock', other, 'ofd', 'exclusive');
      const scene = await waiting(stage, 'ofd', ['exclusive']);
      const [bystander] = await cast(stage, 'lock', other, 'ofd', 'exclusive', 'waits', scene.file as string);
      await untilBlocked(other, 1);
      return {...scene, extras: {...scene.extras, 'who waits for another file': bystander}};
    },
  },
];
