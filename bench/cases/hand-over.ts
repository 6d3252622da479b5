/** (d) How long does it take from the moment in which one process gives a lock back to that in which another, which waits for it, has it? */
import {mkdirSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import type {Case, Effort} from '../measure/figure.js';
import {
  cContestant,
  type Contestant,
  flockCommand,
  nodeContestant,
  pythonFilelock,
  type Side,
  untilWaiting,
} from '../measure/side.js';
import {median} from '../measure/stats.js';
import {FS_EXT, FS_NATIVE, LOCKFILE, OS_LOCK, OURS_FLOCK, OURS_OFD, PROPER} from '../subjects/contenders.js';

const C_FLOCK = 'C flock, blocking';
const C_OFD = 'C OFD, blocking';

const CONTESTANTS: readonly Contestant[] = [
  cContestant(C_FLOCK, 'flock'),
  cContestant(C_OFD, 'ofd'),
  cContestant('C OFD, a thread that wakes a loop', 'ofd', 'loop'),
  ...[OURS_FLOCK, OURS_OFD, FS_EXT, FS_NATIVE, OS_LOCK].map(name => nodeContestant(name, 'blocked')),
  flockCommand,
  ...[LOCKFILE, PROPER].map(name => nodeContestant(name, 'polling')),
  pythonFilelock,
];

/** Handovers a round; the figure is their median. */
const TIMES = 10;
/** Those who poll take part in every tenth round, with one handover. */
const SELDOM = 10;
/** Milliseconds. proper-lockfile asks 1, 2, 4 ... s after the last time. */
const LIMIT = 60_000;

interface Pair {
  readonly contestant: Contestant;
  readonly figures: number[];
  /** Who has the lock, and who is to have it next. */
  sides: readonly [Side, Side];
}

async function prepare(contestant: Contestant, path: string): Promise<Pair> {
  writeFileSync(path, '');
  const sides = [await contestant.start(path), await contestant.start(path)] as const;
  await sides[0].ask();
  await sides[0].got(LIMIT);
  return {contestant, figures: [], sides};
}

/** Nanoseconds from hand to hand. Whoever has given back asks no more until the other one has it. */
async function handOver(pair: Pair): Promise<number> {
  const [holder, waiter] = pair.sides;
  await waiter.ask();
  await untilWaiting(pair.contestant, waiter);
  const gave = await holder.give();
  const got = await waiter.got(LIMIT);
  pair.sides = [waiter, holder];
  return Number(got - gave);
}

async function playRound(pair: Pair, round: number, {smoke}: Effort): Promise<void> {
  const seldom = pair.contestant.waits === 'polling';
  if (seldom && round % SELDOM !== 0) return;
  const times: number[] = [];
  for (let i = 0; i < (seldom || smoke ? 1 : TIMES); i++) times.push(await handOver(pair));
  pair.figures.push(median(times));
}

function others(kind: RegExp): string[] {
  return CONTESTANTS.map(({name}) => name).filter(name => !/^(C|locksmith) /.test(name) && kind.test(name));
}

export const handOverCase: Case = {
  letter: 'd',
  title: 'hand-over between two processes that want one file',
  async run(directory, effort) {
    const absent = new Map<string, string>();
    const excused = new Map<string, string>();
    const pairs: Pair[] = [];
    try {
      for (const [index, contestant] of CONTESTANTS.entries()) {
        const missing = contestant.missing?.();
        if (missing !== undefined) {
          excused.set(contestant.name, missing);
          continue;
        }
        const place = join(directory, String(index));
        mkdirSync(place);
        try {
          pairs.push(await prepare(contestant, join(place, 'file')));
        } catch (error) {
          absent.set(contestant.name, (error as Error).message);
        }
      }
      for (let round = 0; round < effort.rounds; round++)
        for (let turn = 0; turn < pairs.length; turn++) {
          const pair = pairs[(turn + round) % pairs.length];
          if (pair) await playRound(pair, round, effort);
        }
    } finally {
      await Promise.all(pairs.flatMap(({sides}) => sides.map(side => side.end())));
    }
    return [
      {
        case: this.letter,
        title: this.title,
        unit: 'ns',
        yardstick: C_OFD,
        rows: new Map(pairs.map(({contestant, figures}) => [contestant.name, figures])),
        absent,
        excused,
        goals: [
          {subject: OURS_FLOCK, against: [C_FLOCK], atMost: 3},
          {subject: OURS_OFD, against: [C_OFD], atMost: 3},
          {subject: OURS_FLOCK, against: others(/flock/), atMost: 1},
          {subject: OURS_OFD, against: others(/OFD|POSIX|lockfile/), atMost: 1},
        ],
      },
    ];
  },
};
