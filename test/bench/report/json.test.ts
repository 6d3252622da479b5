import test from 'ava';
import {fromJson, type Report, toJson} from '../../../bench/report/json.js';
import {MACHINE} from '../../helpers/bench-machine.js';

const REPORT: Report = {
  ...MACHINE,
  figures: [
    {
      case: 'a',
      title: 'a title',
      unit: 'ns',
      yardstick: 'C',
      rows: new Map([
        ['C', [1, 2]],
        ['ours', [1.5, 2.5]],
      ]),
      absent: new Map([['broken', 'why']]),
      excused: new Map([['lsof', 'not installed']]),
      cutOff: ['C'],
      note: 'on ext4',
      goals: [{subject: 'ours', against: ['C'], atMost: 2}],
      limits: [{subject: 'ours', below: 3}],
    },
  ],
};

test('a report comes back as it was', t => {
  const {figures, ...machine} = fromJson(toJson(REPORT));
  const {figures: wanted, ...same} = REPORT;
  t.deepEqual(machine, same);
  t.like(figures[0], wanted[0] ?? {});
  t.deepEqual(figures[0]?.rows, wanted[0]?.rows);
  t.deepEqual(figures[0]?.absent, wanted[0]?.absent);
  t.deepEqual(figures[0]?.excused, wanted[0]?.excused);
});

test('it says what became of the goals, for who reads only that', t => {
  const [figure] = (JSON.parse(toJson(REPORT)) as {figures: {outcomes: unknown}[]}).figures;
  t.deepEqual(figure?.outcomes, [
    {goal: 'ours: at most 2 x C', found: 'at most 1.38 x', met: true},
    {goal: 'ours: below 0.003 µs', found: '0.002 µs', met: true},
  ]);
});
