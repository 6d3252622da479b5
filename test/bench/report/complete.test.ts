/** Is a run whole only when every figure is? */
import test from 'ava';
import type {Figure} from '../../../bench/measure/figure.js';
import {completeness} from '../../../bench/report/complete.js';

const WHOLE: Figure = {
  case: 'a',
  title: 'take',
  unit: 'ns',
  yardstick: 'C',
  rows: new Map([['C', [1]]]),
  absent: new Map(),
};

test('a figure that lacks somebody has failed, whoever else is in it, and counts once', t => {
  const lacking: Figure = {
    ...WHOLE,
    absent: new Map([
      ['ours', 'it ended'],
      ['theirs', 'it ended'],
    ]),
  };
  t.deepEqual(completeness([WHOLE, lacking]), {
    told: ['(a) take: ours: it ended', '(a) take: theirs: it ended'],
    passed: 1,
    failed: 1,
  });
});

test('who is excused is told and is no failure, but a figure of nobody is one', t => {
  const excused = new Map([['lslocks', 'not installed']]);
  t.deepEqual(
    completeness([
      {...WHOLE, excused},
      {...WHOLE, rows: new Map(), excused},
    ]),
    {
      told: ['(a) take: lslocks: not installed', '(a) take: lslocks: not installed'],
      passed: 1,
      failed: 1,
    },
  );
});
