/** How long does one operation of each subject take? All run in turn, again and again, each in a process of its own that lives through all rounds. */
import {mkdirSync} from 'node:fs';
import {join} from 'node:path';
import type {Effort} from './figure.js';
import {type Program, startC, startModule} from './program.js';

export interface Subject {
  readonly name: string;
  start(path: string): Promise<Program>;
}

/** Of `operations` in a module, named by its URL. */
export function inNode(module: string, name: string): Subject {
  return {name, start: path => startModule('./measured.js', module, name, path)};
}

/** Of the C program: its arguments before the path. */
export function inC(name: string, ...args: readonly string[]): Subject {
  return {name, start: path => startC(...args, path)};
}

interface Running {
  readonly subject: Subject;
  readonly program: Program;
  /** Operations a round. */
  readonly times: number;
  readonly figures: number[];
}

/** As many batches as this come before the first one that counts: programs of this runtime are compiled while they run. */
const WARM_UP = 60;

/** How often an operation can be done in a batch; it is warm afterwards. */
async function calibrate(program: Program, batch: number): Promise<number> {
  let times = 1;
  for (let spent = 0; spent < WARM_UP * batch; ) {
    const now = Number(await program.ask(String(times))) / 1e6;
    spent += now;
    const fitting = Math.round((times * batch) / now);
    times = Math.max(1, Math.min(4 * times, fitting));
  }
  return times;
}

/** Nanoseconds an operation, one figure a round, and why somebody has none. */
export async function sideBySide(
  directory: string,
  subjects: readonly Subject[],
  {rounds, batch}: Effort,
): Promise<{rows: Map<string, readonly number[]>; absent: Map<string, string>}> {
  const absent = new Map<string, string>();
  const all: Running[] = [];
  try {
    for (const [index, subject] of subjects.entries()) {
      const place = join(directory, String(index));
      mkdirSync(place);
      try {
        const program = await subject.start(join(place, 'file'));
        all.push({subject, program, times: await calibrate(program, batch), figures: []});
      } catch (error) {
        absent.set(subject.name, (error as Error).message);
      }
    }
    for (let round = 0; round < rounds; round++) {
      // Nobody comes always after the same one.
      for (let turn = 0; turn < all.length; turn++) {
        const running = all[(turn + round) % all.length];
        if (running)
          running.figures.push(Number(await running.program.ask(String(running.times))) / running.times);
      }
    }
  } finally {
    await Promise.all(all.map(({program}) => program.end()));
  }
  return {rows: new Map(all.map(({subject, figures}) => [subject.name, figures])), absent};
}
