/** (f) Many waiters in one process, on one file and on as many files: what do they cost, and how long do they take when the file is given back? */
import {mkdirSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import type {Case, Effort, Figure, Limit, Unit} from '../measure/figure.js';
import type {Drained, Looked} from '../measure/crowd-words.js';
import {compile, start, startModule, TooLate, within} from '../measure/program.js';
import {FS_EXT, FS_NATIVE, OS_LOCK, OURS_BY_PATH} from '../subjects/contenders.js';

/** What holders must take so that these wait. */
const KINDS: Readonly<Record<string, 'ofd' | 'flock' | 'posix'>> = {
  [OURS_BY_PATH]: 'ofd',
  [FS_EXT]: 'flock',
  [FS_NATIVE]: 'ofd',
  [OS_LOCK]: 'posix',
};
const COUNTS = [64, 1000, 10_000] as const;
const FEWEST = COUNTS[0];
/** A crowd is asked so often; each time it is a process of its own. */
const ROUNDS = 3;
/** Whoever is not through by then is not waited for, milliseconds: ours, and others in a look whether everything runs. */
const LIMIT = 60_000;
const SHORT_LIMIT = 5000;

type Shape = 'one file' | 'as many files';

interface Measured extends Looked {
  /** Milliseconds. */
  readonly asking: number;
  readonly draining: number;
  readonly longestReadDraining: number;
}

/** The figures of a shape: what each is of, and its unit. */
const ASPECTS: readonly (readonly [what: string, unit: Unit, of: keyof Measured])[] = [
  ['time to ask', 'ms', 'asking'],
  ['time to drain', 'ms', 'draining'],
  ['threads while they wait', 'count', 'threads'],
  ['memory while they wait', 'MB', 'memory'],
  ['longest of 200 fs.readFile while they wait', 'ms', 'longestRead'],
  ['longest fs.readFile while they drain', 'ms', 'longestReadDraining'],
];

function nameOf(subject: string, count: number): string {
  return `${subject}, ${count.toLocaleString('en')} waiters`;
}

/** Throws TooLate when not all of them get their lock, and when other files can't be read meanwhile. */
async function measure(
  subject: string,
  {count, files, place, limit}: {count: number; files: number; place: string; limit: number},
): Promise<Measured> {
  const holder = await start(compile('contender'), ['many', KINDS[subject] ?? '', place, String(files)]);
  const crowd = await startModule('./crowd.js', ...[subject, place, count, files, limit].map(String));
  try {
    // It has a limit of its own; ours is for one whose event loop stands still.
    const ask = async (line: string) => JSON.parse(await within(limit + 10_000, crowd.ask(line))) as unknown;
    const asking = (await ask('ask')) as number;
    const looked = (await ask('look')) as Looked;
    await ask('drain');
    const gave = BigInt(await holder.ask('give'));
    const drained = JSON.parse(await within(limit + 10_000, crowd.next())) as Drained;
    if (drained.error !== undefined) throw new Error(drained.error);
    if (drained.served < count)
      throw new TooLate(`${drained.served} of ${count} had their lock within ${limit / 1000} s`);
    if (looked.longestRead === undefined)
      throw new TooLate(`while they wait, no other file can be read: not within ${limit / 1000} s`);
    const draining = Number(BigInt(drained.last) - gave) / 1e6;
    return {
      ...looked,
      asking,
      draining,
      longestReadDraining: drained.longestRead ?? Number.POSITIVE_INFINITY,
    };
  } finally {
    await Promise.all([crowd.end(), holder.end()]);
  }
}

interface Results {
  readonly rows: Map<string, Measured[]>;
  readonly absent: Map<string, string>;
  readonly excused: Map<string, string>;
}

async function measureAll(directory: string, shape: Shape, {rounds, smoke}: Effort): Promise<Results> {
  const results: Results = {rows: new Map(), absent: new Map(), excused: new Map()};
  const counts = smoke ? [FEWEST] : COUNTS;
  for (let round = 0; round < Math.min(rounds, smoke ? 1 : ROUNDS); round++)
    for (const subject of Object.keys(KINDS))
      for (const count of counts) {
        const name = nameOf(subject, count);
        const ours = subject === OURS_BY_PATH;
        const place = join(directory, shape, String(round), name);
        mkdirSync(place, {recursive: true});
        writeFileSync(join(place, 'unrelated'), 'gain = 1\n');
        const files = shape === 'one file' ? 1 : count;
        try {
          const limit = ours ? LIMIT : SHORT_LIMIT;
          const measured = await measure(subject, {count, files, place, limit});
          results.rows.set(name, [...(results.rows.get(name) ?? []), measured]);
        } catch (error) {
          // That others do not manage is a result.
          const result = error instanceof TooLate && !ours;
          (result ? results.excused : results.absent).set(name, (error as Error).message);
          break; // nor will more of them
        }
      }
  for (const name of [...results.excused.keys(), ...results.absent.keys()]) results.rows.delete(name);
  return results;
}

/** What is promised: other files are read meanwhile, and one file needs one thread. */
function limitsOf(shape: Shape, of: keyof Measured): Limit[] {
  const most = COUNTS.at(-1) ?? FEWEST;
  if (of === 'longestRead' || of === 'longestReadDraining')
    return [{subject: nameOf(OURS_BY_PATH, most), below: 10}];
  if (of === 'threads' && shape === 'one file')
    return COUNTS.map(count => ({subject: nameOf(OURS_BY_PATH, count), below: 2}));
  return [];
}

function figures(shape: Shape, {rows, absent, excused}: Results): Figure[] {
  return ASPECTS.map(([what, unit, of]) => ({
    case: 'f',
    title: `waiters of one process on ${shape}: ${what}`,
    unit,
    yardstick: nameOf(OURS_BY_PATH, FEWEST),
    rows: new Map([...rows].map(([name, all]) => [name, all.map(each => each[of] ?? Number.NaN)])),
    // Told once.
    absent: of === 'draining' ? absent : new Map(),
    excused: of === 'draining' ? excused : new Map(),
    limits: limitsOf(shape, of),
  }));
}

export const waiters: Case = {
  letter: 'f',
  title: 'many waiters in one process',
  async run(directory, effort) {
    const all: Figure[] = [];
    for (const shape of ['one file', 'as many files'] as const)
      all.push(...figures(shape, await measureAll(directory, shape, effort)));
    return all;
  },
};
