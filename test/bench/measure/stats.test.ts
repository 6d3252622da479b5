import test from 'ava';
import {median, quantile, ratio} from '../../../bench/measure/stats.js';

test('quantiles lie between the values, whatever their order', t => {
  t.is(median([3, 1, 2]), 2);
  t.is(median([4, 1, 3, 2]), 2.5);
  t.is(quantile([10, 0], 0.25), 2.5);
  t.is(quantile([5, 1, 2, 4, 3], 0.75), 4);
  t.is(median([7]), 7);
});

test('of nothing, nothing is known', t => {
  t.is(median([]), Number.NaN);
  t.is(ratio([], []), Number.NaN);
});

test('a ratio is taken round by round where there is one figure a round of both', t => {
  // In the second round the machine was busy with something else; each of the two was twice as slow.
  t.is(ratio([10, 20, 10], [5, 10, 5]), 2);
  // The medians would give 1.
  t.is(ratio([1, 10, 100], [10, 100, 1]), 0.1);
});

test('else it is that of the medians', t => {
  t.is(ratio([10, 20, 30], [5, 10]), 20 / 7.5);
});
