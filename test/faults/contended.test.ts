/**
 * What if others want the lock at the very moment in which it is taken back? Nobody meets anybody, and nobody is faster than
 * the recoverer; with the common ways it happens. `npm run test:contended` does the same 100,000 times.
 */
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {addOutcomes, type Arena, openArena, type Outcome, runBatch} from '../helpers/contended.js';
import {checkHistory, describe} from '../helpers/history/checker.js';

const TRIALS = 200;
/** The common ways fail in one trial of ten or so; on a busy machine less often. */
const NAIVE = 100;
const MOST_BATCHES = 100;

function arena(t: ExecutionContext): Arena {
  const opened = openArena();
  t.teardown(() => opened.close());
  return opened;
}

test(`${TRIALS} reclaims and ${TRIALS} handovers while others want the lock: one owner, and no regrab`, async t => {
  const place = arena(t);
  const history = join(place.directory, 'history');
  const {reclaims, handovers} = await runBatch(
    place,
    {reclaims: TRIALS, handovers: TRIALS, naive: 0},
    {history, contenders: 3},
  );
  t.like(reclaims, {trials: TRIALS, bad: 0}, reclaims.notes.join('\n'));
  t.like(handovers, {trials: TRIALS, bad: 0}, handovers.notes.join('\n'));
  const judgement = await checkHistory(history);
  t.deepEqual(judgement.violations.map(describe), []);
  t.is(judgement.acquisitions, 3 * TRIALS);
  t.is(judgement.handovers, 2 * TRIALS);
  t.log(`${judgement.events} events, no violation`);
});

test('the common ways: two owners, and a contender that is faster', async t => {
  const place = arena(t);
  let total: Outcome | undefined;
  for (let batch = 0; batch < MOST_BATCHES; batch++) {
    total = addOutcomes(total, await runBatch(place, {reclaims: 0, handovers: 0, naive: NAIVE}));
    if (total.naiveReclaims.bad > 0 && total.naiveHandovers.bad > 0) break;
  }
  t.true((total?.naiveReclaims.bad ?? 0) > 0);
  t.true((total?.naiveHandovers.bad ?? 0) > 0);
  for (const kind of ['naiveReclaims', 'naiveHandovers'] as const)
    t.log(`${kind}: ${total?.[kind].bad} of ${total?.[kind].trials}`);
});
