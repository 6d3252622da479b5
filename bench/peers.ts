/** Whom are we measured against? The packages of bench/package.json, and of their calls those that are used here. */
import {spawnSync} from 'node:child_process';
import {createRequire} from 'node:module';
import {fileURLToPath} from 'node:url';

type Done = (error: Error | null) => void;

export interface Peers {
  readonly 'fs-ext': {
    readonly flockSync: (fd: number, flags: 'ex' | 'exnb' | 'un') => void;
    readonly flock: (fd: number, flags: 'ex' | 'un', done: Done) => void;
  };
  readonly 'fs-native-extensions': {
    readonly tryLock: (fd: number) => boolean;
    readonly waitForLock: (fd: number) => Promise<void>;
    readonly unlock: (fd: number) => void;
  };
  readonly 'os-lock': {
    readonly lock: (fd: number, options: {exclusive: boolean}) => Promise<void>;
    readonly unlock: (fd: number) => Promise<void>;
  };
  readonly lockfile: {
    readonly lock: (
      path: string,
      options: {wait?: number; pollPeriod?: number; stale?: number},
      done: Done,
    ) => void;
    readonly lockSync: (path: string, options?: object) => void;
    readonly unlockSync: (path: string) => void;
  };
  readonly 'proper-lockfile': {
    readonly lock: (path: string, options?: object) => Promise<() => Promise<void>>;
    readonly lockSync: (path: string, options?: object) => () => void;
  };
  readonly 'write-file-atomic': {
    (path: string, content: string | Buffer): Promise<void>;
    sync(path: string, content: string | Buffer): void;
  };
}

// From dist/bench, where this file runs.
export const BENCH = fileURLToPath(new URL('../../bench/', import.meta.url));
const load = createRequire(`${BENCH}package.json`);

/** Throws when it is not installed, or does not load here. */
export function peer<Name extends keyof Peers>(name: Name): Peers[Name] {
  return load(name) as Peers[Name];
}

/** Whether there is a program of that name. Not all machines have the tools that we are compared with. */
export function installed(program: string): boolean {
  return spawnSync('sh', ['-c', 'command -v "$1"', 'sh', program], {stdio: 'ignore'}).status === 0;
}
