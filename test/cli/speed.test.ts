/** Is it told fast who holds a file, on a machine with many locks? Ratios to lslocks in the same run; `npm run bench -- --case g` has all figures. */
import {execFile} from 'node:child_process';
import {fileURLToPath} from 'node:url';
import {promisify} from 'node:util';
import test, {type ExecutionContext} from 'ava';
import {examineFile, listLocks} from '../../lib/index.js';
import {gather} from '../helpers/crowd.js';

const run = promisify(execFile);
const MAIN = fileURLToPath(new URL('../../lib/cli/main.js', import.meta.url));
const OUTPUT = {maxBuffer: 64 * 1024 * 1024};

async function milliseconds(act: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await act();
  return performance.now() - start;
}

/** Median of several calls. */
async function median(calls: number, act: () => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  for (let call = 0; call < calls; call++) times.push(await milliseconds(act));
  return times.toSorted((a, b) => a - b)[Math.floor(calls / 2)] ?? 0;
}

async function holderIs(t: ExecutionContext, file: string, holder: number): Promise<void> {
  const {state, holders} = await examineFile(file);
  t.is(state, 'ALIVE');
  t.deepEqual(
    holders.map(({pid}) => pid),
    [holder],
  );
}

test.serial(
  'with 10,000 locks in 500 processes, the answer comes many times faster than from lslocks',
  async t => {
    const crowd = await gather({holders: 10, locks: 1000, idle: 490, others: 10, kind: 'flock'});
    t.teardown(() => crowd.end());
    const {files, holder} = crowd;
    const command = [MAIN, 'explain', files.flock];
    const library = await median(15, () => holderIs(t, files.flock, holder));
    const list = await median(5, async () => t.true((await listLocks()).locks.length > 9900));
    const program = await median(3, async () => {
      const {stdout} = await run(process.execPath, command, OUTPUT);
      t.true(stdout.includes(`locked by pid ${holder}, alive`));
    });
    const lslocks = await milliseconds(() => run('lslocks', [], OUTPUT));
    const ratios = {library: lslocks / library, list: lslocks / list, program: lslocks / program};
    t.log(`lslocks ${lslocks.toFixed(0)} ms; times as fast: ${JSON.stringify(ratios)}`);
    t.true(ratios.library >= 100, 'examineFile');
    t.true(ratios.list >= 10, 'listLocks of everything');
    t.true(ratios.program >= 20, 'locksmith explain');
  },
);

test.serial(
  'a thousand locks in each of ten processes take no longer to list than twenty in each of 500',
  async t => {
    const spread = await gather({holders: 500, locks: 20, idle: 0, others: 0, kind: 'ofd'});
    t.teardown(() => spread.end());
    const apart = await median(5, () => listLocks({path: spread.files.ofd}));
    await spread.end();
    const dense = await gather({holders: 10, locks: 1000, idle: 490, others: 0, kind: 'ofd'});
    t.teardown(() => dense.end());
    const together = await median(5, () => listLocks({path: dense.files.ofd}));
    t.log(`${together.toFixed(0)} ms together, ${apart.toFixed(0)} ms apart`);
    t.true(together < 3 * apart, 'a quadratic search would take 25 times as long');
  },
);
