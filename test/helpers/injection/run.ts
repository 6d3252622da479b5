/** Which walks are there, and how do they run? Each in a pid namespace of its own, two at a time: that is what the tests' machine has processors for. */
import {execFile} from 'node:child_process';
import {fileURLToPath} from 'node:url';
import {promisify} from 'node:util';
import {ERRORS} from './calls.js';
import {SUBJECTS} from './stage.js';
import type {Walk, Walked} from './walk.js';

const AT_ONCE = 2;

const walker = fileURLToPath(new URL('walk.js', import.meta.url));

/** All points, or every so many-eth of them, from one on that the seed chooses for each walk. */
export function allWalks({every, seed}: {readonly every: number; readonly seed: number}): Walk[] {
  const all = every === 1;
  const hows: Walk['how'][] = [all ? 'kill' : 'kill at changes', ...ERRORS];
  const stop = {
    subject: 'recover, rolled back',
    how: all ? 'stop' : 'stop at changes',
    every: 1,
    first: 1,
  } as const;
  const others = hows.flatMap((how, at) =>
    SUBJECTS.map((subject, place) => {
      // The kills that differ are few enough for each run.
      const step = how === 'kill at changes' ? 1 : every;
      return {subject, how, every: step, first: 1 + ((seed + at + place) % step)};
    }),
  );
  return [stop, ...others];
}

async function run(walk: Walk): Promise<Walked> {
  const command = [
    '--pid',
    '--fork',
    '--kill-child',
    '--mount-proc',
    // Collects the children of those who were killed, which would otherwise stay in /proc until the end.
    'sh',
    '-c',
    '"$@" & wait "$!"',
    'sh',
    process.execPath,
    walker,
    JSON.stringify(walk),
  ];
  // Operations on files that io_uring makes are no system calls that could be counted or fail. A history would be calls more, whose failure
  // is not the library's; each point is judged by what it leaves.
  const env = {...process.env, UV_USE_IO_URING: '0', NODE_OPTIONS: '', LOCKSMITH_HISTORY: undefined};
  const {stdout} = await promisify(execFile)('unshare', command, {env, maxBuffer: 2 ** 26});
  return JSON.parse(stdout) as Walked;
}

/** Runs them all, and tells of each as it ends. */
export async function runWalks(
  walks: readonly Walk[],
  onDone: (walked: Walked) => void = () => undefined,
): Promise<Walked[]> {
  const waiting = [...walks];
  const done: Walked[] = [];
  const work = async () => {
    for (let walk = waiting.shift(); walk; walk = waiting.shift()) {
      const walked = await run(walk);
      done.push(walked);
      onDone(walked);
    }
  };
  await Promise.all(Array.from({length: AT_ONCE}, work));
  return done;
}

/** What came out of them, for people. */
export function summary(walked: readonly Walked[]): string {
  const kills = walked.filter(({how}) => how.startsWith('kill'));
  const stops = walked.filter(({how}) => how.startsWith('stop'));
  const fails = walked.filter(walk => !kills.includes(walk) && !stops.includes(walk));
  const sum = (some: readonly Walked[]) => some.reduce((total, {points}) => total + points, 0);
  const violations = walked.reduce((total, one) => total + one.violations.length, 0);
  return `${sum(kills)} kill points, ${sum(stops)} stops, ${sum(fails)} failed calls, ${violations} violations`;
}
