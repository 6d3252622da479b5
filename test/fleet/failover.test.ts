/** What becomes of a roll-out when its driver is killed, stopped for a while, or cut off from the store? */
import test, {type ExecutionContext} from 'ava';
import {isLockError} from '../../lib/errors.js';
import {KEYS} from '../../lib/fleet/keys.js';
import {readFleet, type RolloutView} from '../../lib/fleet/rollout-view.js';
import type {EtcdOptions} from '../../lib/fleet/etcd/etcd.js';
import {alice, drive, driverKey, good, type TestFleet, testFleet} from '../helpers/driven-fleet.js';
import {fixture} from '../helpers/native.js';
import {startProgram} from '../helpers/program.js';
import {LOCK, ranked} from '../helpers/rollout.js';
import type {Started} from '../helpers/started.js';
import {TcpProxy} from '../helpers/tcp-proxy.js';

/** Seconds: a slow machine must keep it meanwhile, and each test waits until it is over. */
const TTL = 8;
const names = ranked(4);
const [, next = ''] = names;

function startDriver(t: ExecutionContext, {options}: TestFleet): Started {
  const {privateKey, publicKey} = driverKey;
  const given = {options, node: 'gone', ttl: TTL, driver: {privateKey, publicKey}, operator: alice.publicKey};
  return startProgram(t, process.execPath, fixture('drive'), JSON.stringify(given));
}

/** A roll-out whose second cohort does not answer, driven by another process. */
async function begin(t: ExecutionContext): Promise<{fleet: TestFleet; driver: Started; id: string}> {
  const fleet = await testFleet(t, names);
  const node = fleet.nodes.get(next);
  if (node) node.script = () => undefined;
  const driver = startDriver(t, fleet);
  t.true(await driver.reaches('"leading"'));
  const {id} = await fleet.start();
  await fleet.until(id, ({state}) => state?.cohort === 1);
  return {fleet, driver, id};
}

/** The node that did not answer does now. */
async function goOn({nodes}: TestFleet): Promise<void> {
  const node = nodes.get(next);
  if (!node) throw new Error('there is no such node');
  node.script = good;
  await node.say({state: 'PREPARED'});
}

function drivenBy({history}: RolloutView): string[] {
  return history.filter(({event}) => event === 'driven').map(({by}) => by.split(' ')[0] ?? '');
}

/** No number is missing or twice, and each phase follows from the one before. */
function checkHistory(t: ExecutionContext, {history}: RolloutView): void {
  t.deepEqual(
    history.map(({seq}) => seq),
    history.map((_, index) => index + 1),
  );
  const cohort = ['preparing', 'applying', 'passed'];
  t.deepEqual(
    history.filter(({event}) => event !== 'driven').map(({event}) => event),
    ['started', ...cohort, ...cohort, ...cohort, 'converged'],
  );
}

/** When each key that only drivers write was written. */
async function written({access}: TestFleet, id: string): Promise<Record<string, number>> {
  const {items} = await access.etcd.list(KEYS.rollout(id));
  const order = await access.etcd.get(KEYS.order(LOCK));
  const all = [...items, ...(order ? [order] : [])].filter(({key}) => !key.startsWith(KEYS.reports(id)));
  return Object.fromEntries(all.map(({key, modRevision}) => [key, modRevision]));
}

test('another driver takes over from one that was killed, where it was', async t => {
  const {fleet, driver, id} = await begin(t);
  const other = fleet.drive({}, TTL);
  await other.tells('campaigning');
  driver.child.kill('SIGKILL');
  await other.tells('leading');
  await goOn(fleet);
  const end = await fleet.end(id);
  t.deepEqual(drivenBy(end), ['gone', 'desk']);
  t.regex(end.history.findLast(({event}) => event === 'driven')?.detail ?? '', /starts anew$/);
  checkHistory(t, end);
});

test('a driver that was stopped, and goes on when another leads, writes nothing', async t => {
  const {fleet, driver, id} = await begin(t);
  const other = fleet.drive({}, TTL);
  await other.tells('campaigning');
  driver.child.kill('SIGSTOP');
  await other.tells('leading');
  // What it would decide on, as soon as it goes on.
  await goOn(fleet);
  const end = await fleet.end(id);
  const before = await written(fleet, id);
  driver.child.kill('SIGCONT');
  t.true(await driver.reaches('"lost"'));
  t.true(await driver.reaches('"campaigning"'));
  t.deepEqual(await written(fleet, id), before);
  t.deepEqual(drivenBy(end), ['gone', 'desk']);
  checkHistory(t, end);
  t.is((await readFleet(fleet.access)).leader?.by.node, 'desk');
  await other.stop();
  t.true(await driver.reaches('"leading"'));
});

test('a leader that is cut off from the store stops driving, and comes back when it can', async t => {
  const fleet = await testFleet(t, names);
  const proxy = await TcpProxy.to(t, fleet.etcd.members[0]?.port ?? 0);
  const behind: EtcdOptions = {...fleet.options, endpoints: [proxy.endpoint]};
  const etcd = await fleet.etcd.connect(behind);
  const cut = drive(t, {...fleet.access, etcd}, TTL);
  await cut.tells('leading');
  const node = fleet.nodes.get(next);
  if (node) node.script = () => undefined;
  const {id} = await fleet.start();
  await fleet.until(id, ({state}) => state?.cohort === 1);
  proxy.blackHole();
  const other = fleet.drive({}, TTL);
  // The second one when it was cut off in the middle of a write.
  const {error} = await cut.tells('lost');
  t.true(isLockError(error, 'ERR_SESSION_LOST') || isLockError(error, 'ERR_OUTCOME_UNKNOWN'));
  await other.tells('leading');
  const since = cut.events.length;
  await goOn(fleet);
  checkHistory(t, await fleet.end(id));
  t.false(cut.events.slice(since).some(({event}) => event === 'step'));
  proxy.cut();
  proxy.pass();
  await cut.tells('campaigning');
  await other.stop();
  const {id: again} = await fleet.start();
  t.is((await fleet.end(again)).state?.phase, 'converged');
});

test('a leader whose key was removed by hand drives no more', async t => {
  const fleet = await testFleet(t, names);
  const one = fleet.drive();
  await one.tells('leading');
  const two = fleet.drive();
  await two.tells('campaigning');
  await fleet.access.session.transact({when: [], then: [{delete: KEYS.leader}]});
  await two.tells('leading');
  const end = await fleet.end((await fleet.start()).id);
  checkHistory(t, end);
  await one.tells('lost');
  t.false(one.events.some(({event}) => event === 'step'));
});

test('several drivers at once drive a roll-out as one', async t => {
  const fleet = await testFleet(t, names);
  const drivers = [1, 2, 3, 4].map(() => fleet.drive());
  const end = await fleet.end((await fleet.start()).id);
  checkHistory(t, end);
  t.is(drivers.filter(({events}) => events.some(({event}) => event === 'leading')).length, 1);
});
