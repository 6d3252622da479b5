/** Does a node do what the order in force asks of it, and nothing else? Real agents, a real store, real locks. */
import {readFileSync} from 'node:fs';
import test from 'ava';
import {STAMP, sha256} from '../../lib/lock/update.js';
import {readStamped} from '../../lib/fleet/stamp.js';
import {NEW, OLD, openScratch} from '../helpers/scratch.js';
import {
  APPLY,
  fleetEvents,
  fleetRecords,
  LOCK,
  NODE,
  planOf,
  PREPARE,
  ROLL_BACK,
  TestFleet,
} from '../helpers/fleet.js';

const hash = (text: string) => sha256(Buffer.from(text));

test('a node prepares, applies and rolls back, and reports and records each step', async t => {
  const fleet = await TestFleet.start(t);
  const {place} = await fleet.node();
  const plan = await fleet.announce(planOf());
  await fleet.order(plan, PREPARE);
  const prepared = await fleet.reported('PREPARED');
  t.like(prepared, {v: 1, node: NODE, rollout: 'r1', turn: 1, epoch: 0, sha256: hash(OLD)});
  t.is(readFileSync(place.file, 'utf8'), OLD);

  await fleet.order(plan, {...APPLY, turn: 2});
  const applied = await fleet.applied();
  t.like(applied, {turn: 2, epoch: 1, sha256: hash(NEW), health: 'passed'});
  t.is(readFileSync(place.file, 'utf8'), NEW);
  t.deepEqual(readStamped(place.file), {sha256: hash(NEW), origin: {rollout: 'r1', epoch: 1}}, STAMP);

  await fleet.order(plan, {...ROLL_BACK, turn: 3});
  const back = await fleet.reported('ROLLED_BACK');
  t.like(back, {turn: 3, epoch: 2, sha256: hash(OLD)});
  t.is(readFileSync(place.file, 'utf8'), OLD);
  t.deepEqual(await fleetEvents(place), [
    'prepared',
    'applying',
    'applied',
    'health',
    'rolling-back',
    'rolled-back',
  ]);
  for (const record of await fleetRecords(place))
    t.like(record, {lock: LOCK, rollout: 'r1', sha256: hash(NEW)}, record.event);
  t.is((await (await openScratch(place)).examine()).state, 'FREE');
});
