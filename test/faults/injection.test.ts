/**
 * What if recover, break-glass, update or hold is killed at any of its system calls, or any of them fails? The invariants hold,
 * orchestrators go on, and recovery ends in ALL CLEAR. A sample for each run; `npm run test:injection` tries every point.
 */
import anyTest from 'ava';
import {asRoot, testWith} from '../helpers/here.js';
import {allWalks, runWalks, summary} from '../helpers/injection/run.js';
import {canTrace} from '../helpers/stepper.js';

/** Of the calls that may fail, so many-eth are tried in one run; which of them, the seed says. */
const EVERY = 50;

const seed = Number(process.env['LOCKSMITH_SEED'] ?? Date.now() % 1000);
const untraceable = await canTrace();

testWith(
  untraceable ?? asRoot,
  'killed before each call that changes something, and failed at a sample of calls, each operation leaves a lock that can be recovered',
  async t => {
    t.log(`LOCKSMITH_SEED=${seed}, every ${EVERY}`);
    const walked = await runWalks(allWalks({every: EVERY, seed}));
    for (const {subject, how, points, found, violations} of walked) {
      t.log(`${subject}, ${how}: ${points} points, ${JSON.stringify(found)}`);
      t.deepEqual(violations, [], `${subject}, ${how}`);
      if (how.endsWith('at changes')) t.true(points > 3, `${subject}, ${how}: ${points} points`);
    }
    t.log(summary(walked));
  },
  anyTest.serial,
);
