import test from 'ava';
import type {Figure} from '../../../bench/measure/figure.js';
import {linesOf, outcomes, unmeasured, written, writtenRatio} from '../../../bench/report/words.js';

const FIGURE: Figure = {
  case: 'g',
  title: 'a title',
  unit: 'ns',
  yardstick: 'C',
  rows: new Map([
    ['slow', [2e6, 4e6, 3e6]],
    ['C', [1000, 1000, 1000]],
    ['ours', [1500, 1400, 1600]],
  ]),
  absent: new Map([['broken', 'it did not start']]),
};

test('a figure has three digits, and a unit that fits', t => {
  t.is(written(1234, 'ns'), '1.23 µs');
  t.is(written(12_345, 'ns'), '12.3 µs');
  t.is(written(123_456, 'ns'), '123 µs');
  t.is(written(1_234_567, 'ns'), '1.23 ms');
  t.is(written(1_234_567_890, 'ns'), '1.23 s');
  t.is(written(1500, 'ms'), '1.50 s');
  t.is(written(12.34, 'MB'), '12.3 MB');
  t.is(written(0.5, 'per second'), '0.50 /s');
  t.is(written(0.001, 'per second'), '0.001 /s');
});

test('what was counted has no places behind the point, and nothing is nothing', t => {
  t.is(written(12, 'count'), '12');
  t.is(written(0, 'count'), '0');
  t.is(written(0, 'ns'), '0 µs');
  t.is(written(2.5, 'count'), '2.50');
  t.is(written(Number.NaN, 'ns'), '-');
});

test('a ratio far below one is said the other way round', t => {
  t.is(writtenRatio(1.314), '1.31');
  t.is(writtenRatio(0.5), '0.50');
  t.is(writtenRatio(1 / 85), '1/85');
  t.is(writtenRatio(Number.NaN), '-');
  t.is(writtenRatio(Number.POSITIVE_INFINITY), '-');
});

test('the quickest comes first, each with its quartiles and its ratio to the yardstick', t => {
  t.deepEqual(linesOf(FIGURE), [
    {subject: 'C', median: '1 µs', spread: '1 µs to 1 µs', ratio: '1'},
    {subject: 'ours', median: '1.50 µs', spread: '1.45 µs to 1.55 µs', ratio: '1.50'},
    {subject: 'slow', median: '3 ms', spread: '2.50 ms to 3.50 ms', ratio: '3000'},
  ]);
});

test('whoever was cut off took at least that long', t => {
  const [, , slow] = linesOf({...FIGURE, cutOff: ['slow']});
  t.is(slow?.median, 'at least 3 ms');
  t.is(slow?.ratio, 'at least 3000');
});

test('a goal is met up to its bound, and not above it', t => {
  const bounds = [1.5, 1.49].map(atMost => ({subject: 'ours', against: ['C'], atMost}));
  t.deepEqual(outcomes({...FIGURE, goals: bounds}), [
    {goal: 'ours: at most 1.50 x C', found: '1.50 x', met: true},
    {goal: 'ours: at most 1.49 x C', found: '1.50 x', met: false},
  ]);
});

test('many times faster is a goal as well', t => {
  const goals = [1000, 3000].map(times => ({subject: 'ours', against: ['slow'], atMost: 1 / times}));
  t.deepEqual(outcomes({...FIGURE, goals}), [
    {goal: 'ours: at least 1000 times faster than slow', found: '1875 times', met: true},
    {goal: 'ours: at least 3000 times faster than slow', found: '1875 times', met: false},
  ]);
});

test('compared with someone who was cut off, a goal may be met, but is never missed', t => {
  const goals = [1000, 3000].map(times => ({subject: 'ours', against: ['slow'], atMost: 1 / times}));
  t.deepEqual(
    outcomes({...FIGURE, goals, cutOff: ['slow']}).map(({found, met}) => [found, met]),
    [
      ['at least 1875 times', true],
      ['at least 1875 times', undefined],
    ],
  );
});

test('of several the best counts, and of those who are not there nothing is known', t => {
  const goals = [
    {subject: 'ours', against: ['slow', 'C', 'broken'], atMost: 1},
    {subject: 'ours', against: ['broken'], atMost: 1},
    {subject: 'broken', against: ['C'], atMost: 1},
  ];
  t.deepEqual(
    outcomes({...FIGURE, goals}).map(({found, met}) => [found, met]),
    [
      ['1.50 x', false],
      ['-', undefined],
      ['-', undefined],
    ],
  );
});

test('two that are nothing have no ratio', t => {
  const rows = new Map([
    ['ours', [0, 0]],
    ['C', [0, 0]],
  ]);
  const goals = [{subject: 'ours', against: ['C'], atMost: 1}];
  t.deepEqual(
    outcomes({...FIGURE, rows, goals}).map(({found, met}) => [found, met]),
    [['-', undefined]],
  );
});

test('a limit is met below it', t => {
  const limits = [1501, 1500].map(below => ({subject: 'ours', below}));
  t.deepEqual(
    outcomes({...FIGURE, limits}).map(({met}) => met),
    [true, false],
  );
  t.is(outcomes({...FIGURE, limits: [{subject: 'broken', below: 1}]})[0]?.met, undefined);
});

test('who has no figures is named, also who need not have any', t => {
  t.deepEqual(unmeasured({...FIGURE, excused: new Map([['lsof', 'not installed']])}), [
    'broken: not measured: it did not start',
    'lsof: not measured: not installed',
  ]);
});
