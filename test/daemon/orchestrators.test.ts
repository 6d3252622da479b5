/** Does a hold wait for each orchestrator that has registered, and for nobody else, and is each acknowledgement taken once and under its id? */
import {spawn} from 'node:child_process';
import {fileURLToPath} from 'node:url';
import test, {type ExecutionContext} from 'ava';
import {Orchestrator} from '../../lib/daemon/orchestrator.js';
import type {Order} from '../../lib/daemon/orchestrators.js';
import {actor} from '../helpers/actor.js';
import {AUTOMATIC, daemon, type TestDaemon} from '../helpers/daemon.js';
import {openScratch, scratch} from '../helpers/scratch.js';
import {Started} from '../helpers/started.js';

const NAME = 'aim_lock_config';

async function made(t: ExecutionContext) {
  const place = scratch(t);
  const config = await openScratch(place);
  const it = await daemon(t, place, {policy: AUTOMATIC});
  return {place, config, it, client: it.client};
}

/** Another connection of this process; the kernel names the same one. */
async function orders(t: ExecutionContext, {client}: TestDaemon, name: string) {
  const {id} = await client.register({name, locks: [NAME]});
  const end = new AbortController();
  t.teardown(() => end.abort());
  const events = client.orders(id, {signal: end.signal});
  const next = async (): Promise<Order> => {
    const {done, value} = await events.next();
    if (done) throw new Error('the orders have ended');
    return value;
  };
  return {id, next};
}

test('a hold is granted when all have acknowledged, each once, under its id, and they hear of its end', async t => {
  const {it, client} = await made(t);
  const one = await orders(t, it, 'one');
  const two = await orders(t, it, 'two');
  const firstOrder = one.next();
  const holding = client.hold({lock: NAME, for: 60_000});
  const order = await firstOrder;
  t.like(order, {event: 'hold', lock: NAME});
  await t.throwsAsync(client.acknowledge(one.id, 'another'), {code: 'ERR_UNKNOWN_HOLD'});
  await client.acknowledge(one.id, order.hold);
  await t.throwsAsync(client.acknowledge(one.id, order.hold), {code: 'ERR_ACKNOWLEDGED'});
  t.deepEqual(await client.holds(), [], 'the other one has not acknowledged');
  t.is((await two.next()).hold, order.hold);
  await client.acknowledge(two.id, order.hold);
  const hold = await holding;
  t.deepEqual(
    hold.granted.acknowledgements.map(({adapter}) => adapter),
    [`orchestrator one (pid ${process.pid})`, `orchestrator two (pid ${process.pid})`],
  );
  await hold.release();
  t.deepEqual(await one.next(), {event: 'resume', hold: order.hold, lock: NAME});
  await t.throwsAsync(client.acknowledge(two.id, order.hold), {code: 'ERR_UNKNOWN_HOLD'}, 'it is late');
});

test('who does not acknowledge in time is named, and nothing is held', async t => {
  const {it, client, config} = await made(t);
  await orders(t, it, 'deaf');
  await t.throwsAsync(client.hold({lock: NAME, for: 200}), {
    code: 'ERR_HOLD_REFUSED',
    message: `deaf (pid ${process.pid}) did not acknowledge the hold on ${NAME} in time`,
  });
  await using owned = await config.acquire();
  t.truthy(owned);
});

test('who dies or leaves is waited for no longer', async t => {
  const {place, it, client} = await made(t);
  const {id} = await orders(t, it, 'leaves');
  const other = await actor(t, place);
  await other.do('register', {socket: client.socket, name: 'dies'});
  t.is((await client.orchestrators()).length, 2);
  const holding = client.hold({lock: NAME, for: 60_000});
  await client.leave(id);
  await other.kill();
  await using hold = await holding;
  t.deepEqual(hold.granted.acknowledgements, []);
  t.deepEqual(await client.orchestrators(), []);
});

test('the class comes to the hold point after its cycle, begins none during a hold, and goes on afterwards', async t => {
  const {it, client, config} = await made(t);
  const troubles: unknown[] = [];
  const events = await it.listen();
  await using orchestrator = new Orchestrator(client, {
    name: 'class',
    locks: [NAME],
    onTrouble: error => troubles.push(error),
  });
  await events.until('orchestrator-joined');
  const cycle = await orchestrator.cycle(config);
  const holding = client.hold({lock: NAME, for: 60_000});
  t.deepEqual((await events.until('hold-asked'))['waitsFor'], ['class']);
  t.false((await client.orchestrators())[0]?.holds[0]?.acknowledged, 'it is in a cycle');
  cycle.leave();
  const hold = await holding;
  t.is(hold.granted.acknowledgements.length, 1);
  let begun = false;
  const next = orchestrator.cycle(config).then(begins => {
    begun = true;
    return begins;
  });
  await client.status();
  t.false(begun);
  await hold.release();
  (await next).leave();
  t.deepEqual(troubles, []);
});

test('the example comes to the hold point, goes on, and ends when it is told to', async t => {
  const {place, it, client} = await made(t);
  const events = await it.listen();
  const program = fileURLToPath(new URL('../../examples/orchestrator.js', import.meta.url));
  const {run, state, bits} = place.roots;
  const child = spawn(process.execPath, [program, place.file, client.socket], {
    env: {...process.env, LOCKSMITH_RUN: run, LOCKSMITH_STATE: state, LOCKSMITH_BITS: bits},
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  const example = new Started(child);
  await events.until('orchestrator-joined');
  t.regex(await example.line(), /^cycle with 9 bytes/);
  const hold = await client.hold({lock: NAME, for: 60_000});
  t.is(hold.granted.acknowledgements.length, 1);
  await hold.release();
  t.regex(await example.line(), /^cycle/);
  child.kill('SIGTERM');
  t.like(await example.ended, {code: 0, stderr: ''});
});

test('a recovery by policy waits for it, and a daemon that is killed lets it go on and is found again', async t => {
  const {place, it, client, config} = await made(t);
  const events = await it.listen();
  await using orchestrator = new Orchestrator(client, {name: 'class', locks: [NAME]});
  await events.until('orchestrator-joined');
  const owner = await actor(t, place);
  await owner.do('acquire');
  await owner.kill();
  const {certificate} = (await events.until('recovered', NAME)) as {certificate: {lock: string}};
  t.is(certificate.lock, NAME);
  await client.hold({lock: NAME, for: 60_000});
  const waiting = orchestrator.cycle(config);
  await it.kill();
  (await waiting).leave();
  const next = await daemon(t, place);
  const later = await next.listen();
  const [known] = await next.client.orchestrators();
  t.is(known ? known.name : (await later.until('orchestrator-joined'))['name'], 'class');
});
