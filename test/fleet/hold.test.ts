/** Does a fleet hold stop all nodes or name those that it does not, and end by itself whatever happens? */
import {once} from 'node:events';
import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import test from 'ava';
import type {FleetAccess} from '../../lib/fleet/access.js';
import type {Envelope, FleetHold} from '../../lib/fleet/documents.js';
import {type FleetHoldOptions, type FleetHoldRequest, holdFleet} from '../../lib/fleet/hold.js';
import {KEYS} from '../../lib/fleet/keys.js';
import {seal} from '../../lib/fleet/signing.js';
import {monotonic} from '../../lib/os/deadline.js';
import type {LockError} from '../../lib/errors.js';
import {actor} from '../helpers/actor.js';
import {alice, bob, HeldFleet, LOCK, operator, started} from '../helpers/held-fleet.js';
import {type HoldAgent, signingKey} from '../helpers/hold-agent.js';
import {openScratch, scratch} from '../helpers/scratch.js';
import {TcpProxy} from '../helpers/tcp-proxy.js';

const REQUEST: FleetHoldRequest = {lock: LOCK, where: {}, for: 60_000, reason: 'test'};

async function isHeld({locks}: Pick<HoldAgent, 'locks'>): Promise<boolean> {
  const cycle = await locks.tryEnter();
  cycle?.leave();
  return cycle === undefined;
}

/** What was signed. */
async function shown({etcd}: FleetAccess, id: string): Promise<Envelope> {
  const found = await etcd.get(KEYS.hold(id));
  return JSON.parse(found?.value.toString() ?? '') as Envelope;
}

/** Puts something under the key of a hold, as anybody could who may write to etcd. */
async function show({etcd, session}: FleetAccess, id: string, value: Envelope, seconds = 60): Promise<void> {
  const {id: lease} = await etcd.grantLease(seconds);
  await session.transact({when: [], then: [{put: KEYS.hold(id), value: JSON.stringify(value), lease}]});
}

function holdOf(changes: Partial<FleetHold> = {}): FleetHold {
  return {
    v: 1,
    kind: 'hold',
    id: 'h1',
    fleet: 'test',
    lock: LOCK,
    where: {},
    for: 60_000,
    within: 20_000,
    reason: 'test',
    by: {node: 'n', uid: 0, pid: 1},
    at: new Date().toISOString(),
    ...changes,
  };
}

function auditOf({locks}: HoldAgent): Record<string, unknown>[] {
  const text = readFileSync(join(locks.roots.state, 'audit.jsonl'), 'utf8');
  return text
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as Record<string, unknown>);
}

/** Refuses, and gives what it says of each node. */
async function missing(promise: Promise<unknown>): Promise<Record<string, string>> {
  try {
    await promise;
  } catch (error) {
    const {code, missing: named} = error as LockError & {missing?: Record<string, string>};
    if (code === 'ERR_HOLD_REFUSED' && named) return named;
    throw error;
  }
  throw new Error('it was granted');
}

test('all nodes in scope stop and say so, others do not, and all go on when it is released', async t => {
  const fleet = await HeldFleet.start(t);
  const nodes = await Promise.all(['n1', 'n2', 'n3'].map(node => fleet.node(node, {labels: {zone: 'a'}})));
  const other = await fleet.node('n4', {labels: {zone: 'b'}});
  const answered: string[] = [];
  const onAnswer: FleetHoldOptions['onAnswer'] = (node, answer) => answer?.held && answered.push(node);
  const access = await fleet.access();
  const held = await holdFleet(access, {...REQUEST, where: {zone: 'a'}}, {onAnswer});
  t.deepEqual(await Promise.all([...nodes, other].map(isHeld)), [true, true, true, false]);
  t.deepEqual(answered.toSorted(), ['n1', 'n2', 'n3']);
  t.is(held.missing.size, 0);
  t.true(held.remaining() > 0 && held.remaining() <= 60_000);
  t.deepEqual(await held.release(), {silent: [], failed: new Map()});
  t.deepEqual(await Promise.all(nodes.map(isHeld)), [false, false, false]);
  const events = auditOf(nodes[0] as HoldAgent).map(({event, hold}) => ({event, hold}));
  t.deepEqual(events, [
    {event: 'fleet-hold', hold: held.id},
    {event: 'fleet-hold-ended', hold: held.id},
  ]);
  t.deepEqual((await access.etcd.list('holds/')).items, []);
});

test('a process that does not come is named with its node, and all others go on', async t => {
  const fleet = await HeldFleet.start(t);
  const place = scratch(t);
  const [good] = await Promise.all([fleet.node('good'), fleet.node('bad', {}, place)]);
  const deaf = await actor(t, place);
  await deaf.do('enter');
  const access = await fleet.access();
  const refused = await missing(holdFleet(access, {...REQUEST, within: 3000}));
  t.deepEqual(refused, {
    bad: `pid ${deaf.pid} did not come to the hold point of ${LOCK} within 3000 ms`,
  });
  t.false(await isHeld(good));
  t.deepEqual((await access.etcd.list('now/')).items, []);
});

test('who wants a part of it only is told which nodes do not hold, and why', async t => {
  const fleet = await HeldFleet.start(t);
  const place = scratch(t);
  const [good, bad] = await Promise.all([fleet.node('good'), fleet.node('bad', {}, place)]);
  const deaf = await actor(t, place);
  await deaf.do('enter');
  await using held = await holdFleet(await fleet.access(), {...REQUEST, within: 3000, partial: true});
  t.deepEqual([...held.missing.keys()], ['bad']);
  t.regex(held.missing.get('bad') ?? '', /did not come/);
  t.true(await isHeld(good));
  t.false(await isHeld(bad));
});

test('a node that is known and silent is named, and nobody is stopped for it', async t => {
  const fleet = await HeldFleet.start(t);
  const good = await fleet.node('good');
  const gone = await fleet.node('gone');
  await gone.end();
  const access = await fleet.access();
  const refused = await missing(holdFleet(access, REQUEST));
  t.deepEqual(Object.keys(refused), ['gone']);
  t.regex(refused['gone'] ?? '', /SILENT/);
  t.deepEqual(good.events, []);
  await using held = await holdFleet(access, {...REQUEST, partial: true});
  t.deepEqual(held.silent, ['gone']);
  t.true(await isHeld(good));
});

test('an agent that does not answer is named', async t => {
  const fleet = await HeldFleet.start(t);
  await fleet.node('good');
  const setting = fleet.setting('stopped', {ttl: 60});
  const stopped = await started(t, 'hold-agent', {setting, place: scratch(t)}, 'ready');
  stopped.child.kill('SIGSTOP');
  const refused = await missing(holdFleet(await fleet.access(), {...REQUEST, within: 3000}));
  t.deepEqual(refused, {stopped: 'it has not answered within 3000 ms'});
});

test('no node, no hold; and no more time to come than it lasts', async t => {
  const fleet = await HeldFleet.start(t);
  await fleet.node('n1');
  const access = await fleet.access();
  await t.throwsAsync(holdFleet(access, {...REQUEST, lock: 'another'}), {code: 'ERR_COHORT'});
  await t.throwsAsync(holdFleet(access, {...REQUEST, where: {a: 'b'}}), {code: 'ERR_COHORT'});
  await t.throwsAsync(holdFleet(access, {...REQUEST, within: 60_001}), {code: 'ERR_ARGUMENT'});
  await t.throwsAsync(holdFleet(access, {...REQUEST, for: 0.5}), {code: 'ERR_ARGUMENT'});
});

test('an operator who is killed holds nobody for longer than he has said', async t => {
  const fleet = await HeldFleet.start(t);
  const nodes = await Promise.all(['n1', 'n2'].map(node => fleet.node(node)));
  const begun = monotonic();
  const holder = await started(
    t,
    'fleet-holder',
    {endpoints: fleet.etcd.endpoints, operator: alice, lock: LOCK, milliseconds: 12_000},
    'held',
  );
  await holder.kill();
  t.deepEqual(await Promise.all(nodes.map(isHeld)), [true, true]);
  await Promise.all(nodes.map(async ({locks}) => (await locks.enter()).leave()));
  const lasted = monotonic() - begun;
  t.true(lasted >= 12_000, `${lasted}`);
  t.true(lasted < 60_000, `${lasted}`);
});

test('a node that is cut off goes on by its own clock, and is heard of again', async t => {
  const fleet = await HeldFleet.start(t);
  const proxy = await TcpProxy.to(t, fleet.etcd.members[0]?.port ?? 0);
  const node = await fleet.node('n1', {endpoints: [proxy.endpoint], ttl: 10});
  const held = await holdFleet(await fleet.access(), {...REQUEST, for: 12_000});
  proxy.blackHole();
  t.true(await isHeld(node));
  (await node.locks.enter()).leave();
  t.is((await node.tells('fleet-hold-ended'))['why'], 'its time is over');
  t.is(held.remaining(), 0, 'not before our own end of it');
  proxy.pass();
  await held.release();
});

test('a node says again that it holds when its session was lost', async t => {
  const fleet = await HeldFleet.start(t);
  const node = await fleet.node('n1');
  const access = await fleet.access();
  const told: (boolean | undefined)[] = [];
  let heard = () => undefined as void;
  const held = await holdFleet(access, REQUEST, {
    onAnswer: (_, answer) => {
      told.push(answer?.held);
      heard();
    },
  });
  await access.etcd.revokeLease((await node.session()).lease);
  while (told.length < 3) await new Promise<void>(resolve => (heard = resolve));
  t.deepEqual(told, [true, undefined, true]);
  t.false(held.signal.aborted);
  t.true(await isHeld(node));
  await held.release();
});

test('a node that comes late holds for what is left', async t => {
  const fleet = await HeldFleet.start(t);
  await fleet.node('n1');
  const held = await holdFleet(await fleet.access(), REQUEST);
  const late = await fleet.node('n2');
  const {milliseconds} = await late.tells('fleet-hold');
  t.true(Number(milliseconds) < 61_000);
  while (!held.answers.has('n2')) await new Promise(resolve => setImmediate(resolve));
  t.true(await isHeld(late));
  await held.release();
  t.false(await isHeld(late));
});

test('an agent that is stopped holds nobody for longer than it may', async t => {
  const fleet = await HeldFleet.start(t);
  const place = scratch(t);
  const setting = fleet.setting('n1', {ttl: 60});
  const agent = await started(t, 'hold-agent', {setting, place}, 'ready');
  const held = await holdFleet(await fleet.access(), {...REQUEST, for: 12_000});
  agent.child.kill('SIGSTOP');
  const locks = await openScratch(place);
  t.true(await isHeld({locks}));
  (await locks.enter()).leave();
  t.is(held.remaining(), 0);
  agent.child.kill('SIGCONT');
  await held.release();
});

test('an agent that is started anew holds again for what is left', async t => {
  const fleet = await HeldFleet.start(t);
  const place = scratch(t);
  const setting = fleet.setting('n1', {ttl: 5});
  const agent = await started(t, 'hold-agent', {setting, place}, 'ready');
  const held = await holdFleet(await fleet.access(), REQUEST);
  await agent.kill();
  const next = await fleet.node('n1', {}, place);
  await next.tells('fleet-hold');
  while (!(await isHeld(next))) await new Promise(resolve => setImmediate(resolve));
  await held.release();
  t.false(await isHeld(next));
});

test('who holds is told when a node goes on, or somebody has ended it', async t => {
  const fleet = await HeldFleet.start(t);
  const [first] = await Promise.all([fleet.node('n1'), fleet.node('n2')]);
  const access = await fleet.access();
  const held = await holdFleet(access, REQUEST);
  const end = once(held.signal, 'abort');
  await first.end();
  await end;
  t.regex(String(held.signal.reason), /ERR_HOLD_EXPIRED|n1 goes on: the agent ends/);
  await held.release();
  const another = await holdFleet(access, {...REQUEST, partial: true});
  const removed = once(another.signal, 'abort');
  await access.session.transact({when: [], then: [{delete: KEYS.hold(another.id)}]});
  await removed;
  t.is((another.signal.reason as LockError).code, 'ERR_HOLD_EXPIRED');
  t.is(another.remaining(), 0);
  await another.release();
});

test('what nobody trusted has signed holds nothing, is answered and recorded', async t => {
  const fleet = await HeldFleet.start(t);
  const node = await fleet.node('n1');
  const access = await fleet.access(undefined);
  await t.throwsAsync(holdFleet({...access, config: {...access.config, sign: undefined}}, REQUEST), {
    code: 'ERR_FLEET_CONFIG',
  });
  const mallory = operator('mallory');
  await show(access, 'h1', seal(holdOf(), [signingKey({...mallory, name: 'alice'})]));
  const {why} = await node.tells('fleet-hold-refused');
  t.regex(String(why), /signed by nobody who is trusted here/);
  t.false(await isHeld(node));
  t.deepEqual(
    auditOf(node).map(({event}) => event),
    ['fleet-hold-refused'],
  );
  let answer = await access.etcd.get(KEYS.holdAcknowledgement('h1', 'n1'));
  while (!answer) answer = await access.etcd.get(KEYS.holdAcknowledgement('h1', 'n1'));
  t.like(JSON.parse(answer.value.toString()), {held: false, reason: why});
});

test('a hold without a lease, or for longer than it was signed for, is bounded', async t => {
  const fleet = await HeldFleet.start(t);
  const node = await fleet.node('n1');
  const access = await fleet.access();
  const unbound = seal(holdOf(), [signingKey(alice)]);
  await access.session.transact({
    when: [],
    then: [{put: KEYS.hold('h1'), value: JSON.stringify(unbound)}],
  });
  t.regex(String((await node.tells('fleet-hold-refused'))['why']), /no lease/);
  await show(access, 'h2', seal(holdOf({id: 'h2', for: 10_000}), [signingKey(alice)]), 3600);
  t.is((await node.tells('fleet-hold-ended'))['why'], 'its time is over');
  t.false(await isHeld(node));
});

test('an old hold is not held again: under no other key, by no new lease, by no agent that was started anew', async t => {
  const fleet = await HeldFleet.start(t);
  const place = scratch(t);
  const node = await fleet.node('n1', {}, place);
  const access = await fleet.access();
  const held = await holdFleet(access, REQUEST);
  const envelope = await shown(access, held.id);
  await held.release();
  await show(access, 'another', envelope);
  const refused = await node.tells('fleet-hold-refused');
  t.regex(String(refused['why']), /signed for another key/);
  node.events.length = 0;
  await show(access, held.id, envelope);
  t.regex(String((await node.tells('fleet-hold-refused'))['why']), /its time here is over/);
  t.false(await isHeld(node));

  await node.end();
  await access.session.transact({when: [], then: [{delete: KEYS.hold('another')}]});
  const next = await fleet.node('n1', {}, place);
  t.regex(String((await next.tells('fleet-hold-refused'))['why']), /its time here is over/);
  t.false(await isHeld(next));
});

test('where two have to sign, one who signs alone holds nothing', async t => {
  const fleet = await HeldFleet.start(t, [alice, bob], 2);
  const node = await fleet.node('n1');
  await show(await fleet.access(), 'h1', seal(holdOf(), [signingKey(alice)]));
  t.regex(String((await node.tells('fleet-hold-refused'))['why']), /signed by alice, needed: 2/);
  t.false(await isHeld(node));
  await show(await fleet.access(), 'h2', seal(holdOf({id: 'h2'}), [signingKey(alice), signingKey(bob)]));
  await node.tells('fleet-hold');
  while (!(await isHeld(node))) await new Promise(resolve => setImmediate(resolve));
  t.pass();
});
