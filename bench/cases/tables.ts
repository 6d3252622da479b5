/** (g) What does it take to tell who holds one file, and to list all locks, on a machine with many of them? */
import {spawnSync} from 'node:child_process';
import {mkdirSync} from 'node:fs';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {examineFile, listLocks, type ListOptions} from '../../lib/index.js';
import {type Arrangement, type Crowd, gather} from '../../test/helpers/crowd.js';
import type {Case, Effort, Figure, Goal} from '../measure/figure.js';
import {type Operation, type Operations, promise, sync} from '../measure/operation.js';
import {startC, startModule} from '../measure/program.js';
import {sideBySide, type Subject} from '../measure/side-by-side.js';
import {installed} from '../peers.js';

const MAIN = fileURLToPath(new URL('../../lib/cli/main.js', import.meta.url));
/** After this a command is cut off. */
const LIMIT_MS = 30_000;

const C = 'C, reads /proc/locks';
const LSLOCKS = 'lslocks';
const NOTHING = 'node -e 0';
const EXAMINE = 'examineFile()';
const EXAMINE_OFD = 'examineFile(), an OFD lock';
const LIST = 'listLocks()';
const LIST_NAMED = 'listLocks(), of those whom the table names';
const EXPLAIN = 'locksmith explain FILE';
const LS = 'locksmith ls --all';

function must(right: boolean, what: string): void {
  if (!right) throw new Error(`wrong answer: ${what}`);
}

/** Runs a program to its end; false when it was cut off. */
function run(program: string, ...args: readonly string[]): boolean {
  const {error, status, signal} = spawnSync(program, args, {
    stdio: ['ignore', 'ignore', 'inherit'],
    timeout: LIMIT_MS,
    killSignal: 'SIGKILL',
  });
  if (signal === 'SIGKILL') return false;
  if (error) throw error;
  must(status === 0, `${program} ended with ${status}`);
  return true;
}

function command(program: string, ...args: readonly string[]): Operation {
  return sync(() => must(run(program, ...args), `${program} did not answer in ${LIMIT_MS / 1000} s`));
}

function examining(path: string): Operation {
  return promise(async () => must((await examineFile(path)).state === 'ALIVE', path));
}

function listing(options: ListOptions): Operation {
  return promise(async () => must((await listLocks(options)).locks.length > 0, 'no locks'));
}

/** Each of a file that is locked, or of all files. */
export const operations: Operations = {
  [EXAMINE]: examining,
  [EXAMINE_OFD]: examining,
  [EXPLAIN]: path => command(process.execPath, MAIN, 'explain', path, '--json'),
  'fuser FILE': path => command('fuser', '-s', path),
  'lsof FILE': path => command('lsof', '-w', path),
  [LIST]: () => listing({}),
  [LIST_NAMED]: () => listing({everywhere: false}),
  [LS]: () => command(process.execPath, MAIN, 'ls', '--all', '--json'),
  // It says the same of one file as of all, and may take minutes.
  [LSLOCKS]: () => sync(() => run('lslocks')),
  // What a command in this runtime costs before it does anything.
  [NOTHING]: () => command(process.execPath, '-e', '0'),
};

const OF_ALL = new Set([LIST, LIST_NAMED, LS]);
const OF_BOTH = new Set([C, LSLOCKS, NOTHING]);
const TOOLS = {[LSLOCKS]: 'lslocks', 'fuser FILE': 'fuser', 'lsof FILE': 'lsof'};

const notInstalled = new Map(
  Object.entries(TOOLS).flatMap(([name, tool]) => (installed(tool) ? [] : [[name, 'not installed']])),
);

/** Its speed differs a lot between versions. */
function lslocksVersion(): string | undefined {
  return spawnSync('lslocks', ['--version'], {encoding: 'utf8'}).stdout?.trim();
}

function subjectsOf({files}: Crowd): Subject[] {
  const inNode = (name: string): Subject => ({
    name,
    once: true,
    start: () =>
      startModule('./measured.js', import.meta.url, name, name === EXAMINE_OFD ? files.ofd : files.flock),
  });
  const names = Object.keys(operations).filter(name => !notInstalled.has(name));
  return [{name: C, start: () => startC('table', '-', files.flock)}, ...names.map(inNode)];
}

/** Before it is measured how fast the answers come: they are right. */
async function checkAnswers({files, holder}: Crowd, {holders, locks}: Arrangement): Promise<void> {
  for (const file of [files.flock, files.ofd]) {
    const found = await examineFile(file);
    must(found.holders.map(({pid}) => pid).join() === String(holder), file);
  }
  // One reading of the table may miss rows while others come and go.
  const {locks: all} = await listLocks();
  must(all.length >= 0.99 * holders * locks, `${all.length} locks`);
}

interface Machine extends Pick<Arrangement, 'holders' | 'locks' | 'idle'> {
  readonly title: string;
  readonly goals?: true;
}

const FULL: readonly Machine[] = [
  {title: '10 locks', holders: 10, locks: 1, idle: 490},
  {title: '1,000 locks, 2 in each of 500 processes', holders: 500, locks: 2, idle: 0},
  {title: '10,000 locks, 20 in each of 500 processes', holders: 500, locks: 20, idle: 0, goals: true},
  {title: '10,000 locks, 1,000 in each of 10 processes', holders: 10, locks: 1000, idle: 490, goals: true},
];
const SMOKE: readonly Machine[] = [{title: '10 locks', holders: 5, locks: 2, idle: 0}];
/** Descriptors of each process beside its locks. */
const OTHERS = 10;

function goalsOf(library: string, program: string): Goal[] {
  return [
    {subject: library, against: [LSLOCKS], atMost: 1 / 100},
    {subject: program, against: [LSLOCKS], atMost: 1 / 20},
  ];
}

async function measure(directory: string, machine: Machine, effort: Effort): Promise<Figure[]> {
  const arrangement: Arrangement = {...machine, others: OTHERS, kind: 'flock'};
  const crowd = await gather(arrangement);
  try {
    await checkAnswers(crowd, arrangement);
    const {rows, absent} = await sideBySide(directory, subjectsOf(crowd), effort);
    const version = lslocksVersion();
    const cutOff = rows.get(LSLOCKS)?.some(time => time >= LIMIT_MS * 1e6) ? [LSLOCKS] : [];
    const figure = (what: string, wanted: (name: string) => boolean, goals: Goal[]): Figure => ({
      case: 'g',
      title: `${what}: ${machine.title}`,
      unit: 'ns',
      yardstick: C,
      ...(version !== undefined && {note: version}),
      rows: new Map([...rows].filter(([name]) => wanted(name))),
      absent: new Map([...absent].filter(([name]) => wanted(name))),
      excused: new Map([...notInstalled].filter(([name]) => wanted(name))),
      cutOff,
      goals: machine.goals ? goals : [],
    });
    return [
      figure('explain one file', name => !OF_ALL.has(name), goalsOf(EXAMINE, EXPLAIN)),
      figure('list all', name => OF_ALL.has(name) || OF_BOTH.has(name), goalsOf(LIST, LS)),
    ];
  } finally {
    await crowd.end();
  }
}

export const tables: Case = {
  letter: 'g',
  title: 'tell who holds a file, on a machine with many locks',
  async run(directory, {rounds, batch, smoke}) {
    // Some of them take seconds.
    const effort = {rounds: Math.min(rounds, 7), batch, smoke};
    const figures: Figure[] = [];
    for (const [index, machine] of (smoke ? SMOKE : FULL).entries()) {
      const place = join(directory, String(index));
      mkdirSync(place);
      figures.push(...(await measure(place, machine, effort)));
    }
    return figures;
  },
};
