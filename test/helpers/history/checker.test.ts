/** Does each rule find what it is there for, and nothing else? */
import test from 'ava';
import {Checker, describe} from './checker.js';
import type {EventName} from './line.js';
import {RULES} from './rules.js';

type Step = readonly [who: string, event: EventName, facts?: Readonly<Record<string, unknown>>];

/** A line a step: each process by a letter, with a digit for a thread of its own; a second passes from one to the next. */
function judge(...steps: readonly Step[]): string[] {
  const checker = new Checker();
  for (const [index, [who, event, facts]] of steps.entries()) {
    const [by, thread = '0'] = who;
    checker.add(JSON.stringify({lock: 'l', by, thread: Number(thread), clock: index * 1e9, event, ...facts}));
  }
  return checker.judgement.violations.map(
    ({rule, lines}) => `${rule} ${lines.map(({number}) => number).join()}`,
  );
}

const acquire = (who: string, epoch: number): Step[] => [
  [who, 'acquiring'],
  [who, 'acquired', {epoch, identity: who}],
];
const release = (who: string, epoch: number): Step[] => [
  [who, 'releasing', {epoch}],
  [who, 'released', {epoch}],
];
const look = (who: string, state: string, epoch: number, bit = 1): Step[] => [
  [who, 'examining'],
  [who, 'verdict', {state, bit, epoch, identity: null, complete: true}],
];
const hold = (who: string, remaining = 90_000, evicted = 0): Step[] => [
  [who, 'hold-asked'],
  [who, 'hold-acknowledged', {remaining, evicted}],
];
const intent = (who: string, epoch: number, forced = false): Step => [who, 'intent', {epoch, forced}];
const handOver = (who: string, from: number, epoch: number, forced = false): Step[] => [
  [who, 'handing-over', {from, forced}],
  [who, 'handed-over', {from, epoch, identity: who}],
];
const cleaned = (who: string, epoch: number, outcome = 'untouched'): Step => [
  who,
  'cleaned',
  {epoch, outcome},
];
const clear = (who: string, epoch: number): Step[] => [
  [who, 'clearing', {epoch}],
  [who, 'cleared', {epoch}],
];
const allClear = (who: string, epoch: number): Step => [who, 'all-clear', {epoch}];

/** From the verdict to the handover. */
const take = (who: string, from: number, epoch: number): Step[] => [
  ...look(who, 'DEAD', from),
  intent(who, from),
  ...hold(who),
  ...handOver(who, from, epoch),
];
const force = (who: string, from: number, epoch: number): Step[] => [
  ...look(who, 'FROZEN', from),
  intent(who, from, true),
  ...hold(who, 90_000, 1),
  ...handOver(who, from, epoch, true),
];
const finish = (who: string, epoch: number): Step[] => [
  cleaned(who, epoch),
  ...clear(who, epoch),
  allClear(who, epoch),
  [who, 'hold-ending'],
];

const GOOD: Readonly<Record<string, readonly Step[]>> = {
  'one after the other': [...acquire('A', 1), ...release('A', 1), ...acquire('B', 2), ...release('B', 2)],
  'a recovery from the dead': [...acquire('A', 1), ...take('R', 1, 2), ...finish('R', 2), ...acquire('B', 3)],
  'a recovery that was killed, and the next': [
    ...acquire('A', 1),
    ...take('R', 1, 2),
    ...take('S', 2, 3),
    ...finish('S', 3),
  ],
  'force, and the owner finds out': [
    ...acquire('A', 1),
    ...force('R', 1, 2),
    ...finish('R', 2),
    ['A', 'fenced', {epoch: 1}],
  ],
  'an owner that resigned and lives': [
    ...acquire('A', 1),
    ...take('R', 1, 2),
    ['R', 'resigning', {epoch: 2}],
    ['R', 'hold-ending'],
    ...take('S', 2, 3),
    ...finish('S', 3),
    ...look('R', 'FREE', 3, 0),
  ],
  'an owner who writes late that it acquired what was forced from it': [
    ['A', 'acquiring'],
    ...look('R', 'FROZEN', 1),
    intent('R', 1, true),
    ...hold('R', 90_000, 1),
    ...handOver('R', 1, 2, true),
    ['A', 'acquired', {epoch: 1, identity: 'A'}],
    ['A', 'fenced', {epoch: 1}],
  ],
  'a commit that may have come before the handover': [
    ...acquire('A', 1),
    ['A', 'committing', {epoch: 1}],
    ...force('R', 1, 2),
    cleaned('R', 2, 'rolled-forward'),
    ['A', 'committed', {epoch: 1}],
  ],
  'an observer who began to look before': [
    ['O', 'examining'],
    ...acquire('A', 1),
    ['O', 'verdict', {state: 'FREE', bit: 0, epoch: 0, identity: null}],
  ],
  'an observer who ended after': [
    ...acquire('A', 1),
    ['O', 'examining'],
    ['A', 'releasing', {epoch: 1}],
    ['O', 'verdict', {state: 'FREE', bit: 0, epoch: 1, identity: null}],
  ],
  'a hold of a process that died in it': [...hold('H'), ['A', 'entering'], ['A', 'entered']],
  'a hold that is over': [...hold('H', 500), ['A', 'entering'], ['A', 'entered'], ['H', 'hold-ending']],
  'a hold that waits': [
    ['A', 'entering'],
    ['A', 'entered'],
    ['H', 'hold-asked'],
    ['A', 'leaving'],
    ['H', 'hold-acknowledged', {remaining: 9, evicted: 0}],
  ],
  'a hold while a thread was inside that ended': [
    ['A1', 'entering'],
    ['A1', 'entered'],
    ...hold('H'),
    ['A0', 'examining'],
  ],
  'what a test has disturbed': [...acquire('A', 1), ['A', 'disturbed'], ...acquire('A', 1)],
};

for (const [title, steps] of Object.entries(GOOD))
  test(`no objection: ${title}`, t => t.deepEqual(judge(...steps), []));

/** By rule: a history, and the numbers of the lines that are named. */
const BAD: Readonly<Record<string, readonly (readonly [lines: string, ...Step[]])[]>> = {
  epochsGrow: [
    ['2,6', ...acquire('A', 7), ...release('A', 7), ...acquire('B', 7)],
    ['2,6', ...acquire('A', 7), ...release('A', 7), ...acquire('B', 6)],
  ],
  oneOwner: [
    ['2,4', ...acquire('A', 1), ...acquire('B', 2)],
    [
      '2,4',
      ['B', 'acquiring'],
      ['A', 'acquired', {epoch: 1, identity: 'A'}],
      ['A', 'entered'],
      ['B', 'acquired', {epoch: 2, identity: 'B'}],
    ],
  ],
  bitStaysSet: [
    ['2,4', ...acquire('A', 1), ...look('O', 'FREE', 1, 0)],
    ['9,11', ...acquire('A', 1), ...take('R', 1, 2), ...look('O', 'UNKNOWN', 2, 0)],
  ],
  commitInForce: [
    [
      '9,12',
      ...acquire('A', 1),
      ...force('R', 1, 2),
      cleaned('R', 2),
      ['A', 'committing', {epoch: 1}],
      ['A', 'committed', {epoch: 1}],
    ],
    [
      '3,11,12',
      ...acquire('A', 1),
      ['A', 'committing', {epoch: 1}],
      ...force('R', 1, 2),
      cleaned('R', 2, 'rolled-back'),
      ['A', 'committed', {epoch: 1}],
    ],
  ],
  releasedByOwner: [['9,11', ...acquire('A', 1), ...force('R', 1, 2), ...release('A', 1)]],
  deadForEver: [
    [
      '4,5',
      ...acquire('A', 1),
      ['O', 'examining'],
      ['O', 'verdict', {state: 'DEAD', bit: 1, epoch: 1, identity: 'A'}],
      ['A', 'examining'],
    ],
  ],
  takenFromTheDead: [['2,8,10', ...acquire('A', 1), ...take('R', 1, 2), ['A', 'examining']]],
  verdictAllows: [
    [
      '4,8',
      ...acquire('A', 1),
      ...look('R', 'UNKNOWN', 1),
      intent('R', 1),
      ...hold('R'),
      ...handOver('R', 1, 2),
    ],
    [
      '4,8',
      ...acquire('A', 1),
      ...look('R', 'FREE', 1),
      intent('R', 1, true),
      ...hold('R', 9e4, 1),
      ...handOver('R', 1, 2, true),
    ],
    ['6', ...acquire('A', 1), intent('R', 1), ...hold('R'), ...handOver('R', 1, 2)],
  ],
  auditFirst: [
    ['7', ...acquire('A', 1), ...look('R', 'DEAD', 1), ...hold('R'), ...handOver('R', 1, 2)],
    [
      '5,8',
      ...acquire('A', 1),
      ...look('R', 'DEAD', 1),
      intent('R', 7),
      ...hold('R'),
      ...handOver('R', 1, 2),
    ],
    [
      '5,8',
      ...acquire('A', 1),
      ...look('R', 'FROZEN', 1),
      intent('R', 1),
      ...hold('R', 9e4, 1),
      ...handOver('R', 1, 2, true),
    ],
  ],
  insideHold: [
    ['6,7', ...acquire('A', 1), ...look('R', 'DEAD', 1), intent('R', 1), ...handOver('R', 1, 2)],
    [
      '7,8,9',
      ...acquire('A', 1),
      ...look('R', 'DEAD', 1),
      intent('R', 1),
      ...hold('R', 500),
      ...handOver('R', 1, 2),
    ],
    [
      '12,13',
      ...acquire('A', 1),
      ...take('R', 1, 2),
      cleaned('R', 2),
      ['R', 'hold-ending'],
      ...clear('R', 2),
    ],
  ],
  holdExcludes: [['2,4,5', ...hold('H'), ['A', 'entering'], ['A', 'entered'], ['H', 'hold-ending']]],
  holdWaits: [['2,4,5', ['A', 'entering'], ['A', 'entered'], ...hold('H'), ['A', 'leaving']]],
  cleanFirst: [
    ['9,10', ...acquire('A', 1), ...take('R', 1, 2), ...clear('R', 2)],
    ['9,10,11', ...acquire('A', 1), ...take('R', 1, 2), cleaned('R', 2), allClear('R', 2)],
  ],
};

test('each rule has a history that breaks it', t =>
  t.deepEqual(Object.keys(BAD).toSorted(), Object.keys(RULES).toSorted()));

for (const [rule, histories] of Object.entries(BAD)) {
  for (const [index, [lines, ...steps]] of histories.entries())
    test(`${rule} finds violation ${index + 1}`, t => {
      t.true(judge(...steps).includes(`${rule} ${lines}`), judge(...steps).join('; '));
    });
}

test('what was counted, and a violation in words', t => {
  const checker = new Checker();
  const lines = [...acquire('A', 1), ...acquire('B', 2)];
  for (const [by, event, facts] of lines)
    checker.add(JSON.stringify({lock: 'l', by, thread: 0, clock: 0, event, ...facts}));
  const {events, locks, processes, acquisitions, violations} = checker.judgement;
  t.deepEqual({events, locks, processes, acquisitions}, {events: 4, locks: 1, processes: 2, acquisitions: 2});
  const [violation] = violations;
  t.truthy(violation);
  if (violation)
    t.regex(describe(violation), /^oneOwner: .*\nline 2: \{.*"by":"A".*\}\nline 4: \{.*"by":"B".*\}$/);
});
