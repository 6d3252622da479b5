/** Is the verdict on any file right, however its lock is held, waited for, hidden, or seems to be held? */
import {mkdtempSync, readFileSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import anyTest, {type ExecutionContext} from 'ava';
import {listLocks} from '../../lib/os/lock-table.js';
import {testWith} from '../helpers/here.js';
import {SITUATIONS} from '../situations/index.js';
import {ascending, knowable, lookAmong, observe, type Seen} from '../situations/observe.js';
import {missingFor, type Situation, type Suspect, type Truth} from '../situations/situation.js';
import type {Stage} from '../situations/stage.js';

/** Everything that was said in this run, for the last test. */
const said: {title: string; truth: Truth; seen: Seen}[] = [];

function stageOf(t: ExecutionContext): Stage {
  const directory = mkdtempSync(join(tmpdir(), 'locksmith-situation-'));
  t.teardown(() => rmSync(directory, {recursive: true, force: true}));
  return {
    directory,
    onEnd: cleanup =>
      t.teardown(async () => {
        await cleanup();
      }),
  };
}

/** The processes behind each description that holds a lock of the file. */
async function descriptionsOf(path: string): Promise<number[][]> {
  const {locks} = await listLocks({path});
  return locks.map(({holders}) => ascending(holders.map(({pid}) => pid)));
}

function sorted<T>(values: Iterable<T>): T[] {
  const key = (value: T) => JSON.stringify(value);
  return [...values].sort((a, b) => key(a).localeCompare(key(b)));
}

/** All suspects that were expected, and of others nothing but sockets, whose queues we know nothing of. */
function compareSuspects(t: ExecutionContext, seen: readonly Suspect[], truth: readonly Suspect[]): void {
  const isTrue = ({pid, place}: Suspect) => truth.some(each => each.pid === pid && each.place === place);
  t.deepEqual(sorted(seen.filter(isTrue)), sorted(truth), 'suspects');
  t.true(
    seen.every(suspect => isTrue(suspect) || suspect.place === 'socket'),
    `suspects ${JSON.stringify(seen)}`,
  );
}

/** What may be known without looking at everybody: the state, and of the holders some. */
function compareQuick(t: ExecutionContext, seen: Seen, truth: Truth): void {
  const {state, holders} = knowable(truth, seen);
  t.is(seen.state, state);
  t.is(seen.holders.length > 0, holders.length > 0);
  t.deepEqual(
    seen.holders.filter(pid => !holders.includes(pid)),
    [],
    'holders',
  );
}

function compareAll(t: ExecutionContext, seen: Seen, truth: Truth): void {
  const {state, holders} = knowable(truth, seen);
  if (seen.state !== state) t.log(JSON.stringify({truth, seen}, undefined, 1));
  t.is(seen.state, state);
  t.deepEqual(seen.holders, ascending(holders), 'holders');
  t.deepEqual(sorted(seen.waiters), sorted(truth.waiters ?? []), 'waiters');
  if (truth.suspects) compareSuspects(t, seen.suspects, truth.suspects);
  if (truth.complete !== undefined) t.is(seen.complete, truth.complete, 'complete');
}

async function compare(t: ExecutionContext, situation: Situation): Promise<void> {
  const stage = stageOf(t);
  const scene = await situation.make(stage);
  const {file, truth} = scene;
  const quick = await observe(scene, false);
  const seen = await observe(scene, true);
  said.push({title: situation.title, truth, seen}, {title: situation.title, truth, seen: quick});
  compareAll(t, seen, truth);
  compareQuick(t, quick, truth);
  if (truth.suspects) {
    const pids = [...truth.holders, ...truth.suspects.flatMap(({pid}) => pid ?? [])];
    compareAll(t, await lookAmong(stage, file, [...new Set(pids)]), {...truth, byExclusion: false});
  }
  if (truth.descriptions)
    t.deepEqual(
      sorted(await descriptionsOf(String(file))),
      sorted(truth.descriptions.map(ascending)),
      'descriptions',
    );
  t.is(await scene.harm?.(), undefined);
}

// One after the other: a hung file system or a frozen cgroup is nothing that others should meet.
for (const situation of Object.values(SITUATIONS).flat()) {
  const missing = missingFor(situation);
  const run = async (t: ExecutionContext) => {
    t.is(missing, undefined);
    await compare(t, situation);
  };
  testWith(missing, situation.title, run, anyTest.serial);
}

anyTest.serial('over all of them, FREE is never said of a lock that is held, and DEAD never', t => {
  t.true(said.length > 0);
  for (const {title, truth, seen} of said) {
    t.not(seen.state, 'DEAD', title);
    if (truth.state !== 'FREE') t.not(seen.state, 'FREE', title);
  }
});

anyTest('every situation has its row in the documentation', t => {
  const page = readFileSync('docs/who-holds.md', 'utf8');
  for (const {title, why} of Object.values(SITUATIONS).flat())
    t.true(page.includes(`**${title}**: ${why} |`), title);
});
