/** Does the store keep the last roll-outs of each lock and no more, and nothing go that is still needed? */
import test, {type ExecutionContext} from 'ava';
import type {FleetAccess} from '../../lib/fleet/access.js';
import type {Order, RolloutState} from '../../lib/fleet/documents.js';
import type {Etcd} from '../../lib/fleet/etcd/etcd.js';
import {KEYS} from '../../lib/fleet/keys.js';
import {pruneRollouts} from '../../lib/fleet/prune-rollouts.js';
import {seal} from '../../lib/fleet/signing.js';
import {startRollout, type StartedRollout} from '../../lib/fleet/start-rollout.js';
import {sha256} from '../../lib/lock/update.js';
import {driverKey, REQUEST, testFleet, type TestFleet} from '../helpers/driven-fleet.js';
import {AT, FIRST, LOCK, ranked, report} from '../helpers/rollout.js';

const OTHER = 'another_lock';

async function begin(
  {access}: TestFleet,
  text: string,
  {lock = LOCK, keep = 20} = {},
): Promise<StartedRollout> {
  return startRollout(access, {...REQUEST, lock, content: Buffer.from(text)}, {keep});
}

async function put({access}: TestFleet, key: string, value: unknown): Promise<void> {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  await access.session.transact({when: [], then: [{put: key, value: text}]});
}

async function setPhase(fleet: TestFleet, id: string, phase: RolloutState['phase']): Promise<void> {
  await put(fleet, KEYS.state(id), {...FIRST, rollout: id, phase});
}

/** A node is registered that does nothing: orders here may be nonsense. */
async function quietFleet(t: ExecutionContext): Promise<TestFleet> {
  const fleet = await testFleet(t, []);
  const known = {v: 1, node: 'n1', machineId: null, version: '1', labels: {}, epochs: {}};
  await put(fleet, KEYS.node('n1'), {...known, bootId: 'b', locks: [LOCK], hot: [], since: AT});
  return fleet;
}

/** One that has ended, with all that there may be of it. */
async function ended(fleet: TestFleet, text: string, options?: {lock?: string; keep?: number}) {
  const {plan, pruned} = await begin(fleet, text, options);
  await setPhase(fleet, plan.id, 'stopped');
  await put(fleet, KEYS.report(plan.id, 'n1'), {...report('n1', 'PREPARED'), rollout: plan.id});
  await put(fleet, KEYS.command(plan.id, 1), 'a command');
  return {id: plan.id, pruned};
}

async function rollouts({access}: TestFleet): Promise<string[]> {
  const {items} = await access.etcd.list(KEYS.rollouts);
  return [...new Set(items.map(({key}) => key.split('/')[1] ?? ''))].toSorted();
}

/** Those of these contents that the store has. */
async function contents({access}: TestFleet, ...texts: string[]): Promise<string[]> {
  const {items} = await access.etcd.list('blobs/');
  return texts.filter(text => items.some(({key}) => key === KEYS.blob(sha256(Buffer.from(text)))));
}

/** A client in which something happens right after all roll-outs were listed. */
function afterList({access}: TestFleet, happens: () => Promise<unknown>): FleetAccess {
  const etcd: Pick<Etcd, 'list' | 'get'> = {
    list: async (...args) => {
      const listed = await access.etcd.list(...args);
      await happens();
      return listed;
    },
    get: (...args) => access.etcd.get(...args),
  };
  return {...access, etcd: etcd as Etcd};
}

test('roll-outs that a driver brings to their end are kept up to a number, and the content while one names it', async t => {
  const fleet = await testFleet(t, ranked(2));
  fleet.drive();
  const ids: string[] = [];
  for (let count = 0; count < 4; count++) {
    const {plan} = await startRollout(fleet.access, REQUEST, {keep: 2});
    t.is((await fleet.end(plan.id)).state?.phase, 'converged');
    ids.push(plan.id);
  }
  t.deepEqual(await rollouts(fleet), ids.slice(2).toSorted());
  t.not(await fleet.access.etcd.get(KEYS.blob(sha256(REQUEST.content))), undefined);
});

test('all of it goes, and the content that nobody names any more; other locks keep theirs', async t => {
  const fleet = await quietFleet(t);
  const elsewhere = await ended(fleet, 'shared', {lock: OTHER});
  const first = await ended(fleet, 'first');
  const second = await ended(fleet, 'shared');
  const third = await ended(fleet, 'third');
  t.deepEqual(third.pruned, {removed: []}, 'twenty are kept');
  const last = await begin(fleet, 'last', {keep: 2});
  t.deepEqual(last.pruned.removed, [first.id, second.id]);
  t.deepEqual(await rollouts(fleet), [elsewhere.id, third.id, last.plan.id].toSorted());
  t.deepEqual(await contents(fleet, 'first', 'shared', 'third', 'last'), ['shared', 'third', 'last']);
});

test('one that is under way stays, one that can not be read, and the one whose order is in force', async t => {
  const fleet = await quietFleet(t);
  const ids: string[] = [];
  for (const text of ['a', 'b', 'c', 'd']) ids.push((await ended(fleet, text)).id);
  const [paused = '', torn = '', ordered = '', old = ''] = ids;
  await setPhase(fleet, paused, 'paused');
  await put(fleet, KEYS.state(torn), '{');
  const order: Order = {
    v: 1,
    kind: 'order',
    fleet: 'test',
    rollout: ordered,
    lock: LOCK,
    epoch: 6,
    turn: 1,
    prepareUpTo: null,
    applyUpTo: null,
    rollBack: false,
  };
  await put(fleet, KEYS.order(LOCK), seal(order, [driverKey.signing]));
  const {pruned, plan} = await begin(fleet, 'e', {keep: 1});
  t.deepEqual(pruned.removed, [old]);
  t.deepEqual(await rollouts(fleet), [paused, torn, ordered, plan.id].toSorted());
  t.deepEqual(await contents(fleet, 'a', 'b', 'c', 'd'), ['a', 'b', 'c']);
});

test('what can not be removed is told, does not fail the start, and goes with a later one', async t => {
  const fleet = await quietFleet(t);
  const old = await ended(fleet, 'a');
  await put(fleet, KEYS.order(LOCK), 'nonsense');
  const {plan, pruned} = await begin(fleet, 'b', {keep: 1});
  t.deepEqual(pruned.removed, []);
  t.regex(pruned.problem ?? '', /now\/rollouts\/aim_lock_config in etcd is not what Locksmith writes/);
  t.deepEqual(await rollouts(fleet), [old.id, plan.id].toSorted());
  await fleet.access.session.transact({when: [], then: [{delete: KEYS.order(LOCK)}]});
  const signal = AbortSignal.abort(new Error('enough'));
  t.deepEqual(await pruneRollouts(fleet.access, LOCK, {keep: 1, signal}), {removed: [], problem: 'enough'});
  await setPhase(fleet, plan.id, 'converged');
  t.deepEqual((await begin(fleet, 'c', {keep: 2})).pruned, {removed: [old.id]});
});

test('a backlog goes bit by bit, the oldest first', async t => {
  const fleet = await quietFleet(t);
  const ids: string[] = [];
  for (let count = 0; count < 11; count++) ids.push((await ended(fleet, `content ${count}`)).id);
  t.deepEqual((await pruneRollouts(fleet.access, LOCK, {keep: 1})).removed, ids.slice(0, 8));
  t.deepEqual((await pruneRollouts(fleet.access, LOCK, {keep: 1})).removed, ids.slice(8, 10));
  t.deepEqual(await pruneRollouts(fleet.access, LOCK, {keep: 1}), {removed: []});
  t.deepEqual(await rollouts(fleet), ids.slice(10));
});

test('a content that somebody begins to roll out meanwhile stays', async t => {
  const fleet = await quietFleet(t);
  const old = await ended(fleet, 'a');
  await ended(fleet, 'b');
  const access = afterList(fleet, () => begin(fleet, 'a', {lock: OTHER}));
  const {removed, problem} = await pruneRollouts(access, LOCK, {keep: 1});
  t.deepEqual(removed, []);
  t.regex(problem ?? '', /started or removed meanwhile/);
  t.deepEqual(await contents(fleet, 'a', 'b'), ['a', 'b']);
  t.deepEqual((await pruneRollouts(fleet.access, LOCK, {keep: 1})).removed, [old.id]);
  t.deepEqual(await contents(fleet, 'a', 'b'), ['a', 'b'], 'the other one needs it');
});

test('of two that would both leave a content to the other, one is refused', async t => {
  const fleet = await quietFleet(t);
  for (const lock of [LOCK, OTHER]) {
    await ended(fleet, 'shared', {lock});
    await ended(fleet, `new of ${lock}`, {lock});
  }
  const access = afterList(fleet, () => pruneRollouts(fleet.access, OTHER, {keep: 1}));
  t.deepEqual((await pruneRollouts(access, LOCK, {keep: 1})).removed, []);
  t.deepEqual(await contents(fleet, 'shared'), ['shared']);
  t.is((await pruneRollouts(fleet.access, LOCK, {keep: 1})).removed.length, 1);
  t.deepEqual(await contents(fleet, 'shared'), []);
});
