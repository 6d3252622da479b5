/**
 * Has taking a lock become more work? Counts the instructions of one operation (valgrind's callgrind), which do not depend on what else
 * the machine does, and compares them with those in instructions.json. `--write` stores them anew.
 */
import {execFile} from 'node:child_process';
import {mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {parseArgs, promisify} from 'node:util';
import {fileURLToPath} from 'node:url';
import {BENCH} from './peers.js';

const {values} = parseArgs({options: {write: {type: 'boolean', default: false}}});
const STORED = join(BENCH, 'instructions.json');
/** Another compiler, another patch level of Node, or when the runtime compiles what, is not yet more work: from run to run it is up to an eighth. */
const ALLOWED = 1.5;

interface Counted {
  readonly title: string;
  readonly module: string;
  readonly name: string;
  /** By then it is compiled; so often again is counted. */
  readonly times: number;
}

const COUNTED: readonly Counted[] = [
  {title: 'a, sync', module: 'open-descriptor', name: 'locksmith OFD, sync', times: 15_000},
  {title: 'a, promise', module: 'open-descriptor', name: 'locksmith OFD, promise', times: 15_000},
  {title: 'b, sync', module: 'by-path', name: 'locksmith OFD, sync', times: 10_000},
  {title: 'b, promise', module: 'by-path', name: 'locksmith OFD, promise', times: 10_000},
  {title: 'c', module: 'config-lock', name: 'locksmith config lock', times: 10_000},
];

const run = promisify(execFile);

/** Instructions of a whole process that does the operation `times` times. One thread, and the same addresses and seeds each time. */
async function count({module, name}: Counted, times: number): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), 'locksmith-instructions-'));
  const valgrind = ['--tool=callgrind', '--callgrind-out-file=/dev/null', '--smc-check=all-non-file'];
  const node = ['--single-threaded', '--hash-seed=1', '--random-seed=1'];
  const program = fileURLToPath(new URL('./measure/repeat.js', import.meta.url));
  const file = new URL(`./cases/${module}.js`, import.meta.url).href;
  try {
    const args = [
      ...valgrind,
      process.execPath,
      ...node,
      program,
      file,
      name,
      join(directory, 'file'),
      `${times}`,
    ];
    const {stderr} = await run('valgrind', args);
    const collected = /Collected : (\d+)/.exec(stderr)?.[1];
    if (collected === undefined) throw new Error(`valgrind counted nothing: ${stderr}`);
    return Number(collected);
  } finally {
    rmSync(directory, {recursive: true, force: true});
  }
}

/** Of one operation: what more of them cost more. */
async function perOperation(counted: Counted): Promise<number> {
  const {times} = counted;
  const [once, twice] = await Promise.all([count(counted, times), count(counted, 2 * times)]);
  return Math.round((twice - once) / times);
}

const stored = JSON.parse(readFileSync(STORED, 'utf8')) as Record<string, number>;
const found: Record<string, number> = {};
let failed = 0;
for (const counted of COUNTED) {
  const {title} = counted;
  const now = await perOperation(counted);
  const before = stored[title];
  found[title] = now;
  const more = !values.write && !(now <= (before ?? 0) * ALLOWED);
  if (more) failed++;
  const ratio =
    before === undefined ? 'nothing was stored' : `${(now / before).toFixed(2)} of the ${before} stored`;
  console.log(`${more ? 'not ok' : 'ok'} - ${title}: ${now} instructions an operation, ${ratio}`);
}
if (values.write) writeFileSync(STORED, `${JSON.stringify(found, null, 2)}\n`);
console.log(`${COUNTED.length - failed} passed, ${failed} failed`);
if (failed > 0) process.exitCode = 1;
