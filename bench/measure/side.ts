/** How is a contender led through taking and giving back, so that it is known that it waits? */
import {execFileSync, spawnSync} from 'node:child_process';
import {readdirSync, readFileSync} from 'node:fs';
import {setImmediate, setTimeout} from 'node:timers/promises';
import {BENCH} from '../peers.js';
import {compile, launch, type Program, start, startModule, within} from './program.js';

/** One of those who want a lock. Times are nanoseconds of CLOCK_MONOTONIC, which all processes share. */
export interface Side {
  readonly pid: number;
  /** Asks for the lock. */
  ask(): Promise<void>;
  /** When it got what it asked for. Rejects with TooLate after `limit` milliseconds. */
  got(limit: number): Promise<bigint>;
  /** Gives back: the moment before. */
  give(): Promise<bigint>;
  end(): Promise<void>;
}

/** Who waits in the kernel can be seen doing so; who asks again and again, can't. */
export type Waits = 'blocked' | 'polling';

export interface Contestant {
  readonly name: string;
  readonly waits: Waits;
  /** Why it can't be had here, where that is no fault: it is not installed. */
  missing?(): string | undefined;
  start(path: string): Promise<Side>;
}

function timeOf(answer: string, word: string): bigint {
  const time = new RegExp(`^${word} (\\d+)$`).exec(answer)?.[1];
  if (time === undefined) throw new Error(`"${answer}" instead of "${word}"`);
  return BigInt(time);
}

function sideOf(program: Program): Side {
  return {
    pid: program.pid,
    async ask() {
      const answer = await program.ask('take');
      if (answer !== 'asks') throw new Error(`"${answer}" instead of "asks"`);
    },
    got: async limit => timeOf(await within(limit, program.next()), 'got'),
    give: async () => timeOf(await program.ask('give'), 'gave'),
    end: () => program.end(),
  };
}

/** Of subjects/contenders.ts. */
export function nodeContestant(name: string, waits: Waits): Contestant {
  return {name, waits, start: async path => sideOf(await startModule('./contender.js', name, path))};
}

/** `side` blocks, `loop` has a thread that does, and a loop of events. */
export function cContestant(name: string, kind: 'flock' | 'ofd', how: 'side' | 'loop' = 'side'): Contestant {
  const file = () => compile('contender');
  return {name, waits: 'blocked', start: async path => sideOf(await start(file(), [how, kind, path]))};
}

/** Python's filelock, as its documentation uses it. */
export const pythonFilelock: Contestant = {
  name: 'python filelock flock, asks every 50 ms as by default',
  waits: 'polling',
  missing: () =>
    spawnSync('python3', ['-c', 'import filelock']).status === 0 ? undefined : 'it is not installed',
  start: async path => sideOf(await start('python3', [`${BENCH}subjects/contender.py`, path])),
};

/** flock(1) of util-linux: a process for each lock, which runs a program when it has it. */
export const flockCommand: Contestant = {
  name: 'flock(1), with a program that it starts',
  waits: 'blocked',
  missing: () => (spawnSync('flock', ['--version']).status === 0 ? undefined : 'it is not installed'),
  async start(path) {
    let current: Side | undefined;
    const running = () => {
      if (!current) throw new Error('it has not asked');
      return current;
    };
    return {
      get pid() {
        return running().pid;
      },
      async ask() {
        await current?.end();
        current = sideOf(launch('flock', [path, compile('contender'), 'give']));
      },
      got: limit => running().got(limit),
      give: () => running().give(),
      end: async () => current?.end(),
    };
  },
};

let calls: readonly string[] | undefined;

/** The numbers of fcntl(2) and flock(2) here. */
function waitingCalls(): readonly string[] {
  calls ??= execFileSync(compile('contender'), ['calls'], {encoding: 'utf8'}).trim().split(' ');
  return calls;
}

function readTask(pid: number, thread: string, file: 'syscall' | 'wchan'): string {
  try {
    return readFileSync(`/proc/${pid}/task/${thread}/${file}`, 'utf8');
  } catch {
    return ''; // it has just ended
  }
}

/** Where one sleeps in these calls who has not come to wait yet: somebody prints /proc/locks. */
const ON_ITS_WAY = /rwsem|^(posix|flock)_lock_inode$/;

/**
 * Does a thread of the process sleep in one of them? Not read from /proc/locks: while that is printed, the kernel stops all that is done to
 * locks, and makes them slower for some time after it.
 */
function isBlocked(pid: number): boolean {
  return readdirSync(`/proc/${pid}/task`).some(thread => {
    const [call = ''] = readTask(pid, thread, 'syscall').split(' ');
    return waitingCalls().includes(call) && !ON_ITS_WAY.test(readTask(pid, thread, 'wchan'));
  });
}

/** How long somebody who asks again and again is left alone, milliseconds: his first question has been answered by then. */
const PAUSE = {least: 100, most: 300};

/** Until who has asked waits: by the kernel's word, or, of one who polls, for some time. */
export async function untilWaiting({waits}: Contestant, side: Side): Promise<void> {
  if (waits === 'polling') await setTimeout(PAUSE.least + Math.random() * (PAUSE.most - PAUSE.least));
  else while (!isBlocked(side.pid)) await setImmediate();
}
