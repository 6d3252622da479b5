// Do the parsers of /proc/locks and fdinfo keep what they promise, whatever they read? Runs each target of test/fuzz
// under libFuzzer with AddressSanitizer and UBSan, from the tables in test/recorded onwards.
import {spawn, spawnSync} from 'node:child_process';
import {once} from 'node:events';
import {mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {availableParallelism, tmpdir} from 'node:os';
import {join} from 'node:path';
import {text} from 'node:stream/consumers';
import {fileURLToPath} from 'node:url';
import {parseArgs} from 'node:util';

const USAGE = `usage: npm run test:fuzz -- [--seconds N] [TARGET ...]
       npm run test:fuzz -- --input BASE64 TARGET
  TARGET         a file of test/fuzz without its .cc, all by default
  --seconds N    how long all targets together may take: 600 by default
  --input BASE64 only this one input, as a finding printed it`;

const WIDTH = Math.min(availableParallelism(), 8);
const PROJECT = fileURLToPath(new URL('..', import.meta.url));
const TARGETS = join(PROJECT, 'test/fuzz');
const RECORDED = join(PROJECT, 'test/recorded');
/** The parsers, and what a survey needs beside them. */
const NATIVE =
  'proc_locks proc_files fdinfo lock_survey process_survey share_work background proc_process kcmp pidfd'.split(
    ' ',
  );
const COMPILER =
  'clang++-14 -std=c++20 -D_GNU_SOURCE -Wall -Wextra -Werror -g -O2 -fno-omit-frame-pointer'.split(' ');
const SANITIZERS = ['-fsanitize=address,undefined', '-fno-sanitize-recover=all'];
/** What one input may take before it counts as a hang. */
const INPUT_SECONDS = 20;
/** The recorded tables are two pages at most; a row that is cut by a page is found in them. */
const LONGEST = 4096;

/** Words of the kernel that chance would not find. */
const DICTIONARY = [
  'FLOCK',
  'OFDLCK',
  'POSIX',
  'LEASE',
  'BREAKER',
  ' -> ',
  'EOF',
  '<none>:0',
  '\\x0alock:\\x09',
  'ino:\\x09',
]
  .concat([
    'flags:\\x09',
    'mnt_id:\\x09',
    'scm_fds: ',
    'UserFiles:\\x09',
    '\\x0a    0: ',
    '\\\\012',
    '18446744073709551615',
  ])
  .concat(['9223372036854775807', '-9223372036854775808', '2147483648', 'ffffffff']);

const read = name => readFileSync(join(RECORDED, name), 'utf8');
const recorded = pattern =>
  readdirSync(RECORDED)
    .filter(name => pattern.test(name))
    .map(read);

/** What each target starts from. A table ends with two bytes: how it is cut, or what is left out. */
const SEEDS = {
  lock_row: () => recorded(/^locks.*\.txt$/).flatMap(table => table.split('\n').filter(Boolean)),
  lock_table: () => recorded(/^locks.*\.txt$/).map(table => `${table}\x07\x40`),
  lock_filter: () => recorded(/^locks.*\.txt$/).map(table => `${table}\x55\x55`),
  fdinfo: () => recorded(/^fdinfo.*\.txt$/),
};

function parse() {
  try {
    const options = {
      seconds: {type: 'string', default: '600'},
      input: {type: 'string'},
      help: {type: 'boolean', short: 'h'},
    };
    return parseArgs({allowPositionals: true, options});
  } catch (error) {
    console.error(`${error.message}\n${USAGE}`);
    process.exit(2);
  }
}

function start(command) {
  // What a target writes goes with our folder.
  const env = {...process.env, TMPDIR: folder};
  const child = spawn(command[0], command.slice(1), {stdio: ['ignore', 'pipe', 'pipe'], env});
  const end = () => child.kill('SIGKILL');
  process.once('exit', end);
  child.once('exit', () => process.off('exit', end));
  return child;
}

/** Status, null when it was killed, and all that was said. */
async function outcome(child) {
  const [out, said] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  return {status: child.exitCode, said: out + said};
}

async function compile(...command) {
  const {status, said} = await outcome(start([...COMPILER, ...SANITIZERS, `-I${PROJECT}`, ...command]));
  if (status !== 0) throw new Error(said);
}

/** Works off a list, on all processors. */
async function inParallel(items, work) {
  const left = [...items];
  const worker = async () => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await work(item);
  };
  await Promise.all(Array.from({length: WIDTH}, worker));
}

/** Makes the programs of some targets, in `folder`. */
async function build(targets, folder) {
  const object = source => join(folder, source.replaceAll('/', '-').replace(/\.cc$/, '.o'));
  const native = NATIVE.map(name => `native/${name}.cc`);
  const ofTarget = target => `test/fuzz/${target}.cc`;
  await inParallel([...native, ...targets.map(ofTarget)], source =>
    compile('-fsanitize=fuzzer-no-link', '-c', '-o', object(source), join(PROJECT, source)),
  );
  await inParallel(targets, target =>
    compile('-fsanitize=fuzzer', '-o', join(folder, target), ...[ofTarget(target), ...native].map(object)),
  );
}

function makeCorpus(target, folder) {
  const corpus = join(folder, `${target}.corpus`);
  mkdirSync(corpus);
  for (const [index, seed] of SEEDS[target]().entries()) writeFileSync(join(corpus, String(index)), seed);
  return corpus;
}

function fuzzer(program, seconds, {folder, corpus, worker}) {
  const finding = join(folder, `finding-${worker}`);
  const limits = [`-max_total_time=${seconds}`, `-timeout=${INPUT_SECONDS}`, `-max_len=${LONGEST}`];
  const files = [`-dict=${join(folder, 'words')}`, `-exact_artifact_path=${finding}`];
  return {finding, child: start([program, ...limits, ...files, '-print_final_stats=1', '-reload=1', corpus])};
}

/** Runs one target for its share of the time, on all processors and one corpus: inputs that were tried, and a finding. */
async function fuzz(target, seconds, folder) {
  const program = join(folder, target);
  const corpus = makeCorpus(target, folder);
  const fuzzers = Array.from({length: WIDTH}, (_, worker) =>
    fuzzer(program, seconds, {folder, corpus, worker}),
  );
  let finding;
  const counts = fuzzers.map(async ({finding: path, child}) => {
    const {status, said} = await outcome(child);
    if (status !== 0 && status !== null && finding === undefined) {
      finding = {said, input: contentOf(path)};
      for (const other of fuzzers) other.child.kill();
    }
    return Number(/number_of_executed_units: (\d+)/.exec(said)?.[1] ?? 0);
  });
  const tried = (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
  return {tried, seconds, finding};
}

function contentOf(path) {
  try {
    return readFileSync(path).toString('base64');
  } catch {
    return undefined;
  }
}

/** The first of what the sanitizers said: then come pages about libFuzzer itself. */
function firstLines(said) {
  const lines = said.split('\n');
  const begin = lines.findIndex(line => /PROPERTY BROKEN|ERROR:|runtime error:/.test(line));
  return lines.slice(Math.max(begin, 0), Math.max(begin, 0) + 16).join('\n');
}

function tell(report, target, {tried, seconds, finding}) {
  const title = `fuzz › ${target}`;
  if (finding === undefined && tried > 0) return report.pass(`${title}: ${tried} inputs in ${seconds} s`);
  if (finding?.input === undefined)
    return report.fail(title, {message: 'it did not run', output: finding?.said ?? ''});
  const again = `npm run test:fuzz -- --input ${finding.input} ${target}`;
  return report.fail(title, {
    message: 'a finding',
    input: finding.input,
    again,
    output: firstLines(finding.said),
  });
}

async function fuzzAll(report, targets, share, folder) {
  writeFileSync(join(folder, 'words'), DICTIONARY.map(word => `"${word}"\n`).join(''));
  await build(targets, folder);
  for (const target of targets) tell(report, target, await fuzz(target, share, folder));
}

async function tryInput(target, base64, folder) {
  await build([target], folder);
  const file = join(folder, 'input');
  writeFileSync(file, Buffer.from(base64, 'base64'));
  const {status, said} = await outcome(start([join(folder, target), file]));
  console.log(said);
  return status;
}

const {values, positionals} = parse();
if (values.help) {
  console.log(USAGE);
  process.exit();
}
const all = readdirSync(TARGETS)
  .filter(name => name.endsWith('.cc'))
  .map(name => name.slice(0, -'.cc'.length));
const chosen = positionals.length > 0 ? positionals : all;
const seconds = Number(values.seconds);
if (!chosen.every(name => all.includes(name)) || !(seconds > 0) || (values.input && chosen.length !== 1)) {
  console.error(USAGE);
  process.exit(2);
}
if (spawnSync('npm', ['run', '--silent', 'build:ts'], {stdio: ['ignore', 2, 2]}).status !== 0)
  process.exit(1);
const {FUZZ_NEEDS, howToInstall, provide} = await import('../dist/test/machine/needs.js');
const {TapReport} = await import('../dist/test/machine/tap.js');

const missing = provide(FUZZ_NEEDS);
const folder = mkdtempSync(join(tmpdir(), 'locksmith-fuzz-'));
process.once('exit', () => rmSync(folder, {recursive: true, force: true}));
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(1));

if (values.input !== undefined && missing.length === 0) {
  process.exit((await tryInput(chosen[0], values.input, folder)) === 0 ? 0 : 1);
}
const report = new TapReport();
if (missing.length > 0) {
  for (const target of chosen) report.skip(`fuzz › ${target}`, howToInstall(missing));
} else {
  try {
    await fuzzAll(report, chosen, Math.max(1, Math.floor(seconds / chosen.length)), folder);
  } catch (error) {
    report.fail('fuzz › the targets can be built and run', {message: 'they can not', output: error.message});
  }
}
process.exitCode = report.end();
