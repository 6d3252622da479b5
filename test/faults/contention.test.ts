/** What if many want the lock, and owners die all the time? One owner an epoch, epochs grow, and no update is lost. */
import {type ChildProcess, fork} from 'node:child_process';
import {once} from 'node:events';
import {existsSync, readFileSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import test, {type ExecutionContext} from 'ava';
import {openScratch, type Scratch, scratch} from '../helpers/scratch.js';

const WORKERS = 8;
const ACQUISITIONS = 10_000;
/** One kill for so many acquisitions, on average. */
const KILL_EVERY = 60;

/** Lets workers fight until enough was done; kills one at random now and then and puts another in its place. Returns the pids that were killed. */
async function fight(t: ExecutionContext, place: Scratch, history: string): Promise<Set<number>> {
  const program = fileURLToPath(new URL('../fixtures/contention-worker.js', import.meta.url));
  const killed = new Set<number>();
  const workers: ChildProcess[] = [];
  let done = 0;
  await new Promise<void>((enough, fail) => {
    const spawn = (slot: number) => {
      const worker = fork(program, [JSON.stringify({...place, history})]);
      workers[slot] = worker;
      t.teardown(() => worker.kill('SIGKILL'));
      worker.on('message', () => {
        done++;
        if (done >= ACQUISITIONS) enough();
        else if (Math.random() < 1 / KILL_EVERY) kill(Math.floor(Math.random() * WORKERS));
      });
      worker.on('exit', (code, signal) => {
        if (signal !== 'SIGKILL') fail(new Error(`a worker ended by itself, status ${code}`));
        else if (done < ACQUISITIONS) spawn(slot);
      });
    };
    const kill = (slot: number) => {
      const worker = workers[slot];
      if (!worker?.pid || worker.killed) return;
      killed.add(worker.pid);
      worker.kill('SIGKILL');
    };
    for (let slot = 0; slot < WORKERS; slot++) spawn(slot);
  });
  const running = workers.filter(worker => worker.exitCode === null && worker.signalCode === null);
  const ends = running.map(worker => once(worker, 'exit'));
  for (const worker of running) {
    killed.add(worker.pid ?? 0);
    worker.kill('SIGKILL');
  }
  await Promise.all(ends);
  t.log(`${done} acquisitions, ${killed.size} processes killed`);
  return killed;
}

interface Begun {
  readonly epoch: number;
  readonly pid: number;
  readonly value: number;
  done: boolean;
}

/** Reads the history in its order and names the first line that breaks a rule. */
function checkHistory(
  lines: readonly string[],
  killed: ReadonlySet<number>,
): {problem: string | undefined; last: Begun | undefined; begun: number} {
  let last: Begun | undefined;
  let begun = 0;
  for (const [index, line] of lines.entries()) {
    const [what, epochText, pidText, valueText] = line.split(' ');
    const [epoch, pid, value] = [Number(epochText), Number(pidText), Number(valueText)];
    const broken = (rule: string) => ({problem: `line ${index + 1}, "${line}": ${rule}`, last, begun});
    if (what === 'done') {
      if (last?.epoch !== epoch || last.pid !== pid) return broken('done by somebody who was not the owner');
      last.done = true;
      continue;
    }
    begun++;
    if (last && epoch <= last.epoch) return broken('the epoch did not grow');
    if (last && !last.done && !killed.has(last.pid))
      return broken('two owners: the one before was alive and not done');
    if (last?.done && value !== last.value + 1) return broken('an update was lost, or made twice');
    if (last && !last.done && value !== last.value && value !== last.value + 1)
      return broken('neither the old nor the new content');
    last = {epoch, pid, value, done: false};
  }
  return {problem: undefined, last, begun};
}

test('8 processes, 10,000 acquisitions, random kills and recoveries: one owner an epoch, no lost update', async t => {
  const place = scratch(t, existsSync('/dev/shm') ? '/dev/shm' : tmpdir());
  const config = await openScratch(place);
  writeFileSync(place.file, '0\n');
  const history = join(place.directory, 'history');
  const killed = await fight(t, place, history);
  if ((await config.examine()).state === 'DEAD') await config.recover();
  const {problem, last, begun} = checkHistory(readFileSync(history, 'utf8').trimEnd().split('\n'), killed);
  t.is(problem, undefined);
  t.true(begun >= ACQUISITIONS);
  const value = Number(readFileSync(place.file, 'utf8'));
  t.true(last !== undefined && (value === last.value + 1 || (!last.done && value === last.value)));
  t.is((await config.examine()).state, 'FREE');
  t.true(killed.size > WORKERS * 2);
});

test('the checker finds what it is there for', t => {
  const check = (...lines: string[]) => checkHistory(lines, new Set([3])).problem;
  t.is(check('begin 1 1 0', 'done 1 1', 'begin 2 2 1', 'done 2 2'), undefined);
  t.is(check('begin 1 3 0', 'begin 2 2 1'), undefined);
  t.regex(check('begin 1 1 0', 'done 1 1', 'begin 1 2 1') ?? '', /did not grow/);
  t.regex(check('begin 1 1 0', 'begin 2 2 0') ?? '', /two owners/);
  t.regex(check('begin 1 1 0', 'done 1 1', 'begin 2 2 0') ?? '', /lost/);
  t.regex(check('begin 1 3 0', 'begin 2 2 2') ?? '', /neither/);
  t.regex(check('begin 1 1 0', 'done 1 2') ?? '', /not the owner/);
});
