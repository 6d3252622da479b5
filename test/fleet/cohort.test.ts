/** Is it always the same nodes that come first? */
import test from 'ava';
import {cohortsOf, rankOf} from '../../lib/fleet/cohort.js';
import {isLockError} from '../../lib/errors.js';

const fleet = (count: number) =>
  Array.from({length: count}, (_, index) => ({node: `node-${index}`, labels: {half: String(index % 2)}}));
const plan = {lock: 'aim_lock_config', where: {}, canary: 3, steps: [10, 50, 100]};

test('the canary and each step come after one another, and every node once', t => {
  const cohorts = cohortsOf(plan, fleet(100));
  t.deepEqual(
    cohorts.map(({nodes}) => nodes.length),
    [3, 7, 40, 50],
  );
  t.is(new Set(cohorts.flatMap(({nodes}) => nodes)).size, 100);
  for (const {nodes, upTo} of cohorts) for (const node of nodes) t.true(rankOf(plan.lock, node) <= upTo);
});

test('the same nodes are the canary when others come and go, unless they come before', t => {
  const [before] = cohortsOf(plan, fleet(100));
  const [after] = cohortsOf(
    plan,
    fleet(100)
      .toReversed()
      .filter(({node}) => before?.nodes.includes(node) || node.endsWith('7')),
  );
  t.deepEqual(after?.nodes, before?.nodes);
  t.notDeepEqual(cohortsOf({...plan, lock: 'other'}, fleet(100))[0]?.nodes, before?.nodes);
});

test('only nodes with all the labels take part', t => {
  const nodes = cohortsOf({...plan, where: {half: '1'}}, fleet(20)).flatMap(cohort => cohort.nodes);
  t.is(nodes.length, 10);
  t.true(nodes.every(node => Number(node.slice(5)) % 2 === 1));
});

test('steps that would add nobody are left out, and the last node always comes', t => {
  t.deepEqual(
    cohortsOf({...plan, steps: [1, 2, 100]}, fleet(12)).map(({nodes}) => nodes.length),
    [3, 9],
  );
  t.deepEqual(
    cohortsOf({...plan, canary: 12}, fleet(12)).map(({nodes}) => nodes.length),
    [12],
  );
});

test('a canary that is larger than the fleet is refused, and so is a fleet where nobody matches', t => {
  const larger = t.throws(() => cohortsOf({...plan, canary: 13}, fleet(12)));
  t.true(isLockError(larger, 'ERR_COHORT'));
  t.regex(String(larger), /canary is to have 13 nodes, and 12 match any labels/);
  t.regex(String(t.throws(() => cohortsOf({...plan, where: {half: '2'}}, fleet(12)))), /0 match half=2/);
});
