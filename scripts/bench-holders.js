// How fast is it told who holds a file, on a machine with 10,000 locks? The library, the command and lslocks side by side,
// in turn in one run: npm run bench:holders [-- --rounds 5 --timeout 60 --kind flock|ofd|posix --only N --json]
import {spawnSync} from 'node:child_process';
import {fileURLToPath} from 'node:url';
import {parseArgs} from 'node:util';
import {listLocks} from '../dist/lib/os/lock-table.js';
import {examineFile} from '../dist/lib/recovery/file-verdict.js';
import {gather} from '../dist/test/helpers/crowd.js';

const {values} = parseArgs({
  options: {
    rounds: {type: 'string', default: '5'},
    timeout: {type: 'string', default: '60'},
    kind: {type: 'string', default: 'flock'},
    only: {type: 'string'},
    json: {type: 'boolean', default: false},
  },
});
if (!['flock', 'ofd', 'posix'].includes(values.kind)) throw new Error(`unknown kind ${values.kind}`);
const ROUNDS = Number(values.rounds);
const TIMEOUT_MS = 1000 * Number(values.timeout);
/** Most calls of the library in each round, and the milliseconds after which no more are made; a command is run once. */
const CALLS = 10;
const ENOUGH_MS = 1000;
const MAIN = fileURLToPath(new URL('../dist/lib/cli/main.js', import.meta.url));

/** All with 500 processes and 10,000 locks. */
const ARRANGEMENTS = [
  {holders: 500, locks: 20, idle: 0, others: 0},
  {holders: 500, locks: 20, idle: 0, others: 40},
  {holders: 200, locks: 50, idle: 300, others: 40},
  {holders: 10, locks: 1000, idle: 490, others: 10},
].map(arrangement => ({...arrangement, kind: values.kind}));

const titleOf = ({holders, locks, idle, others, kind}) =>
  `${holders} processes with ${locks} locks each (${kind}), and ${idle} idle ones; ${others} other descriptors each`;

function must(good, what) {
  if (!good) throw new Error(`wrong answer: ${what}`);
}

/** Runs a program to its end; false when it was cut off at the time-out. */
function runProgram(command, ...args) {
  const {error, status} = spawnSync(command, args, {
    stdio: ['ignore', 'ignore', 'inherit'],
    timeout: TIMEOUT_MS,
  });
  if (error?.code === 'ETIMEDOUT') return false;
  if (error) throw error;
  must(status === 0, `${command} ended with ${status}`);
  return true;
}

async function examine(file, state, holder) {
  const verdict = await examineFile(file);
  const right = verdict.state === state && verdict.holders.every(({pid}) => pid === holder);
  must(right, `${file}: ${verdict.state}, held by ${verdict.holders.map(({pid}) => pid).join()}`);
}

async function list(path, count, everywhere = true) {
  const {locks} = await listLocks({everywhere, ...(path !== undefined && {path})});
  must(locks.length >= count, `${locks.length} locks of ${path ?? 'all files'}`);
}

/** What is measured: name, calls in a round, and the call itself. */
function measuresOf({holder, files}, {holders, locks}) {
  const library = (name, call) => ({name, calls: CALLS, call});
  const program = (name, ...command) => ({name, calls: 1, call: async () => runProgram(...command)});
  return [
    program('lslocks', 'lslocks'),
    library('examineFile, flock', () => examine(files.flock, 'ALIVE', holder)),
    library('examineFile, OFD lock', () => examine(files.ofd, 'ALIVE', holder)),
    library('examineFile, free', () => examine(files.free, 'FREE', holder)),
    library('listLocks of a file, flock', () => list(files.flock, 1)),
    library('listLocks of a file, OFD lock', () => list(files.ofd, 1)),
    // One reading of the table may miss rows while others come and go.
    library('listLocks of all', () => list(undefined, 0.99 * holders * locks)),
    library('listLocks of all, not everywhere', () => list(undefined, 0.99 * holders * locks, false)),
    program('locksmith explain, flock', process.execPath, MAIN, 'explain', files.flock),
    program('locksmith explain, OFD lock', process.execPath, MAIN, 'explain', files.ofd),
    program('locksmith explain, free', process.execPath, MAIN, 'explain', files.free),
    program('node -e 0', process.execPath, '-e', '0'),
  ].map(measure => ({...measure, times: [], cutOff: false}));
}

/** One after the other, so that what disturbs the machine for a while disturbs all of them. */
async function playRound(measures) {
  for (const measure of measures) {
    const start = performance.now();
    for (let i = 0; i < measure.calls && !measure.cutOff; i++) {
      if (i > 0 && performance.now() - start > ENOUGH_MS) break;
      await time(measure);
    }
  }
}

async function time(measure) {
  const start = process.hrtime();
  const ended = await measure.call();
  const [seconds, nanoseconds] = process.hrtime(start);
  measure.times.push(seconds * 1e3 + nanoseconds / 1e6);
  if (ended === false) measure.cutOff = true;
}

const median = times => times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)];

async function benchmark(arrangement) {
  const crowd = await gather(arrangement);
  try {
    const measures = measuresOf(crowd, arrangement);
    // All but the slow one are warmed up.
    for (const {call} of measures.slice(1)) await call();
    for (let round = 0; round < ROUNDS; round++) await playRound(measures);
    const base = median(measures[0].times);
    const results = measures.map(({name, times, cutOff}) => ({
      name,
      runs: times.length,
      minMs: Math.min(...times),
      medianMs: median(times),
      lslocksRatio: base / median(times),
      cutOff,
    }));
    return {...arrangement, results};
  } finally {
    await crowd.end();
  }
}

function print({results, ...arrangement}) {
  const atLeast = results[0].cutOff ? '>= ' : '';
  console.log(`\n${titleOf(arrangement)}`);
  console.log(
    `${''.padEnd(36)}${'runs'.padStart(6)}${'min ms'.padStart(12)}${'median ms'.padStart(12)}${'lslocks /'.padStart(14)}`,
  );
  for (const {name, runs, minMs, medianMs, lslocksRatio, cutOff} of results) {
    const figures = [
      String(runs).padStart(6),
      minMs.toFixed(2).padStart(12),
      medianMs.toFixed(2).padStart(12),
    ];
    const ratio = `${atLeast}${lslocksRatio.toFixed(1)} x`.padStart(14);
    console.log(`${name.padEnd(36)}${figures.join('')}${ratio}${cutOff ? '  cut off' : ''}`);
  }
}

const {stdout: version} = spawnSync('lslocks', ['--version'], {encoding: 'utf8'});
if (!values.json) console.log(version.trim());
const all = [];
for (const [index, arrangement] of ARRANGEMENTS.entries()) {
  if (values.only !== undefined && Number(values.only) !== index + 1) continue;
  const result = await benchmark(arrangement);
  all.push(result);
  if (!values.json) print(result);
}
if (values.json) console.log(JSON.stringify({lslocks: version.trim(), arrangements: all}, undefined, 2));
