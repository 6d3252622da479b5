/** What if the observer is frozen at any system call, and the owner gives the lock back and ends meanwhile? It was never left in the middle, so it is not DEAD. */
import {actor} from '../helpers/actor.js';
import {openScratch, scratch} from '../helpers/scratch.js';
import {runStepped, steppedTest} from '../helpers/stepped.js';

/** Bit, record and guard are read within these; what follows is the search for holders, as long as there are processes. */
const FIRST_CALLS = 36;

/** Those that look. How often memory is mapped beside them differs from machine to machine. */
const LOOKS = [
  'openat',
  'fstat',
  'newfstatat',
  'statx',
  'read',
  'pread64',
  'close',
  'fcntl:test',
  'readlink',
];

steppedTest(
  'an observer frozen at each of its first calls never says DEAD of an owner that gave the lock back',
  async t => {
    const place = scratch(t);
    await openScratch(place);
    const calls: Record<string, number> = {};
    const seen: Record<string, number> = {};
    for (let n = 1; n <= FIRST_CALLS; n++) {
      const owner = await actor(t, place);
      await owner.do('acquire');
      const {outcome, child, result, exit} = await runStepped(t, 'stepped-examine', place, n, 'stop', LOOKS);
      await owner.do('release');
      await owner.kill();
      child.kill('SIGCONT');
      const state = await result;
      await exit;
      const call = outcome.kind === 'stopped' ? outcome.call : outcome.kind;
      t.not(state, 'DEAD', `stopped at ${n}, ${call}`);
      calls[call] = (calls[call] ?? 0) + 1;
      seen[state] = (seen[state] ?? 0) + 1;
    }
    t.log(`${JSON.stringify(calls)}: ${JSON.stringify(seen)}`);
    t.true((calls['fcntl:test'] ?? 0) > 0, 'the test of the guard was among them');
    t.true((seen['FREE'] ?? 0) > 0);
  },
);
