/** How long does one operation of each subject take? All run in turn, again and again, each in a process of its own that lives through all rounds. */
import {mkdirSync} from 'node:fs';
import {join} from 'node:path';
import type {Effort} from './figure.js';
import {type Program, startC, startNode} from './program.js';

export interface Subject {
  readonly name: string;
  /** It takes so long that it is done once a round, however short a round is. */
  readonly once?: boolean;
  start(path: string): Promise<Program>;
}

/** Of `operations` in a module, named by its URL; with options of the runtime. */
export function inNode(module: string, name: string, ...options: readonly string[]): Subject {
  return {name, start: path => startNode(options, './measured.js', module, name, path)};
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

async function begin(subject: Subject, path: string, batch: number): Promise<Running> {
  const program = await subject.start(path);
  try {
    if (subject.once !== true) return {subject, program, times: await calibrate(program, batch), figures: []};
    await program.ask('1'); // warm afterwards, too
    return {subject, program, times: 1, figures: []};
  } catch (error) {
    await program.end();
    throw error;
  }
}

/** Nanoseconds an operation, one figure a round, and why somebody has none. */
export async function sideBySide(
  directory: string,
  subjects: readonly Subject[],
  {rounds, batch}: Effort,
): Promise<{rows: Map<string, readonly number[]>; absent: Map<string, string>}> {
  const absent = new Map<string, string>();
  const all: Running[] = [];
  const measure = async ({subject, program, times, figures}: Running) => {
    try {
      figures.push(Number(await program.ask(String(times))) / times);
    } catch (error) {
      absent.set(subject.name, (error as Error).message);
    }
  };
  try {
    for (const [index, subject] of subjects.entries()) {
      const place = join(directory, String(index));
      mkdirSync(place);
      try {
        all.push(await begin(subject, join(place, 'file'), batch));
      } catch (error) {
        absent.set(subject.name, (error as Error).message);
      }
    }
    for (let round = 0; round < rounds; round++) {
      // Nobody comes always after the same one.
      for (let turn = 0; turn < all.length; turn++) {
        const running = all[(turn + round) % all.length];
        if (running) await measure(running);
      }
    }
  } finally {
    await Promise.all(all.map(({program}) => program.end()));
  }
  const measured = all.filter(({subject}) => !absent.has(subject.name));
  return {rows: new Map(measured.map(({subject, figures}) => [subject.name, figures])), absent};
}
