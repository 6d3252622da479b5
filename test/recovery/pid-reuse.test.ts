/** Is the next process that gets an owner's pid ever taken for the owner? Pids are given again at once, within one tick of the clock. */
import {spawn, spawnSync} from 'node:child_process';
import {once} from 'node:events';
import {text} from 'node:stream/consumers';
import type {ExecutionContext, ImplementationFn} from 'ava';
import type {Heir, Round} from '../fixtures/reused-pids.js';
import {testAsRoot, testWith} from '../helpers/here.js';
import {compile, fixture} from '../helpers/native.js';
import {openScratch, scratch} from '../helpers/scratch.js';

const NEW_NAMESPACE = ['--pid', '--fork', '--mount-proc', '--kill-child'];
/** As root, else as root of a user namespace of one's own. */
const WAYS = [NEW_NAMESPACE, ['--user', '--map-root-user', ...NEW_NAMESPACE]];
const way = WAYS.find(options => spawnSync('unshare', [...options, 'true']).status === 0);

function testInNamespace(title: string, act: ImplementationFn<[]>): void {
  testWith(way ? undefined : 'a pid namespace of its own', title, act);
}

/** Plays rounds in a pid namespace of its own, where a shell is the first process and reaps orphans. */
async function play(t: ExecutionContext, rounds: Record<string, number>): Promise<Round[]> {
  return run(t, ['unshare', ...(way ?? []), 'sh', '-c', '"$0" "$@"; exit $?'], rounds);
}

async function run(
  t: ExecutionContext,
  [command, ...before]: readonly [string, ...string[]],
  rounds: Record<string, number>,
): Promise<Round[]> {
  const place = scratch(t);
  await openScratch(place);
  const facts = {
    ...place,
    taker: compile(t, 'pid-taker'),
    rounds: {programs: 0, records: 0, files: 0, ...rounds},
  };
  const args = [...before, process.execPath, fixture('reused-pids'), JSON.stringify(facts)];
  const inside = spawn(command, args, {stdio: ['ignore', 'pipe', 'inherit']});
  t.teardown(() => inside.kill('SIGKILL'));
  const [output, [code]] = await Promise.all([text(inside.stdout), once(inside, 'exit')]);
  t.is(code, 0);
  const seen = output
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line) as Round);
  const wanted = Object.values(rounds).reduce((sum, count) => sum + count, 0);
  t.is(seen.length, wanted);
  return seen;
}

const EVIDENCE: Record<Heir, RegExp> = {
  stranger: /another process has that pid.*its pid was reused/,
  descendant: /another process has that pid.*its pid was reused/,
  'descendant with the guard': /another process has that pid.*its pid was reused/,
  thread: /that pid is now a thread of another process: the owner is gone, its pid is reused/,
};

function checkReused(t: ExecutionContext, {heir, pid, taken, state, evidence}: Round): void {
  t.true(taken, `pid ${pid} was given to the ${heir}`);
  t.is(state, heir === 'descendant with the guard' ? 'ALIVE' : 'DEAD', `${heir}: ${evidence}`);
  t.regex(evidence, EVIDENCE[heir]);
}

testInNamespace(
  '200 owners whose pid a stranger or a thread gets within one clock tick are DEAD',
  async t => {
    const rounds = await play(t, {records: 200});
    for (const round of rounds) {
      checkReused(t, round);
      t.true(round.living === undefined || round.living === 'ALIVE', `while it lived: ${round.living}`);
    }
    const same = rounds.filter(({sameTick}) => sameTick).length;
    t.log(`${same} heirs of ${rounds.length} had the owner’s pid and its start time`);
    t.true(same > 0);
  },
);

testInNamespace(
  'a program whose pid a stranger, its own descendant or a thread gets is DEAD, unless the guard is held',
  async t => {
    const rounds = await play(t, {programs: 12});
    for (const round of rounds) {
      checkReused(t, round);
      t.is(round.living, 'ALIVE');
      // The first who is found to hold it settles that; not everyone who shares it is looked for.
      const mayHold = round.heir === 'descendant with the guard' ? [round.child, round.pid] : [];
      t.is(round.holders.length > 0, mayHold.length > 0);
      for (const pid of round.holders) t.true(mayHold.includes(pid));
    }
  },
);

testAsRoot(
  'who gets the pid of a dead process whose child holds its flock is never named as the holder',
  async t => {
    // Not in a namespace: the kernel keeps the taker's pid as the first namespace counts, and only there it can be mistaken.
    const rounds = await run(t, ['env'], {files: 40});
    const reused = rounds.filter(({taken}) => taken);
    for (const {owner, pid, child, living, state, holders, evidence} of reused) {
      t.is(living, 'ALIVE');
      t.false(holders.includes(pid), `${owner}: a stranger has pid ${pid}: ${evidence}`);
      if (owner === 'flock') t.deepEqual([state, ...holders], ['ALIVE', child]);
      // A descriptor in a message may be told by the socket that has it, or by nobody.
      else t.true(state === 'UNKNOWN' || holders.includes(child), `${state}: ${evidence}`);
    }
    t.log(`${reused.length} pids of ${rounds.length} went to the stranger, the others to other processes`);
    t.true(reused.length > 0);
  },
);

testInNamespace(
  'a flock whose taker died in this pid namespace is not in the table, and yet its holder is found',
  async t => {
    // proc_locks(5): the taker's pid can't be translated any more, so the kernel leaves the row out (fs/locks.c locks_show()).
    for (const {owner, heir, pid, child, taken, living, state, holders} of await play(t, {files: 20})) {
      t.true(taken, `pid ${pid} was given to the ${heir}`);
      t.is(living, 'ALIVE');
      if (owner === 'flock') t.deepEqual([state, ...holders], ['ALIVE', child]);
      else t.true(state === 'UNKNOWN' || holders.includes(child), state);
      t.false(holders.includes(pid), `${heir} with pid ${pid}`);
    }
  },
);
