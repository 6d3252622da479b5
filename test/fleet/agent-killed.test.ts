/** What if an agent is killed or stopped at any step? The file is old or new, and whoever comes next finishes what the order in force asks. */
import {existsSync, readdirSync, readFileSync, statSync} from 'node:fs';
import {dirname} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {isLockError} from '../../lib/errors.js';
import {NEW, OLD, openScratch, type Scratch, scratch} from '../helpers/scratch.js';
import {lateThen} from '../helpers/late.js';
import {awaitStopped} from '../helpers/proc-state.js';
import {APPLY, fleetEvents, fleetRecords, planOf, ROLL_BACK, storeFor, TestFleet} from '../helpers/fleet.js';

const store = storeFor(test);

const LOCK_STEPS = ['acquiring', 'acquired', 'committing', 'committed', 'releasing', 'released'] as const;
const APPLY_STEPS = [
  'fleet-taken-up',
  'fleet-prepared',
  'fleet-applying',
  ...LOCK_STEPS,
  'fleet-applied',
  'fleet-health',
];
const BACK_STEPS = ['fleet-rolling-back', ...LOCK_STEPS, 'fleet-rolled-back'];

async function assertClean(t: ExecutionContext, place: Scratch, content: string): Promise<void> {
  t.is(readFileSync(place.file, 'utf8'), content);
  t.is((await (await openScratch(place)).examine()).state, 'FREE');
  t.deepEqual(readdirSync(dirname(place.file)), ['aim_lock_config.conf']);
}

for (const killAt of APPLY_STEPS) {
  test.serial(
    `killed at ${killAt} of an apply, the next agent has it applied, and by one rename`,
    async t => {
      const fleet = await TestFleet.start(t, store());
      const place = scratch(t);
      await fleet.order(await fleet.announce(planOf()), APPLY);
      t.is((await fleet.program(t, place, {killAt}).ended).signal, 'SIGKILL');
      const content = readFileSync(place.file, 'utf8');
      t.true(content === OLD || content === NEW);
      const {ino} = statSync(place.file);
      await fleet.node({}, {}, place);
      await fleet.applied();
      if (content === NEW) t.is(statSync(place.file).ino, ino);
      await assertClean(t, place, NEW);
      t.true((await fleetEvents(place)).includes('applied'));
    },
  );

  test.serial(
    `killed at ${killAt} of an apply, the next agent undoes it when that is the order by then`,
    async t => {
      const fleet = await TestFleet.start(t, store());
      const place = scratch(t);
      const plan = await fleet.announce(planOf());
      await fleet.order(plan, APPLY);
      await fleet.program(t, place, {killAt}).ended;
      await fleet.order(plan, {...ROLL_BACK, turn: 2});
      await fleet.node({}, {}, place);
      await fleet.reported('ROLLED_BACK');
      await assertClean(t, place, OLD);
    },
  );
}

for (const killAt of BACK_STEPS) {
  test.serial(`killed at ${killAt} of a roll-back, the next agent finishes it`, async t => {
    const fleet = await TestFleet.start(t, store());
    const {place, agent} = await fleet.node();
    const plan = await fleet.announce(planOf());
    await fleet.order(plan, APPLY);
    await fleet.applied();
    await agent.end();
    await fleet.order(plan, {...ROLL_BACK, turn: 2});
    t.is((await fleet.program(t, place, {killAt}).ended).signal, 'SIGKILL');
    await fleet.node({}, {}, place);
    await fleet.reported('ROLLED_BACK');
    await assertClean(t, place, OLD);
  });
}

test.serial('an orphan of an agent is taken back although no order is in force any more', async t => {
  const fleet = await TestFleet.start(t, store());
  const place = scratch(t);
  const plan = await fleet.announce(planOf());
  await fleet.order(plan, APPLY);
  await fleet.program(t, place, {killAt: 'committing'}).ended;
  t.is((await (await openScratch(place)).examine()).state, 'DEAD');
  await fleet.delete('now/rollouts/aim_lock_config');
  await fleet.node({}, {}, place);
  await assertClean(t, place, OLD);
});

test.serial('an orphan of an agent is taken back although etcd is away', async t => {
  const fleet = await TestFleet.start(t, store());
  const place = scratch(t);
  await fleet.order(await fleet.announce(planOf()), APPLY);
  await fleet.program(t, place, {killAt: 'committing'}).ended;
  const etcd = {endpoints: ['http://127.0.0.1:1'], prefix: '/away/', timeout: 300};
  const refusal = await t.throwsAsync(fleet.node({}, {etcd}, place));
  t.true(isLockError(refusal, 'ERR_STORE_UNREACHABLE'), String(refusal));
  await assertClean(t, place, OLD);
});

test.serial(
  'an agent that was stopped right before its rename, over its reservation, renames nothing, and prepares anew',
  async t => {
    const fleet = await TestFleet.start(t, store());
    const place = scratch(t);
    const plan = await fleet.announce(planOf({reservation: 2000}));
    await fleet.order(plan, APPLY);
    const agent = fleet.program(t, place, {stopAt: 'committing'});
    await agent.reaches('committing');
    await awaitStopped(agent.pid);
    await lateThen(() => readdirSync(dirname(place.file)).length === 1);
    t.is(readFileSync(place.file, 'utf8'), OLD);
    t.is((await (await openScratch(place)).examine()).state, 'FROZEN');
    agent.child.kill('SIGCONT');
    await fleet.applied();
    await assertClean(t, place, NEW);
    const reasons = (await fleetRecords(place))
      .filter(({event}) => event === 'fleet-refused')
      .map(({reason}) => String(reason));
    t.true(reasons.some(reason => /was over before the rename/.test(reason)));
  },
);

test.serial(
  'an agent that was stopped over its reservation does not take up what is in force no more',
  async t => {
    const fleet = await TestFleet.start(t, store());
    const place = scratch(t);
    const plan = await fleet.announce(planOf({reservation: 2000}));
    await fleet.order(plan, APPLY);
    const agent = fleet.program(t, place, {stopAt: 'committing', ttl: 5});
    await agent.reaches('committing');
    await awaitStopped(agent.pid);
    await lateThen(() => readdirSync(dirname(place.file)).length === 1);
    // The fleet has given it up meanwhile.
    await fleet.order(plan, {...ROLL_BACK, turn: 2});
    agent.child.kill('SIGCONT');
    await fleet.reported('ROLLED_BACK');
    await assertClean(t, place, OLD);
    t.false((await fleetEvents(place)).includes('applied'));
  },
);

test.serial('an agent that goes on within its reservation applies', async t => {
  const fleet = await TestFleet.start(t, store());
  const place = scratch(t);
  await fleet.order(await fleet.announce(planOf()), APPLY);
  const agent = fleet.program(t, place, {stopAt: 'committing'});
  await agent.reaches('committing');
  await awaitStopped(agent.pid);
  agent.child.kill('SIGCONT');
  await fleet.applied();
  await assertClean(t, place, NEW);
  t.false((await fleetEvents(place)).includes('refused'));
  agent.child.stdin.end();
  t.is((await agent.ended).code, 0);
  t.true(existsSync(place.file));
});
