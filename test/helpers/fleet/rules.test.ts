/** Does each rule of a fleet find what it is there for, and nothing else? */
import test from 'ava';
import type {Plan, RolloutState} from '../../../lib/fleet/documents.js';
import type {AuditRecord} from '../../../lib/recovery/audit.js';
import {agreement, FLEET_RULES, type FleetPast, judgeFleet, type NodePast, type Sighting} from './rules.js';

/** A clock for all: milliseconds since 1970. */
const START = Date.parse('2026-01-01T00:00:00.000Z');
const hash = (of: string) => of.repeat(64).slice(0, 64);

const rollout = (id: string, epoch: number, content: string, phase: RolloutState['phase'] = 'converged') => ({
  plan: {id, epoch, sha256: hash(content)} as Plan,
  state: {phase, ...(phase === 'converged' ? {} : {reason: 'for a reason'})} as RolloutState,
});

const record = (event: string, of: string, after: number, facts: object = {}) =>
  ({event, rollout: of, time: new Date(START + after).toISOString(), ...facts}) as unknown as AuditRecord;

const sight = (content: string, after: number, of?: string, epoch = 0): Sighting => ({
  at: START + after,
  sha256: hash(content),
  origin: of === undefined ? undefined : {rollout: of, epoch},
});

const applied = (of: string, from: number): AuditRecord[] => [
  record('fleet-prepared', of, from, {reservation: 1000}),
  record('fleet-applying', of, from + 10),
];

const past = (
  node: Partial<NodePast>,
  rollouts = [rollout('r1', 2, 'b'), rollout('r2', 4, 'c')],
): FleetPast => ({
  nodes: [{node: 'n', first: hash('a'), sightings: [], audit: [], ...node}],
  rollouts,
});

const GOOD: Readonly<Record<string, FleetPast>> = {
  'nothing happened': past({sightings: [sight('a', 0)]}),
  'one after the other': past({
    sightings: [sight('a', 0), sight('b', 120, 'r1', 2), sight('c', 320, 'r2', 4)],
    audit: [...applied('r1', 100), ...applied('r2', 300)],
  }),
  'rolled back to the first, and to the one before': past(
    {
      sightings: [
        sight('a', 0),
        sight('b', 120, 'r1', 2),
        sight('a', 5000, 'r1', 3),
        sight('c', 5320, 'r2', 4),
        sight('a', 9000, 'r2', 5),
      ],
      audit: [...applied('r1', 100), record('fleet-rolling-back', 'r1', 4900), ...applied('r2', 5300)],
    },
    [rollout('r1', 2, 'b', 'rolled-back'), rollout('r2', 4, 'c', 'rolled-back')],
  ),
};

for (const [title, good] of Object.entries(GOOD))
  test(`no objection: ${title}`, t => t.deepEqual(judgeFleet(good), []));

/** What breaks each rule, and nothing but it. */
const BAD: Readonly<Record<string, readonly FleetPast[]>> = {
  onlyWhatWasSent: [past({sightings: [sight('x', 120)]})],
  stampsAreTrue: [
    past({sightings: [sight('c', 120, 'r1', 2)], audit: applied('r1', 100)}),
    past({sightings: [sight('b', 120, 'r1', 9)], audit: applied('r1', 100)}),
    past({sightings: [sight('c', 120, 'r1', 3)], audit: applied('r1', 100)}),
    past({sightings: [sight('b', 120)]}),
    past({sightings: [sight('b', 120, 'r7', 2)], audit: [record('fleet-applying', 'r7', 100)]}),
  ],
  epochsGrow: [
    past({
      sightings: [sight('c', 320, 'r2', 4), sight('b', 420, 'r1', 2)],
      audit: [...applied('r1', 400), ...applied('r2', 300)],
    }),
  ],
  withinReservation: [
    past({sightings: [sight('b', 1200, 'r1', 2)], audit: applied('r1', 100)}),
    past({sightings: [sight('b', 80, 'r1', 2)], audit: applied('r1', 100)}),
  ],
  writtenDown: [
    past({
      sightings: [sight('b', 120, 'r1', 2)],
      audit: [record('fleet-prepared', 'r1', 100, {reservation: 1000})],
    }),
  ],
  everyoneEnds: [
    past({}, [rollout('r1', 2, 'b', 'applying')]),
    past({}, [{...rollout('r1', 2, 'b'), state: {phase: 'stopped'} as RolloutState}]),
  ],
};

test('each rule has a past that breaks it', t =>
  t.deepEqual(Object.keys(BAD).toSorted(), Object.keys(FLEET_RULES).toSorted()));

for (const [rule, broken] of Object.entries(BAD))
  test(`found: ${rule}`, t => {
    for (const each of broken) {
      const found = judgeFleet(each).map(what => what.split(':')[0]);
      t.true(found.includes(rule), `${JSON.stringify(each.nodes[0]?.sightings)} found ${found.join()}`);
      t.true(
        found.every(other => other === rule || rule === 'onlyWhatWasSent' || rule === 'stampsAreTrue'),
        found.join(),
      );
    }
  });

test('at the end all have what the last roll-out says', t => {
  const good = GOOD['one after the other'] as FleetPast;
  t.deepEqual(agreement(good), []);
  t.is(agreement(past({sightings: [sight('b', 120, 'r1', 2)]})).length, 1);
  t.is(agreement({...good, rollouts: [rollout('r1', 2, 'b', 'stopped')]}).length, 1);
});
