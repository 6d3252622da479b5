/** Does a driver bring roll-outs to their end, with nodes that answer, refuse, fail and fall silent? On a real store. */
import test from 'ava';
import {isLockError} from '../../lib/errors.js';
import {type Order, order} from '../../lib/fleet/documents.js';
import {KEYS} from '../../lib/fleet/keys.js';
import {commandRollout} from '../../lib/fleet/command-rollout.js';
import {type RolloutView, readFleet, readRollout} from '../../lib/fleet/rollout-view.js';
import {unseal} from '../../lib/fleet/signing.js';
import {driverKey, good, keyPair, ScriptedNode, type TestFleet, testFleet} from '../helpers/driven-fleet.js';
import {CONTENT, HASH, LOCK, ranked} from '../helpers/rollout.js';

const names = ranked(4);
const [first = '', next = '', third = ''] = names;
const EVERYBODY = 'f'.repeat(16);
function events({history}: RolloutView): string[] {
  return history.map(({event}) => event);
}

async function orderInForce({access}: TestFleet): Promise<Order> {
  const entry = await access.etcd.get(KEYS.order(LOCK));
  return unseal<Order>(order, entry?.value ?? '', 'the order', {keys: [driverKey.trusted], atLeast: 1});
}

function nodeIn({nodes}: TestFleet, name: string): ScriptedNode {
  const node = nodes.get(name);
  if (!node) throw new Error(`no node ${name}`);
  return node;
}

test('a roll-out goes from the canary over its steps to all nodes', async t => {
  const fleet = await testFleet(t, names);
  fleet.drive();
  const plan = await fleet.start();
  const end = await fleet.end(plan.id);
  t.is(end.state?.phase, 'converged');
  t.deepEqual(
    end.cohorts.map(cohort => cohort.nodes.length),
    [1, 1, 2],
  );
  t.like(end.counts, {APPLIED: 4, SILENT: 0});
  t.deepEqual(
    end.nodes.map(({node, cohort, sha256, epoch, health}) => ({node, cohort, sha256, epoch, health})),
    names.map((node, index) => ({
      node,
      cohort: Math.min(index, 2),
      sha256: HASH,
      epoch: 2,
      health: 'passed',
    })),
  );
  const cohort = ['preparing', 'applying', 'passed'];
  t.deepEqual(events(end), ['started', 'driven', ...cohort, ...cohort, ...cohort, 'converged']);
  t.deepEqual(
    end.history.map(({seq}) => seq),
    end.history.map((_, index) => index + 1),
  );
  t.deepEqual(end.problems, []);
  t.like(await orderInForce(fleet), {
    applyUpTo: EVERYBODY,
    prepareUpTo: EVERYBODY,
    rollBack: false,
    epoch: 2,
  });
  t.deepEqual((await fleet.access.etcd.get(KEYS.blob(HASH)))?.value, CONTENT);
});

test('a node was never told to apply before it and all before it were prepared', async t => {
  const fleet = await testFleet(t, names);
  fleet.drive();
  await fleet.end((await fleet.start({maxUnavailable: 1})).id);
  const node = nodeIn(fleet, first);
  await node.heard(({applyUpTo}) => applyUpTo === EVERYBODY);
  const reaches = node.orders.map(({applyUpTo, prepareUpTo}) => [applyUpTo ?? '', prepareUpTo ?? '']);
  for (const [apply = '', prepare = ''] of reaches) t.true(apply <= prepare);
  // Canary, one more, then two that go one after the other; and the last order, for everybody.
  t.is(new Set(reaches.map(([apply]) => apply)).size, 6);
});

test('a lock mismatch pauses the roll-out; when the node can, a promotion goes on', async t => {
  const fleet = await testFleet(t, names);
  const node = nodeIn(fleet, first);
  node.script = () => ({
    state: 'REFUSED_HOT',
    reason: 'lock mismatch: aim_lock_config HOT (ALIVE: pid 71)',
    owner: {pid: 71},
  });
  fleet.drive();
  const {id} = await fleet.start();
  const paused = await fleet.until(id, ({state}) => state?.phase === 'paused');
  t.regex(paused.state?.reason ?? '', new RegExp(`^lock mismatch: ${first} REFUSED_HOT .*pid 71`));
  t.like(paused.nodes[0], {node: first, state: 'REFUSED_HOT', owner: {pid: 71}});
  node.script = good;
  await node.say({state: 'PREPARED'});
  await fleet.command(id, 'promote');
  const end = await fleet.end(id);
  t.is(end.state?.phase, 'converged');
  t.deepEqual(events(end).slice(0, 6), ['started', 'driven', 'preparing', 'paused', 'promoted', 'applying']);
});

test('a node that fails rolls back all that have applied, at the epoch above; the next roll-out comes above that', async t => {
  const fleet = await testFleet(t, names);
  const node = nodeIn(fleet, next);
  node.script = (asked, told) =>
    asked === 'apply'
      ? {state: 'APPLIED', sha256: HASH, health: 'failed', reason: 'gain too high'}
      : good(asked, told);
  fleet.drive();
  const {id} = await fleet.start();
  const end = await fleet.end(id);
  t.is(end.state?.phase, 'rolled-back');
  t.regex(end.state?.reason ?? '', new RegExp(`1 node failed, 0 may: ${next} APPLIED \\(gain too high\\)`));
  t.like(end.counts, {ROLLED_BACK: 2, PENDING: 2});
  t.like(await orderInForce(fleet), {rollBack: true, epoch: 2});
  t.deepEqual(events(end).slice(-2), ['rolling-back', 'rolled-back']);
  node.script = good;
  const again = await fleet.start();
  t.is(again.epoch, 4);
  t.is((await fleet.end(again.id)).state?.phase, 'converged');
});

test('silence counts as failure: before anybody applied the roll-out stops, and names who was silent', async t => {
  const fleet = await testFleet(t, names);
  nodeIn(fleet, first).script = () => undefined;
  fleet.drive();
  const end = await fleet.end((await fleet.start({prepareWithin: 300})).id);
  t.is(end.state?.phase, 'stopped');
  t.like(end.state?.named[0], {node: first, state: 'SILENT'});
  t.is(end.nodes[0]?.state, 'SILENT');
  t.like(await orderInForce(fleet), {prepareUpTo: null, applyUpTo: null, rollBack: false});
});

test('a node whose lease ends while it applies is rolled back in its absence, and named', async t => {
  const fleet = await testFleet(t, names);
  const node = nodeIn(fleet, next);
  node.script = (asked, told) => (asked === 'apply' ? undefined : good(asked, told));
  fleet.drive();
  const {id} = await fleet.start({applyWithin: 10_000});
  await fleet.until(id, ({state, cohorts}) => (state?.applyUpTo ?? '') >= (cohorts[1]?.upTo ?? EVERYBODY));
  await node.fallSilent();
  const end = await fleet.end(id);
  t.is(end.state?.phase, 'rolled-back');
  t.deepEqual(
    end.nodes.slice(0, 2).map(({state}) => state),
    ['ROLLED_BACK', 'SILENT'],
  );
  t.like(end.state?.named[0], {node: next, state: 'SILENT'});
  t.like(await orderInForce(fleet), {rollBack: true});
});

test('failures that may be are left behind, and the roll-out goes on', async t => {
  const fleet = await testFleet(t, names);
  nodeIn(fleet, third).script = () => ({state: 'FAILED', reason: 'the validator says no'});
  fleet.drive();
  const end = await fleet.end((await fleet.start({maxFailed: 1})).id);
  t.is(end.state?.phase, 'converged');
  t.like(end.state?.named[0], {node: third, state: 'FAILED', reason: 'the validator says no'});
  t.true(events(end).includes('left-behind'));
});

test('a health that nobody can tell pauses; who promotes has accepted it', async t => {
  const fleet = await testFleet(t, names);
  nodeIn(fleet, first).script = (asked, told) =>
    asked === 'apply' ? {...good(asked, told), state: 'APPLIED', health: 'inconclusive'} : good(asked, told);
  fleet.drive();
  const {id} = await fleet.start();
  const paused = await fleet.until(id, ({state}) => state?.phase === 'paused');
  t.regex(paused.state?.reason ?? '', /^health inconclusive: /);
  await fleet.command(id, 'promote');
  t.is((await fleet.end(id)).state?.phase, 'converged');
});

test('an operator pauses, promotes and aborts; who has said it is in the history', async t => {
  const fleet = await testFleet(t, names);
  const node = nodeIn(fleet, next);
  node.script = () => undefined;
  fleet.drive();
  const {id} = await fleet.start();
  await fleet.until(id, ({state}) => state?.cohort === 1);
  await fleet.command(id, 'pause');
  await fleet.until(id, ({state}) => state?.phase === 'paused');
  await fleet.command(id, 'promote');
  await fleet.until(id, ({state}) => state?.phase === 'preparing');
  await fleet.command(id, 'abort');
  const end = await fleet.end(id);
  t.is(end.state?.phase, 'rolled-back');
  t.regex(end.state?.reason ?? '', /^aborted by desk \(uid \d+, pid \d+\): because$/);
  t.deepEqual(events(end).slice(-5), ['paused', 'promoted', 'aborted', 'rolling-back', 'rolled-back']);
  t.regex(end.history.find(({event}) => event === 'aborted')?.by ?? '', /^desk \(uid/);
  const late = await t.throwsAsync(() => fleet.command(id, 'abort'));
  t.true(isLockError(late, 'ERR_ROLLOUT_ENDED'));
  const unknown = await t.throwsAsync(() => fleet.command('nothing', 'abort'));
  t.true(isLockError(unknown, 'ERR_UNKNOWN_ROLLOUT'));
});

test('two commands at once are both heard, one after the other', async t => {
  const fleet = await testFleet(t, names);
  nodeIn(fleet, first).script = () => undefined;
  const {id} = await fleet.start();
  const said = await Promise.all([fleet.command(id, 'pause'), fleet.command(id, 'pause')]);
  t.deepEqual(
    said.map(({seq}) => seq).toSorted((one, other) => one - other),
    [1, 2],
  );
  fleet.drive();
  const view = await fleet.until(id, ({state}) => state?.heard === 2);
  t.deepEqual(events(view).slice(-2), ['paused', 'ignored']);
});

test('commands and plans that no operator has signed are told once, and nobody follows them', async t => {
  const fleet = await testFleet(t, names);
  const mallory = keyPair('mallory');
  nodeIn(fleet, first).script = () => undefined;
  const {id} = await fleet.start();
  const forger = {...fleet.access.config, operators: {keys: [], atLeast: 1}, sign: mallory.signing};
  await commandRollout({...fleet.access, config: forger}, id, 'abort', 'mine');
  const older = await fleet.start({lock: 'other'});
  await fleet.command(older.id, 'abort');
  // It is well signed, for another roll-out.
  const stolen = await fleet.access.etcd.get(KEYS.command(older.id, 1));
  await fleet.access.session.transact({
    when: [],
    then: [{put: KEYS.command(id, 2), value: stolen?.value ?? ''}],
  });
  const driver = fleet.drive();
  const view = await fleet.until(id, ({state}) => state?.heard === 2);
  t.is(view.state?.phase, 'preparing');
  const refused = view.history.filter(({event}) => event === 'command-refused');
  t.regex(refused[0]?.detail ?? '', /signed by nobody who is trusted here, needed: 1 of alice/);
  t.regex(refused[1]?.detail ?? '', /it was signed for the roll-out .*, not for/);
  await driver.stop();
});

test('a plan that no operator has signed stands still, and says so once, whoever drives', async t => {
  const fleet = await testFleet(t, names);
  const {id} = await fleet.start();
  const plan = await fleet.access.etcd.get(KEYS.plan(id));
  const {document} = JSON.parse(plan?.value.toString() ?? '') as {document: string};
  const forged = JSON.stringify({document: document.replace(HASH, '0'.repeat(64)), signatures: []});
  await fleet.access.session.transact({when: [], then: [{put: KEYS.plan(id), value: forged}]});
  for (const told of ['step', 'trouble']) {
    const driver = fleet.drive();
    await driver.tells(told);
    const {problem} = await driver.tells('trouble');
    t.regex(String(problem), /signed by nobody who is trusted here/);
    await driver.stop();
  }
  const view = await readRollout(fleet.access, id);
  t.deepEqual(events(view), ['started', 'plan-refused']);
  t.is(view.state?.turn, 0);
});

test('nobody drives without a key whose orders nodes would follow', async t => {
  const fleet = await testFleet(t, []);
  for (const key of [undefined, keyPair('mallory').signing]) {
    const config = {...fleet.access.config, drive: key};
    const refusal = await t.throwsAsync(() => fleet.drive({config}).tells('leading'));
    t.true(isLockError(refusal, 'ERR_SIGNATURE'));
    t.regex(String(refusal), /orders have to be signed by one of driver-1/);
  }
});

test('a node that joins later takes part by its rank', async t => {
  const fleet = await testFleet(t, [first, next]);
  nodeIn(fleet, first).script = () => undefined;
  fleet.drive();
  const {id} = await fleet.start();
  await fleet.until(id, ({state}) => state?.turn === 1);
  await ScriptedNode.join(fleet.access.etcd, third);
  nodeIn(fleet, first).script = good;
  await nodeIn(fleet, first).say({state: 'PREPARED'});
  const end = await fleet.end(id);
  t.like(end.counts, {APPLIED: 3});
});

test('the fleet shows who leads, who is silent, and its roll-outs', async t => {
  const fleet = await testFleet(t, [first, next]);
  const driver = fleet.drive();
  await driver.tells('leading');
  const {id} = await fleet.start();
  await fleet.end(id);
  await nodeIn(fleet, next).fallSilent();
  const view = await readFleet(fleet.access);
  t.is(view.leader?.by.pid, process.pid);
  t.deepEqual(Object.fromEntries(view.nodes.map(({node, silent}) => [node, silent])), {
    [first]: false,
    [next]: true,
  });
  t.like(view.rollouts[0], {id, active: false, state: {phase: 'converged'}});
  t.deepEqual(view.problems, []);
  await fleet.access.session.transact({when: [], then: [{put: KEYS.state(id), value: '{'}]});
  t.regex(
    (await readFleet(fleet.access)).problems.join(),
    /state in etcd is not what Locksmith writes there/,
  );
});
