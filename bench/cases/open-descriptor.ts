/** (a) What does it cost to take and to give back a lock on a descriptor that is open, when nobody else wants it? */
import {openSync} from 'node:fs';
import {LockFile} from '../../lib/index.js';
import {besideC} from '../measure/beside-c.js';
import {type Operation, type Operations, promise, sync} from '../measure/operation.js';
import {inC} from '../measure/side-by-side.js';
import {peer} from '../peers.js';

const flags = 'a+';

function ours(path: string, kind: 'flock' | 'ofd'): LockFile {
  openSync(path, flags);
  return LockFile.open(path, {kind});
}

function oursSync(path: string, kind: 'flock' | 'ofd'): Operation {
  const file = ours(path, kind);
  return sync(() => {
    if (!file.try('exclusive')) throw new Error('taken');
    file.unlock();
  });
}

function oursPromise(path: string, kind: 'flock' | 'ofd'): Operation {
  const file = ours(path, kind);
  return promise(async () => {
    await file.wait('exclusive');
    file.unlock();
  });
}

export const operations: Operations = {
  'locksmith flock, sync': path => oursSync(path, 'flock'),
  'locksmith OFD, sync': path => oursSync(path, 'ofd'),
  'locksmith flock, promise': path => oursPromise(path, 'flock'),
  'locksmith OFD, promise': path => oursPromise(path, 'ofd'),
  'fs-ext flock, sync'(path) {
    const {flockSync} = peer('fs-ext');
    const fd = openSync(path, flags);
    return sync(() => {
      flockSync(fd, 'exnb');
      flockSync(fd, 'un');
    });
  },
  'fs-ext flock, callback'(path) {
    const {flock} = peer('fs-ext');
    const fd = openSync(path, flags);
    const call = (what: 'ex' | 'un') =>
      new Promise<void>((resolve, reject) => flock(fd, what, error => (error ? reject(error) : resolve())));
    return promise(async () => {
      await call('ex');
      await call('un');
    });
  },
  'fs-native-extensions OFD, sync'(path) {
    const {tryLock, unlock} = peer('fs-native-extensions');
    const fd = openSync(path, flags);
    return sync(() => {
      if (!tryLock(fd)) throw new Error('taken');
      unlock(fd);
    });
  },
  'fs-native-extensions OFD, promise'(path) {
    const {waitForLock, unlock} = peer('fs-native-extensions');
    const fd = openSync(path, flags);
    return promise(async () => {
      await waitForLock(fd);
      unlock(fd);
    });
  },
  'os-lock POSIX, promise'(path) {
    const {lock, unlock} = peer('os-lock');
    const fd = openSync(path, flags);
    return promise(async () => {
      await lock(fd, {exclusive: true});
      await unlock(fd);
    });
  },
};

const names = Object.keys(operations);
const C_FLOCK = 'C flock';
const C_OFD = 'C OFD';

function others(kind: RegExp): string[] {
  return names.filter(name => !name.startsWith('locksmith') && kind.test(name));
}

export const openDescriptor = besideC({
  letter: 'a',
  title: 'take and give back on an open descriptor',
  module: import.meta.url,
  operations,
  inC: [inC(C_FLOCK, 'cycle', 'flock'), inC(C_OFD, 'cycle', 'ofd')],
  yardstick: C_OFD,
  goals: [
    {subject: 'locksmith flock, sync', against: [C_FLOCK], atMost: 1.4},
    {subject: 'locksmith OFD, sync', against: [C_OFD], atMost: 1.4},
    {subject: 'locksmith flock, sync', against: others(/flock, sync/), atMost: 1},
    {subject: 'locksmith OFD, sync', against: others(/OFD, sync/), atMost: 1},
    {subject: 'locksmith OFD, promise', against: [C_OFD], atMost: 2},
    {subject: 'locksmith OFD, promise', against: others(/promise|callback/), atMost: 1 / 20},
  ],
});
