/** How does each subject of this runtime wait for a lock that somebody has, and give it back? Every one on a file that it opens. */
import {openSync} from 'node:fs';
import {type FileLock, lock, LockFile} from '../../lib/index.js';
import {peer} from '../peers.js';

export interface Contender {
  /** Resolves when it has the lock. */
  take(): Promise<unknown>;
  give(): unknown;
}

function ours(path: string, kind: 'flock' | 'ofd'): Contender {
  const file = LockFile.open(path, {kind});
  return {take: () => file.wait('exclusive'), give: () => file.unlock()};
}

function properLockfile(path: string, options: object): Contender {
  const {lock: lockIt} = peer('proper-lockfile');
  let release: () => Promise<void> = async () => undefined;
  return {
    async take() {
      release = await lockIt(path, options);
    },
    give: () => release(),
  };
}

export const OURS_OFD = 'locksmith OFD, promise';
export const OURS_FLOCK = 'locksmith flock, promise';
export const OURS_BY_PATH = 'locksmith';
export const FS_EXT = 'fs-ext flock, callback';
export const FS_NATIVE = 'fs-native-extensions OFD, promise';
export const OS_LOCK = 'os-lock POSIX, promise';
export const LOCKFILE = 'lockfile, asks every 100 ms as by default';
export const PROPER = 'proper-lockfile, asks after 1, 2, 4 ... s as by default';
export const PROPER_STALE_10 = 'proper-lockfile, asks every 100 ms, stale after 10 s as by default';
export const PROPER_STALE_2 = 'proper-lockfile, asks every 100 ms, stale after 2 s, the least';

const RETRIES = 100_000;
const EVERY_100_MS = {retries: RETRIES, factor: 1, minTimeout: 100, maxTimeout: 100};
const A_DAY = 86_400_000;

export const contenders: Readonly<Record<string, (path: string) => Contender>> = {
  [OURS_OFD]: path => ours(path, 'ofd'),
  [OURS_FLOCK]: path => ours(path, 'flock'),
  [OURS_BY_PATH](path) {
    let held: FileLock | undefined;
    return {
      async take() {
        held = await lock(path);
      },
      give: () => held?.release(),
    };
  },
  [FS_EXT](path) {
    const {flock} = peer('fs-ext');
    const fd = openSync(path, 'a+');
    const call = (what: 'ex' | 'un') =>
      new Promise<void>((resolve, reject) => flock(fd, what, error => (error ? reject(error) : resolve())));
    return {take: () => call('ex'), give: () => call('un')};
  },
  [FS_NATIVE](path) {
    const {waitForLock, unlock} = peer('fs-native-extensions');
    const fd = openSync(path, 'a+');
    return {take: () => waitForLock(fd), give: () => unlock(fd)};
  },
  [OS_LOCK](path) {
    const {lock: lockIt, unlock} = peer('os-lock');
    const fd = openSync(path, 'a+');
    return {take: () => lockIt(fd, {exclusive: true}), give: () => unlock(fd)};
  },
  [LOCKFILE](path) {
    const lockfile = peer('lockfile');
    // Its lock is the file itself.
    const own = `${path}.own`;
    return {
      take: () =>
        new Promise<void>((resolve, reject) =>
          lockfile.lock(own, {wait: A_DAY}, error => (error ? reject(error) : resolve())),
        ),
      give: () => lockfile.unlockSync(own),
    };
  },
  [PROPER]: path => properLockfile(path, {retries: RETRIES}),
  [PROPER_STALE_10]: path => properLockfile(path, {retries: EVERY_100_MS}),
  [PROPER_STALE_2]: path => properLockfile(path, {retries: EVERY_100_MS, stale: 2000}),
};
