/** (b) What does it cost to open a file, lock it, unlock it and close it, when nobody else wants it? */
import {closeSync, openSync, writeFileSync} from 'node:fs';
import {lock, tryLock} from '../../lib/index.js';
import {besideC} from '../measure/beside-c.js';
import {type Operation, type Operations, promise, sync} from '../measure/operation.js';
import {inC} from '../measure/side-by-side.js';
import {peer} from '../peers.js';

function oursSync(path: string, kind: 'flock' | 'ofd'): Operation {
  return sync(() => {
    const held = tryLock(path, {kind});
    if (!held) throw new Error('taken');
    held.release();
  });
}

export const operations: Operations = {
  'locksmith flock, sync': path => oursSync(path, 'flock'),
  'locksmith OFD, sync': path => oursSync(path, 'ofd'),
  'locksmith OFD, promise': path =>
    promise(async () => {
      const held = await lock(path);
      held.release();
    }),
  'fs-ext flock, sync'(path) {
    const {flockSync} = peer('fs-ext');
    return sync(() => {
      const fd = openSync(path, 'a+');
      flockSync(fd, 'exnb');
      flockSync(fd, 'un');
      closeSync(fd);
    });
  },
  'fs-native-extensions OFD, sync'(path) {
    const {tryLock: tryIt, unlock} = peer('fs-native-extensions');
    return sync(() => {
      const fd = openSync(path, 'a+');
      if (!tryIt(fd)) throw new Error('taken');
      unlock(fd);
      closeSync(fd);
    });
  },
  'lockfile, sync'(path) {
    const {lockSync, unlockSync} = peer('lockfile');
    return sync(() => {
      lockSync(path);
      unlockSync(path);
    });
  },
  'proper-lockfile, sync'(path) {
    const {lockSync} = peer('proper-lockfile');
    writeFileSync(path, '');
    return sync(() => lockSync(path)());
  },
  'proper-lockfile, promise'(path) {
    const {lock: lockIt} = peer('proper-lockfile');
    writeFileSync(path, '');
    return promise(async () => (await lockIt(path))());
  },
};

const C_FLOCK = 'C flock';
const C_OFD = 'C OFD';
const BARE_OFD = 'C OFD, without a look at the path';

export const byPath = besideC({
  letter: 'b',
  title: 'open, lock, unlock and close by path',
  module: import.meta.url,
  operations,
  inC: [inC(C_FLOCK, 'path', 'flock'), inC(C_OFD, 'path', 'ofd'), inC(BARE_OFD, 'bare', 'ofd')],
  yardstick: C_OFD,
  goals: [
    {subject: 'locksmith flock, sync', against: [C_FLOCK], atMost: 1.6},
    {subject: 'locksmith OFD, sync', against: [C_OFD], atMost: 1.6},
    {subject: 'locksmith OFD, promise', against: [C_OFD], atMost: 1.6},
    {subject: 'locksmith OFD, promise', against: ['proper-lockfile, promise'], atMost: 1 / 100},
  ],
});
