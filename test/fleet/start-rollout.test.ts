/** What is asked of a roll-out before it begins, and does it begin whole or not at all? */
import test from 'ava';
import {type ErrorCode, isLockError} from '../../lib/errors.js';
import {cosign} from '../../lib/fleet/signing.js';
import {KEYS} from '../../lib/fleet/keys.js';
import {listRollouts, readRollout} from '../../lib/fleet/rollout-view.js';
import {type RolloutRequest, startRollout} from '../../lib/fleet/start-rollout.js';
import {alice, keyPair, REQUEST, ScriptedNode, testFleet} from '../helpers/driven-fleet.js';
import {LOCK, ranked} from '../helpers/rollout.js';

const names = ranked(4);

const REFUSED: readonly (readonly [Partial<RolloutRequest>, ErrorCode, RegExp])[] = [
  [{content: Buffer.alloc(1024 * 1024 + 1)}, 'ERR_TOO_LARGE', /1048577 bytes, .* carries 1048576/],
  [{canary: 5}, 'ERR_COHORT', /the canary is to have 5 nodes, and 4 match any labels/],
  [{where: {site: 'b'}}, 'ERR_COHORT', /0 match site=b/],
  [{steps: [50, 20, 100]}, 'ERR_ARGUMENT', /ascending percentages above 0, not 50, 20, 100/],
  [{steps: [0, 100]}, 'ERR_ARGUMENT', /above 0/],
  [{steps: [10, 50]}, 'ERR_ARGUMENT', /the last step must be 100, not 50/],
  [{steps: []}, 'ERR_ARGUMENT', /the last step must be 100/],
  [{reservation: 999}, 'ERR_ARGUMENT', /a reservation lasts 1000 ms at least, not 999/],
  [{canary: 0}, 'ERR_ARGUMENT', /^LockError: canary: /],
  [{lock: 'a/b'}, 'ERR_ARGUMENT', /^LockError: lock: /],
];

test('what can not go well is refused before anything is written', async t => {
  const fleet = await testFleet(t, names);
  for (const [changes, code, text] of REFUSED) {
    const refusal = await t.throwsAsync(() => fleet.start(changes), undefined, code);
    t.true(isLockError(refusal, code), `${code}: ${String(refusal)}`);
    t.regex(String(refusal), text);
  }
  t.deepEqual(await listRollouts(fleet.access), []);
  t.is(await fleet.access.etcd.get(KEYS.epoch(LOCK)), undefined);
});

test('of one lock there is one roll-out at a time, however many are started at once', async t => {
  const fleet = await testFleet(t, names);
  const started = await Promise.allSettled([1, 2, 3].map(() => fleet.start()));
  const plans = started.flatMap(result => (result.status === 'fulfilled' ? [result.value] : []));
  t.is(plans.length, 1);
  const refusal = await t.throwsAsync(() => fleet.start());
  t.true(isLockError(refusal, 'ERR_ROLLOUT_ACTIVE'));
  t.regex(String(refusal), new RegExp(`${plans[0]?.id}, started by desk .* now preparing`));
  t.is((await fleet.start({lock: 'another'})).epoch, 2);
  t.is((await listRollouts(fleet.access)).length, 2);
});

test('an operator without a key that the fleet trusts starts nothing, and is told what is missing', async t => {
  const fleet = await testFleet(t, names);
  const mallory = keyPair('mallory');
  for (const [sign, text] of [
    [undefined, /signed by one of alice: the fleet file of this machine names no key/],
    [mallory.signing, /the key mallory of this machine is none of those/],
    [{...mallory.signing, name: 'alice'}, /the key alice of this machine is none of those/],
  ] as const) {
    const access = {...fleet.access, config: {...fleet.access.config, sign}};
    const refusal = await t.throwsAsync(() => startRollout(access, REQUEST));
    t.true(isLockError(refusal, 'ERR_SIGNATURE'));
    t.regex(String(refusal), text);
  }
});

test('where two have to sign, the plan waits for the second one', async t => {
  const bob = keyPair('bob');
  const operators = {keys: [alice.trusted, bob.trusted], atLeast: 2};
  const fleet = await testFleet(t, names, {operators});
  const alone = await t.throwsAsync(() => fleet.start());
  t.true(isLockError(alone, 'ERR_SIGNATURE'));
  t.deepEqual(await listRollouts(fleet.access), []);
  fleet.drive();
  const {plan} = await startRollout(fleet.access, REQUEST, {
    approve: async envelope => cosign(envelope, 'plan', bob.signing),
  });
  t.is((await fleet.end(plan.id)).state?.phase, 'converged');
});

test('a plan that waited for its approval while another roll-out came is not started any more', async t => {
  const fleet = await testFleet(t, names, {operators: {keys: [alice.trusted], atLeast: 2}});
  const approve = async <T>(envelope: T) => {
    const one = {...fleet.access.config, operators: {keys: [alice.trusted], atLeast: 1}};
    await startRollout({...fleet.access, config: one}, REQUEST);
    return envelope;
  };
  const refusal = await t.throwsAsync(() => startRollout(fleet.access, REQUEST, {approve}));
  t.true(isLockError(refusal, 'ERR_ROLLOUT_ACTIVE'));
  t.is((await listRollouts(fleet.access)).length, 1);
});

test('epochs go up also when the store knows less than the nodes', async t => {
  const fleet = await testFleet(t, names.slice(1));
  await ScriptedNode.join(fleet.access.etcd, names[0] ?? '', undefined, {[LOCK]: 41});
  t.is((await fleet.start()).epoch, 43);
});

test('a roll-out that nobody drives waits', async t => {
  const fleet = await testFleet(t, names);
  const {id, by} = await fleet.start();
  const {state, history, problems} = await readRollout(fleet.access, id);
  t.like(state, {phase: 'preparing', turn: 0, prepareUpTo: null, heard: 0});
  t.deepEqual(
    history.map(({event, detail}) => [event, detail]),
    [['started', 'epoch 2: a test']],
  );
  t.is(by.pid, process.pid);
  t.deepEqual(problems, []);
  t.like(await t.throwsAsync(() => readRollout(fleet.access, 'none')), {code: 'ERR_UNKNOWN_ROLLOUT'});
});
