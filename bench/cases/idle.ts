/** (i) What does it cost to hold locks and to do nothing? */
import {mkdirSync, openSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {setTimeout as pause} from 'node:timers/promises';
import {lock, openConfigLock} from '../../lib/index.js';
import {type Activity, activityOf, selfWaking} from '../measure/activity.js';
import type {Case, Figure} from '../measure/figure.js';
import {type Operation, type Operations, sync, rootsBeside} from '../measure/operation.js';
import type {Program} from '../measure/program.js';
import {inC, inNode} from '../measure/side-by-side.js';
import {peer} from '../peers.js';

/** What is held, so that nothing of it is collected. */
const held: unknown[] = [];

/** Takes locks on as many files. That makes it ready; it is never asked to do anything then. */
async function hold(path: string, count: number, take: (path: string) => unknown): Promise<Operation> {
  for (let i = 0; i < count; i++) held.push(await take(`${path}-${i}`));
  return sync(() => undefined);
}

/**
 * Some seconds after it has collected garbage, V8 looks whether memory can be given back: by timers of its own, which would
 * hide those of whom it runs. So it is told not to.
 */
const STILL = ['--no-memory-reducer'];

const MANY = 1000;
const CONFIGS = 100;
const REFRESHED = 200;

const OURS = 'locksmith';
const OUR_CONFIGS = `locksmith, ${CONFIGS} configuration locks`;
const NOTHING = 'Node that holds nothing';
const C = 'C';

export const operations: Operations = {
  [NOTHING]: () => sync(() => undefined),
  [OURS]: path => hold(path, MANY, name => lock(name)),
  [OUR_CONFIGS](path) {
    const roots = rootsBeside(path);
    return hold(path, CONFIGS, async name => {
      writeFileSync(name, 'gain = 1\n');
      const config = await openConfigLock(name, roots);
      return await config.acquire();
    });
  },
  'fs-ext'(path) {
    const {flockSync} = peer('fs-ext');
    return hold(path, MANY, name => flockSync(openSync(name, 'a+'), 'exnb'));
  },
  'fs-native-extensions'(path) {
    const {tryLock} = peer('fs-native-extensions');
    return hold(path, MANY, name => {
      if (!tryLock(openSync(name, 'a+'))) throw new Error('taken');
    });
  },
  [`proper-lockfile, ${REFRESHED} locks`](path) {
    const {lock: lockIt} = peer('proper-lockfile');
    return hold(path, REFRESHED, name => {
      writeFileSync(name, '');
      return lockIt(name);
    });
  },
};

interface Watched {
  readonly name: string;
  readonly program: Program;
  readonly wakeUps: number[];
  readonly busy: number[];
  readonly selfWaking: number[];
}

/** All of them at once: they do nothing, so none is in the way of another. */
async function watch(all: readonly Watched[], seconds: number): Promise<void> {
  const look = (): [number, Activity][] =>
    all.map(({program}) => [performance.now(), activityOf(program.pid)]);
  const before = look();
  await pause(1000 * seconds);
  const after = look();
  for (const [index, each] of all.entries()) {
    const [start, then] = before[index]!;
    const [end, now] = after[index]!;
    const spent = (end - start) / 1000;
    each.wakeUps.push((now.wakeUps - then.wakeUps) / spent);
    each.busy.push((now.busy - then.busy) / spent);
    each.selfWaking.push(selfWaking(each.program.pid));
  }
}

function figuresOf(all: readonly Watched[], absent: ReadonlyMap<string, string>): Figure[] {
  const rows = (values: (each: Watched) => readonly number[]) =>
    new Map(all.map(each => [each.name, values(each)]));
  const common = {case: 'i', yardstick: NOTHING, absent};
  const holding = 'while 1,000 locks are held and nothing is done';
  return [
    {
      ...common,
      title: `wake-ups ${holding}`,
      unit: 'per second',
      rows: rows(({wakeUps}) => wakeUps),
      limits: [OURS, OUR_CONFIGS].map(subject => ({subject, below: 1})),
    },
    {
      ...common,
      title: `threads that will wake up by themselves, ${holding}`,
      unit: 'count',
      rows: rows(each => each.selfWaking),
      limits: [OURS, OUR_CONFIGS].map(subject => ({subject, below: 1})),
    },
    {
      ...common,
      title: `time on a processor in each second, ${holding}`,
      unit: 'ns',
      rows: rows(({busy}) => busy),
    },
  ];
}

export const idle: Case = {
  letter: 'i',
  title: 'hold 1,000 locks and do nothing',
  async run(directory, {rounds, smoke}) {
    const subjects = [
      inC(C, 'hold', 'ofd'),
      ...Object.keys(operations).map(name => inNode(import.meta.url, name, ...STILL)),
    ];
    const absent = new Map<string, string>();
    const all: Watched[] = [];
    try {
      for (const [index, subject] of subjects.entries()) {
        const place = join(directory, String(index));
        mkdirSync(place);
        try {
          const program = await subject.start(join(place, 'file'));
          all.push({name: subject.name, program, wakeUps: [], busy: [], selfWaking: []});
        } catch (error) {
          absent.set(subject.name, (error as Error).message);
        }
      }
      for (let round = 0; round < Math.min(rounds, 5); round++) await watch(all, smoke ? 0.5 : 5);
    } finally {
      await Promise.all(all.map(({program}) => program.end()));
    }
    return figuresOf(all, absent);
  },
};
