/** Does a node reserve itself only for what is still in force, and from before it asked? */
import {mkdirSync} from 'node:fs';
import test, {type ExecutionContext} from 'ava';
import type {Etcd, KeyValue} from '../../lib/fleet/etcd/etcd.js';
import {prepare} from '../../lib/fleet/prepare.js';
import {taskOn, type TestTask} from '../helpers/fleet-task.js';
import {lateThen} from '../helpers/late.js';
import {NEW, openScratch, scratch} from '../helpers/scratch.js';

/** A task whose store has the content, and nothing else. */
async function prepared(t: ExecutionContext): Promise<TestTask> {
  const place = scratch(t);
  mkdirSync(place.roots.state);
  const task = taskOn(await openScratch(place));
  const get = () => Promise.resolve({value: Buffer.from(NEW)} as unknown as KeyValue);
  return {...task, parts: {...task.parts, etcd: {get} as unknown as Etcd}};
}

test('an order that is in force no more is not prepared for', async t => {
  const task = await prepared(t);
  const reason = new Error('another order is in force');
  t.is(await t.throwsAsync(prepare(task, () => Promise.reject(reason))), reason);
  t.deepEqual(
    task.reports.map(({state}) => state),
    ['SHADOWED'],
  );
});

test('a reservation counts from before the store was asked, however long that took', async t => {
  const task = await prepared(t);
  const begin = performance.now();
  const reservation = await prepare({...task, plan: {...task.plan, reservation: 100}}, () =>
    lateThen(() => performance.now() - begin > 2000),
  );
  t.is(reservation.remaining(), 0);
  t.throws(() => reservation.assertStanding(), {code: 'ERR_RESERVATION_OVER'});
});
