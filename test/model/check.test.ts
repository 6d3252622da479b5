/** Is what the checker prints understood, and is a search that left something out no success? */
import test from 'ava';
import {complaint, readOutcome} from './check.js';

test('what pan printed is read: which property, how much, and whether all was searched', t => {
  const figures = 'depth reached 12, errors: 1\n    77 states, stored\npan: elapsed time 0.5 seconds\n';
  const outcome = {states: 77, depth: 12, seconds: 0.5, complete: true};
  const first = 'pan:1: assertion violated (one_owner||(a==1)) (at depth 3)\n';
  t.deepEqual(readOutcome(first + figures), {...outcome, broken: 'one_owner'});
  t.is(readOutcome(`pan:1: assertion violated (17!=17) (at depth 3)\n${figures}`).broken, 'reached');
  t.is(readOutcome(`pan:1: acceptance cycle (at depth 3)\n${figures}`, 'hold_ends').broken, 'hold_ends');
  t.is(readOutcome(`pan:1: invalid end state (at depth 3)\n${figures}`).broken, 'deadlock');
  t.deepEqual(readOutcome(figures), {...outcome, broken: 'none'});
  t.false(readOutcome(`error: max search depth too small\n${figures}`).complete);
});

test('an outcome is good only if it is the one that is expected, by the property that is meant', t => {
  const outcome = {broken: 'none', states: 77, depth: 12, seconds: 0.5, complete: true};
  t.is(complaint(outcome, 'holds'), undefined);
  t.is(complaint({...outcome, complete: false}, 'holds'), 'the search is not complete');
  t.is(complaint({...outcome, broken: 'deadlock'}, 'holds'), 'broken: deadlock');
  t.is(complaint({...outcome, states: Number.NaN}, 'holds'), 'the search gave no figures');
  t.is(complaint(outcome, ['one_owner']), 'expected one_owner, found none');
  t.is(
    complaint({...outcome, broken: 'epochs_grow'}, ['one_owner']),
    'expected one_owner, found epochs_grow',
  );
  t.is(complaint({...outcome, broken: 'one_owner', complete: false}, ['one_owner']), undefined);
  t.is(complaint({...outcome, broken: 'deadlock'}, 'reached'), 'expected reached, found deadlock');
});
