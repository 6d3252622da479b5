/** Is nothing done that nobody whom the node trusts has asked for, or that was asked for long ago? */
import {cpSync, existsSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import test from 'ava';
import {KEYS} from '../../lib/fleet/keys.js';
import {cosign, seal} from '../../lib/fleet/signing.js';
import {readStamped} from '../../lib/fleet/stamp.js';
import {sha256} from '../../lib/lock/update.js';
import {system} from '../../lib/os/system.js';
import {NEW, OLD, openScratch, scratch} from '../helpers/scratch.js';
import {
  APPLY,
  driver,
  fleetEvents,
  keyPair,
  LOCK,
  NODE,
  operator,
  orderOf,
  planOf,
  ROLL_BACK,
  storeFor,
  stranger,
  TestFleet,
} from '../helpers/fleet.js';

const store = storeFor(test);
const hash = (text: string) => sha256(Buffer.from(text));
const NEWER = 'gain = 11\n';

test('an order that no driver has signed changes nothing and is told', async t => {
  const fleet = await TestFleet.start(t, store());
  const {place, events} = await fleet.node();
  const plan = await fleet.announce(planOf());
  for (const by of [[], [stranger.signing], [operator.signing], [{...stranger.signing, name: 'driver'}]]) {
    await fleet.delete(KEYS.report('r1', NODE));
    await fleet.order(plan, {...APPLY, turn: 1 + by.length}, by);
    t.regex((await fleet.reported('FAILED')).reason ?? '', /signed by nobody who is trusted here/);
  }
  const text = JSON.stringify(seal(orderOf(plan, APPLY), [driver.signing])).replace(
    '\\"turn\\":1',
    '\\"turn\\":2',
  );
  await fleet.delete(KEYS.report('r1', NODE));
  await fleet.put(KEYS.order(LOCK), text);
  await fleet.reported('FAILED');
  t.is(readFileSync(place.file, 'utf8'), OLD);
  t.false(existsSync(join(place.roots.state, 'fleet', `${LOCK}.json`)));
  t.true(events.some(({event}) => event === 'order-refused'));
});

test('what is no order at all is told, and the next one is heard', async t => {
  const fleet = await TestFleet.start(t, store());
  const {events} = await fleet.node();
  await fleet.put(KEYS.order(LOCK), 'x'.repeat(300_000));
  await fleet.put(KEYS.order('other'), '{"document": 1}');
  const plan = await fleet.announce(planOf());
  await fleet.order(plan, APPLY);
  await fleet.applied();
  t.true(events.some(({event, lock}) => event === 'order-refused' && lock === 'other'));
});

test('a plan that no operator has signed, or fewer than must, changes nothing', async t => {
  const fleet = await TestFleet.start(t, store());
  const second = keyPair('second');
  const operators = {keys: [operator.trusted, second.trusted], atLeast: 2};
  const {place} = await fleet.node({}, {operators});
  const unsigned = await fleet.announce(planOf(), {by: [stranger.signing, driver.signing]});
  await fleet.order(unsigned, APPLY);
  t.regex(
    (await fleet.reported('FAILED')).reason ?? '',
    /signed by nobody who is trusted here, needed: 2 of operator, second/,
  );
  const once = await fleet.announce(planOf({id: 'r2', epoch: 3}), {by: [operator.signing]});
  await fleet.order(once, APPLY);
  t.regex((await fleet.reported('FAILED', 'r2')).reason ?? '', /signed by operator, needed: 2/);
  t.is(readFileSync(place.file, 'utf8'), OLD);
  const both = planOf({id: 'r3', epoch: 5});
  const envelope = cosign(seal(both, [operator.signing]), 'plan', second.signing);
  await fleet.announce(both);
  await fleet.put(KEYS.plan('r3'), JSON.stringify(envelope));
  await fleet.order(both, APPLY);
  await fleet.applied('r3');
});

test('an order or a plan in the place of another is refused', async t => {
  const fleet = await TestFleet.start(t, store());
  const {place} = await fleet.node();
  const plan = await fleet.announce(planOf({fleet: 'elsewhere'}));
  await fleet.order(plan, APPLY);
  t.regex((await fleet.reported('FAILED')).reason ?? '', /its fleet is "elsewhere", not "test"/);
  const other = await fleet.announce(planOf({id: 'r2', epoch: 3, lock: 'other'}));
  await fleet.order({...other, lock: LOCK}, APPLY);
  t.regex((await fleet.reported('FAILED', 'r2')).reason ?? '', /its lock is "other", not "aim_lock_config"/);
  const third = await fleet.announce(planOf({id: 'r3', epoch: 5}));
  await fleet.order({...third, epoch: 7}, APPLY);
  t.regex((await fleet.reported('FAILED', 'r3')).reason ?? '', /its epoch is 5, not 7/);
  t.is(readFileSync(place.file, 'utf8'), OLD);
});

test('an older roll-out that was signed once is not taken up again', async t => {
  const fleet = await TestFleet.start(t, store());
  const {place} = await fleet.node();
  const old = await fleet.announce(planOf());
  await fleet.order(old, APPLY);
  await fleet.applied();
  const next = await fleet.announce(planOf({id: 'r2', epoch: 3}, NEWER), {content: NEWER});
  await fleet.order(next, APPLY);
  await fleet.applied('r2');
  await fleet.order(old, {...APPLY, turn: 9});
  t.regex(
    (await fleet.reported('FAILED')).reason ?? '',
    /epoch 1 of r1 is not above 3, which this node has seen from r2/,
  );
  await fleet.order(old, {...ROLL_BACK, turn: 10});
  await fleet.reported('FAILED', 'r1', ({turn}) => turn === 10);
  t.is(readFileSync(place.file, 'utf8'), NEWER);
});

test('a roll-out that was rolled back is not applied again, nor another at an epoch that was given out', async t => {
  const fleet = await TestFleet.start(t, store());
  const {place, agent} = await fleet.node();
  const plan = await fleet.announce(planOf());
  await fleet.order(plan, APPLY);
  await fleet.applied();
  await fleet.order(plan, {...ROLL_BACK, turn: 2});
  await fleet.reported('ROLLED_BACK');
  await agent.end();
  await fleet.order(plan, {...APPLY, turn: 3});
  await fleet.node({}, {}, place);
  t.regex((await fleet.reported('FAILED')).reason ?? '', /epoch 1 of r1 is not above 2/);
  const twin = await fleet.announce(planOf({id: 'twin', epoch: 2}));
  await fleet.order(twin, APPLY);
  t.regex((await fleet.reported('FAILED', 'twin')).reason ?? '', /epoch 2 of twin is not above 2/);
  t.is(readFileSync(place.file, 'utf8'), OLD);
});

test('a node whose STATE was restored from an older backup knows by the stamp of the file what it has', async t => {
  const fleet = await TestFleet.start(t, store());
  const {place, agent} = await fleet.node();
  const first = await fleet.announce(planOf());
  await fleet.order(first, APPLY);
  await fleet.applied();
  const backup = join(place.directory, 'backup');
  cpSync(place.roots.state, backup, {recursive: true, preserveTimestamps: true});
  const second = await fleet.announce(planOf({id: 'r2', epoch: 3}, NEWER), {content: NEWER});
  await fleet.order(second, APPLY);
  await fleet.applied('r2');
  await agent.end();
  rmSync(join(place.roots.state, 'fleet'), {recursive: true});
  cpSync(join(backup, 'fleet'), join(place.roots.state, 'fleet'), {recursive: true});
  // Somebody brings the older order back.
  await fleet.order(first, {...APPLY, turn: 2});
  await fleet.node({}, {}, place);
  t.regex((await fleet.reported('FAILED')).reason ?? '', /epoch 1 of r1 is not above 3/);
  await fleet.delete(KEYS.report('r2', NODE));
  await fleet.order(second, {...APPLY, turn: 2});
  t.like(await fleet.applied('r2'), {sha256: hash(NEWER), epoch: 3});
  // What was there before is lost with the record: that is said, and nothing is guessed.
  await fleet.order(second, {...ROLL_BACK, turn: 3});
  t.regex(
    (await fleet.reported('FAILED', 'r2')).reason ?? '',
    /what was there before is not kept on this node/,
  );
  t.is(readFileSync(place.file, 'utf8'), NEWER);
});

test('where the file carries no stamp, the record of the node keeps an older roll-out away, also from the next agent', async t => {
  const fleet = await TestFleet.start(t, store());
  const {place, agent} = await fleet.node();
  const old = await fleet.announce(planOf());
  const next = await fleet.announce(planOf({id: 'r2', epoch: 3}, NEWER), {content: NEWER});
  await fleet.order(next, APPLY);
  await fleet.applied('r2');
  await agent.end();
  // As on a file system without extended attributes.
  rmSync(place.file);
  writeFileSync(place.file, NEWER);
  t.is(readStamped(place.file).origin, undefined);
  await fleet.order(old, APPLY);
  await fleet.node({}, {}, place);
  t.regex((await fleet.reported('FAILED')).reason ?? '', /epoch 1 of r1 is not above 3/);
  t.is(readFileSync(place.file, 'utf8'), NEWER);
});

test('a record of roll-outs that is torn keeps the node from all of them, and is told', async t => {
  const fleet = await TestFleet.start(t, store());
  const {place} = await fleet.node();
  await fleet.order(await fleet.announce(planOf()), APPLY);
  await fleet.applied();
  rmSync(join(place.roots.state, 'fleet', `${LOCK}.json`));
  cpSync(place.file, join(place.roots.state, 'fleet', `${LOCK}.json`));
  await fleet.order(await fleet.announce(planOf({id: 'r2', epoch: 3}, NEWER), {content: NEWER}), APPLY);
  t.regex(
    (await fleet.reported('FAILED', 'r2')).reason ?? '',
    /aim_lock_config\.json is not what Locksmith keeps there/,
  );
  t.is(readFileSync(place.file, 'utf8'), NEW);
});

test('health commands that nobody has signed are run only where that is allowed', async t => {
  const fleet = await TestFleet.start(t, store());
  const operators = {keys: [], atLeast: 0};
  const ran = join(scratch(t).directory, 'ran');
  const health = [{kind: 'command', command: `touch ${ran}`, within: 60_000} as const];
  const {place, agent} = await fleet.node({}, {operators});
  const plan = await fleet.announce(planOf({health}), {by: []});
  await fleet.order(plan, APPLY);
  t.regex(
    (await fleet.reported('FAILED')).reason ?? '',
    /r1 has a health command, and node-7 runs none that nobody has signed/,
  );
  t.is(readFileSync(place.file, 'utf8'), OLD);
  t.false(existsSync(ran));
  await agent.end();
  await fleet.node({}, {operators, unsignedCommands: true}, place);
  await fleet.applied();
  t.true(existsSync(ran));
});

test('a clock that is an hour off makes no difference', async t => {
  const fleet = await TestFleet.start(t, store());
  for (const [index, off] of [-3_600_000, 3_600_000, -1_700_000_000_000].entries()) {
    const node = `node-${index}`;
    const wrong = {...system(), now: () => Date.now() + off};
    const {place} = await fleet.node({system: wrong}, {node});
    const plan = await fleet.announce(planOf({id: `r${index}`, epoch: 2 * index + 1}));
    await fleet.order(plan, {...APPLY});
    await fleet.until(() => fleet.report(plan.id, node)?.health === 'passed');
    t.is(readFileSync(place.file, 'utf8'), NEW);
    await fleet.order(plan, {...ROLL_BACK, turn: 2});
    await fleet.until(() => fleet.report(plan.id, node)?.state === 'ROLLED_BACK');
    t.is(readFileSync(place.file, 'utf8'), OLD);
    t.true((await fleetEvents(place)).includes('applied'));
    t.is((await (await openScratch(place)).examine()).state, 'FREE');
  }
});
