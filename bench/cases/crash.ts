/** (e) The holder is killed: when does the next one have the lock, and when is all clear? */
import {mkdirSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {openConfigLock} from '../../lib/index.js';
import {type OwnedRecord, openRecord, ownerFor} from '../../lib/lock/owner-record.js';
import {examineProcess} from '../../lib/os/process.js';
import type {GuardedConfig} from '../../lib/recovery/guarded-config.js';
import type {Case, Effort, Figure} from '../measure/figure.js';
import {rootsBeside} from '../measure/operation.js';
import {compile, type Program, start, startModule, TooLate} from '../measure/program.js';
import {
  cContestant,
  type Contestant,
  flockCommand,
  nodeContestant,
  pythonFilelock,
  type Side,
  untilWaiting,
} from '../measure/side.js';
import {
  FS_EXT,
  FS_NATIVE,
  LOCKFILE,
  OS_LOCK,
  OURS_FLOCK,
  OURS_OFD,
  PROPER_STALE_10,
  PROPER_STALE_2,
} from '../subjects/contenders.js';

const C_FLOCK = 'C flock, blocking';
const C_OFD = 'C OFD, blocking';
const SEEN = 'its death is seen';
const CLEAR = 'locksmith, ALL CLEAR';

/** What a holder must do so that these wait for it; see c/contender.c. */
type Holding = 'flock' | 'ofd' | 'posix' | 'directory' | 'file';

interface Waiter {
  readonly contestant: Contestant;
  readonly holding: Holding;
  /** Crashes at most: those take long. */
  readonly rounds?: number;
}

const WAITERS: readonly Waiter[] = [
  {contestant: cContestant(C_FLOCK, 'flock'), holding: 'flock'},
  {contestant: cContestant(C_OFD, 'ofd'), holding: 'ofd'},
  {contestant: nodeContestant(OURS_FLOCK, 'blocked'), holding: 'flock'},
  {contestant: nodeContestant(OURS_OFD, 'blocked'), holding: 'ofd'},
  {contestant: nodeContestant(FS_EXT, 'blocked'), holding: 'flock'},
  {contestant: nodeContestant(FS_NATIVE, 'blocked'), holding: 'ofd'},
  {contestant: nodeContestant(OS_LOCK, 'blocked'), holding: 'posix'},
  {contestant: flockCommand, holding: 'flock'},
  {contestant: pythonFilelock, holding: 'flock', rounds: 10},
  {contestant: nodeContestant(LOCKFILE, 'polling'), holding: 'file', rounds: 1},
  {contestant: nodeContestant(PROPER_STALE_2, 'polling'), holding: 'directory', rounds: 5},
  {contestant: nodeContestant(PROPER_STALE_10, 'polling'), holding: 'directory', rounds: 3},
];

/** Too long for a look whether everything runs. */
const LONG: ReadonlySet<string> = new Set([PROPER_STALE_10]);
/** Whoever has not got the lock by then is not waited for, milliseconds. */
const LIMIT = 15_000;

interface Scene {
  readonly waiter: Waiter;
  readonly side: Side;
  readonly path: string;
  readonly figures: number[];
}

async function hold(holding: Holding, path: string): Promise<Program> {
  // The lock of `lockfile` is the file itself.
  return start(compile('contender'), ['hold', holding, holding === 'file' ? `${path}.own` : path]);
}

/** Nanoseconds from the SIGKILL until the waiter has the lock. */
async function crash({waiter, side, path}: Scene): Promise<number> {
  const holder = await hold(waiter.holding, path);
  await side.ask();
  await untilWaiting(waiter.contestant, side);
  const killed = process.hrtime.bigint();
  const [got] = await Promise.all([side.got(LIMIT), holder.end()]);
  await side.give();
  return Number(got - killed);
}

async function nextWaiter(directory: string, {rounds, smoke}: Effort): Promise<Figure> {
  const absent = new Map<string, string>();
  const excused = new Map<string, string>();
  const scenes = new Map<string, Scene>();
  const sides: Side[] = [];
  const fail = (name: string, error: unknown) => {
    // That somebody never gets it is a result; of ours it is a failure.
    const result = error instanceof TooLate && !name.startsWith('locksmith');
    (result ? excused : absent).set(name, (error as Error).message);
    scenes.delete(name);
  };
  try {
    for (const [index, waiter] of WAITERS.entries()) {
      const {name} = waiter.contestant;
      const missing = waiter.contestant.missing?.();
      if (missing !== undefined) excused.set(name, missing);
      if (missing !== undefined || (smoke && LONG.has(name))) continue;
      const place = join(directory, String(index));
      mkdirSync(place);
      const path = join(place, 'file');
      writeFileSync(path, '');
      try {
        const side = await waiter.contestant.start(path);
        sides.push(side);
        scenes.set(name, {waiter, side, path, figures: []});
      } catch (error) {
        fail(name, error);
      }
    }
    for (let round = 0; round < rounds; round++)
      for (const [name, scene] of scenes) {
        if (round >= (scene.waiter.rounds ?? rounds)) continue;
        try {
          scene.figures.push(await crash(scene));
        } catch (error) {
          fail(name, error);
        }
      }
  } finally {
    await Promise.all(sides.map(side => side.end()));
  }
  return {
    case: 'e',
    title: 'from the SIGKILL of the holder until the next one has the lock',
    unit: 'ns',
    yardstick: C_OFD,
    rows: new Map([...scenes].map(([name, {figures}]) => [name, figures])),
    absent,
    excused,
    goals: [
      {subject: OURS_FLOCK, against: [C_FLOCK], atMost: 3},
      {subject: OURS_OFD, against: [C_OFD], atMost: 3},
    ],
  };
}

/** A C program that owns the lock as one that uses the library: guard and gate are its own, record and bit name it. */
async function makeOwner({system, name, paths, bit}: GuardedConfig): Promise<Program> {
  const program = await start(compile('contender'), ['own', paths.guard, paths.gate]);
  const presence = examineProcess(system, program.pid);
  if (presence.kind !== 'running') throw new Error(`the owner is ${presence.kind}`);
  const before = bit.epoch();
  const {identity} = presence.facts;
  const owner = {...ownerFor(system, 'to be killed'), pid: program.pid, identity};
  const record: OwnedRecord = {v: 1, state: 'owned', lock: name, epoch: before + 1, owner};
  const file = openRecord(paths.owner);
  file.write(record);
  file.close();
  using open = bit.open();
  open.set(before, record.epoch);
  return program;
}

async function allClear(directory: string, {rounds}: Effort): Promise<Figure> {
  const path = join(directory, 'config.conf');
  writeFileSync(path, 'gain = 1\n');
  const roots = rootsBeside(path);
  const config = await openConfigLock(path, roots);
  const watcher = await startModule('./watcher.js', path, JSON.stringify(roots));
  const seen: number[] = [];
  const clear: number[] = [];
  try {
    for (let round = 0; round < rounds; round++) {
      const owner = await makeOwner(config);
      await watcher.ask(`watch ${owner.pid}`);
      const killed = process.hrtime.bigint();
      const [answer] = await Promise.all([watcher.next(), owner.end()]);
      const [, whenSeen = '', whenClear = ''] = answer.split(' ');
      seen.push(Number(BigInt(whenSeen) - killed) / 1e6);
      clear.push(Number(BigInt(whenClear) - killed) / 1e6);
    }
  } finally {
    await watcher.end();
  }
  return {
    case: 'e',
    title: 'from the SIGKILL of an owner until a watching process has recovered its lock',
    unit: 'ms',
    yardstick: SEEN,
    rows: new Map([
      [SEEN, seen],
      [CLEAR, clear],
    ]),
    absent: new Map(),
    limits: [{subject: CLEAR, below: 50}],
  };
}

export const crashCase: Case = {
  letter: 'e',
  title: 'the holder is killed',
  run: async (directory, effort) => [await nextWaiter(directory, effort), await allClear(directory, effort)],
};
