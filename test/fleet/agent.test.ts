/** Does the fleet see a node as it is, and only that one under its name? */
import {setTimeout as pause} from 'node:timers/promises';
import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import test from 'ava';
import {Agent} from '../../lib/fleet/agent.js';
import {KEYS} from '../../lib/fleet/keys.js';
import {system} from '../../lib/os/system.js';
import {openConfigLock} from '../../lib/recovery/guarded-config.js';
import {actor} from '../helpers/actor.js';
import {orphan} from '../helpers/orphan.js';
import {NEW, openScratch, scratch} from '../helpers/scratch.js';
import {APPLY, LOCK, NODE, planOf, PREPARE, storeFor, TestFleet} from '../helpers/fleet.js';

const store = storeFor(test);

test('a node says who it is, and is known when it has gone', async t => {
  const fleet = await TestFleet.start(t, store());
  const {agent} = await fleet.node({}, {labels: {zone: 'a'}});
  const {machineId = null, bootId} = system();
  const ours = {v: 1, node: NODE, machineId, version: '0.0.0', labels: {zone: 'a'}, epochs: {}} as const;
  const seen = await fleet.until(() => fleet.registration());
  t.like(seen, {...ours, bootId, locks: [LOCK], hot: []});
  await agent.end();
  await fleet.until(() => !fleet.registration());
  const known = await fleet.etcd.get(KEYS.knownNode(NODE));
  t.deepEqual(JSON.parse(String(known?.value)), ours);
});

test('a lock that comes, is HOT, or is left by the dead shows in the registration, with its owner', async t => {
  const fleet = await TestFleet.start(t, store());
  const {place} = await fleet.node();
  const owned = await (await openScratch(place)).acquire({purpose: 'nightly'});
  const hot = await fleet.until(() => fleet.registration()?.hot[0]);
  t.like(hot, {lock: LOCK, state: 'ALIVE', owner: {pid: process.pid, purpose: 'nightly'}});
  await owned.release();
  await fleet.until(() => fleet.registration()?.hot.length === 0);
  const owner = await actor(t, place);
  await owner.do('begin-update', {content: NEW});
  await fleet.until(() => fleet.registration()?.hot[0]?.state === 'ALIVE');
  await owner.kill();
  const ghost = await fleet.until(() => fleet.registration()?.hot.find(({state}) => state === 'DEAD'));
  t.is(ghost.owner?.pid, owner.pid);
  await openConfigLock(join(place.directory, 'etc', 'aim_lock_config.conf'), place.roots);
  const other = scratch(t);
  await openConfigLock(other.file, {...place.roots, name: 'another'});
  await fleet.until(() => fleet.registration()?.locks.includes('another'));
});

test('a ghost from before the agent shows at once', async t => {
  const fleet = await TestFleet.start(t, store());
  const {place, owner} = await orphan(t);
  await fleet.node({}, {}, place);
  const {hot} = await fleet.until(() => fleet.registration());
  t.like(hot[0], {state: 'DEAD', owner: {pid: owner.pid}});
});

test('what a node has seen of epochs shows', async t => {
  const fleet = await TestFleet.start(t, store());
  await fleet.node();
  await fleet.order(await fleet.announce(planOf({epoch: 5})), PREPARE);
  await fleet.until(() => fleet.registration()?.epochs[LOCK] === 5);
  t.pass();
});

test('another machine, or another boot, does not get the name of a node that lives', async t => {
  const fleet = await TestFleet.start(t, store());
  await fleet.node();
  for (const changes of [{machineId: 'f'.repeat(32)}, {bootId: '00000000-0000-0000-0000-000000000000'}]) {
    const other = scratch(t);
    await openScratch(other);
    const options = fleet.options(other, {system: {...system(), ...changes}});
    await t.throwsAsync(Agent.start(options), {
      code: 'ERR_NODE_TAKEN',
      message: /node-7 is registered already by/,
    });
  }
  t.is(fleet.registration()?.bootId, system().bootId);
});

test('two agents do not work with one STATE', async t => {
  const fleet = await TestFleet.start(t, store());
  const {options} = await fleet.node();
  await t.throwsAsync(Agent.start({...options, config: {...options.config, node: 'other'}}), {
    code: 'ERR_NODE_TAKEN',
    message: /another agent of this machine works with/,
  });
});

test('an agent that was killed leaves a registration that its successor takes over', async t => {
  const fleet = await TestFleet.start(t, store());
  const place = scratch(t);
  const program = fleet.program(t, place, {ttl: 600});
  await program.reaches('started');
  const first = await fleet.until(() => fleet.registration());
  await program.kill();
  await fleet.node({}, {}, place);
  const second = await fleet.until(() => fleet.registration()?.since !== first.since && fleet.registration());
  t.is(second.node, NODE);
});

test('a session that is lost is followed by another, and the last report gets there', async t => {
  const fleet = await TestFleet.start(t, store());
  const {place, events} = await fleet.node({ttl: 600}, {});
  const key = await fleet.etcd.get(KEYS.node(NODE));
  const owned = await (await openScratch(place)).acquire({});
  const plan = await fleet.announce(planOf());
  await fleet.order(plan, APPLY);
  await fleet.reported('REFUSED_HOT');
  await fleet.etcd.revokeLease(String(key?.lease));
  await owned.release();
  await fleet.applied();
  await fleet.until(() => fleet.registration());
  t.is(readFileSync(place.file, 'utf8'), NEW);
  t.true(events.some(({event}) => event === 'session-lost'));
});

test('with etcd away in the middle a node does what it can, and the rest when etcd is back', async t => {
  const fleet = await TestFleet.start(t);
  const {place} = await fleet.node({ttl: 5});
  const [member] = fleet.store.members;
  const owned = await (await openScratch(place)).acquire({});
  const plan = await fleet.announce(planOf());
  await fleet.order(plan, APPLY);
  await fleet.reported('REFUSED_HOT');
  await member?.kill();
  await owned.release();
  // It can not know whether the order is still in force, so nothing is applied.
  await pause(1000);
  t.not(readFileSync(place.file, 'utf8'), NEW);
  await member?.start();
  await fleet.applied();
  t.is(readFileSync(place.file, 'utf8'), NEW);
});

test('a soak goes on while etcd is away, and how it ended is reported afterwards', async t => {
  const fleet = await TestFleet.start(t);
  const {events} = await fleet.node({ttl: 5});
  const [member] = fleet.store.members;
  await fleet.order(await fleet.announce(planOf({soak: 3000})), APPLY);
  await fleet.reported('APPLIED', 'r1', ({health}) => health === 'soaking');
  await member?.kill();
  while (!events.some(({event}) => event === 'fleet-health')) await pause(20);
  await member?.start();
  t.is((await fleet.applied()).health, 'passed');
});

test('an agent that ends while its lock is waited for ends, and nothing is changed', async t => {
  const fleet = await TestFleet.start(t, store());
  const {place, agent} = await fleet.node();
  const owned = await (await openScratch(place)).acquire({});
  await fleet.order(await fleet.announce(planOf()), APPLY);
  await fleet.reported('REFUSED_HOT');
  await agent.end();
  await agent.end();
  await owned.release();
  t.not(readFileSync(place.file, 'utf8'), NEW);
  t.is((await (await openScratch(place)).examine()).state, 'FREE');
});
