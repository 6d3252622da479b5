import anyTest from 'ava';
import {Agent, request} from 'undici';
import {DaemonClient} from '../../lib/daemon/client.js';
import {type Bench, guardedBench, NAME, occupy} from '../helpers/cli.js';
import {daemon} from '../helpers/daemon.js';
import {asRoot, testWith} from '../helpers/here.js';
import {stopProcess} from '../helpers/proc-state.js';
import {essence, shapes, WAYS} from '../helpers/ways.js';

/** One after the other: a daemon that gets no processor for two seconds counts as stopped. */
const test = anyTest.serial;

async function isHeld(made: Bench): Promise<boolean> {
  return (await made.run(['run', NAME, '-n', '--', 'true'])).code === 1;
}

/** Ends a hold as another program would. */
async function endHold(made: Bench, id: string): Promise<number> {
  const dispatcher = new Agent({connect: {socketPath: `${made.roots.run}/daemon.sock`}});
  const {statusCode} = await request(`http://localhost/v1/holds/${id}`, {method: 'DELETE', dispatcher});
  await dispatcher.close();
  return statusCode;
}

const THERE = ['hold', NAME, '--via', 'daemon'];

test('a hold is acknowledged, keeps everybody out, and ends at Ctrl-C: the same either way', async t => {
  const made = await guardedBench(t);
  const it = await daemon(t, made);
  const said = [];
  for (const way of WAYS) {
    const hold = made.start('hold', NAME, '--for', '80s', '--via', way);
    await hold.line();
    t.true(await isHeld(made), way);
    t.is((await it.client.holds()).length, way === 'daemon' ? 1 : 0);
    hold.child.kill('SIGINT');
    const {code, stdout, stderr} = await hold.ended;
    t.is(code, 0);
    t.is(essence(stderr, made), '');
    t.false(await isHeld(made), way);
    said.push(essence(stdout, made));
  }
  t.is(said[1], said[0]);
  t.regex(said[0] ?? '', /ended by SIGINT; everybody goes on/);
});

test('with --json the fields are the same, and it ends by itself', async t => {
  const made = await guardedBench(t);
  await daemon(t, made);
  const ends = [];
  for (const way of WAYS) {
    const ended = await made.run(['hold', NAME, '--for', '1s', '--json', '--via', way]);
    t.is(ended.code, 0, ended.stderr);
    t.regex(ended.stdout, /"how":"by itself"/);
    ends.push(shapes(ended));
  }
  t.deepEqual(ends[1], ends[0]);
});

test('around a program it lasts as long as that, and has its status; a program that outlasts it ends with 75', async t => {
  const made = await guardedBench(t);
  const it = await daemon(t, made);
  const script = 'echo in $LOCKSMITH_NAME $LOCKSMITH_FILE; read line; exit 3';
  const hold = made.start(...THERE, '--', 'sh', '-c', script);
  await hold.line();
  t.is(await hold.line(), `in ${NAME} ${made.file}`);
  t.true(await isHeld(made));
  t.is((await hold.finish()).code, 3);
  t.deepEqual(await it.client.holds(), []);
  const late = made.start(...THERE, '--for', '1s', '--', 'sh', '-c', 'read line');
  await late.says(`the hold on ${NAME} has ended, and sh still runs`);
  t.is((await late.finish()).code, 75);
});

test('it ends with whoever holds, also by SIGKILL', async t => {
  const made = await guardedBench(t);
  const it = await daemon(t, made);
  const events = await it.listen();
  const hold = made.start(...THERE, '--for', '80s');
  await hold.line();
  await hold.kill();
  t.is((await events.until('hold-ended', NAME))['why'], 'its holder has ended');
  t.false(await isHeld(made));
});

test('it does not end with the connection on which it was asked for, which idles', async t => {
  const made = await guardedBench(t);
  const it = await daemon(t, made);
  const events = await it.listen();
  const other = new DaemonClient(it.client.socket);
  const hold = await other.hold({lock: NAME, for: 80_000});
  await other.close();
  t.is((await it.client.holds()).length, 1);
  await t.throwsAsync(hold.release());
  const {id} = hold.granted;
  t.is(await endHold(made, id), 204);
  t.like(await events.until('hold-ended', NAME), {id, why: 'released'});
});

for (const how of ['SIGTERM', 'SIGKILL'] as const)
  test(`it ends with the daemon, and says so: ${how}`, async t => {
    const made = await guardedBench(t);
    const it = await daemon(t, made);
    const hold = made.start(...THERE, '--for', '80s');
    await hold.line();
    it.started.child.kill(how);
    const {code, stdout, stderr} = await hold.ended;
    t.is(code, 0, stderr);
    t.regex(stdout, /ended because the daemon has ended( it)?; everybody goes on/);
  });

test('somebody else may end it, who is named so', async t => {
  const made = await guardedBench(t);
  const it = await daemon(t, made);
  const hold = made.start(...THERE, '--for', '80s');
  await hold.line();
  const [held] = await it.client.holds();
  t.is(await endHold(made, held?.id ?? ''), 204);
  t.regex((await hold.ended).stdout, /ended because somebody else has ended it/);
});

test('a daemon that is stopped meanwhile: Ctrl-C says that the hold ends by itself, 69', async t => {
  const made = await guardedBench(t);
  const it = await daemon(t, made);
  const hold = made.start(...THERE, '--for', '80s');
  await hold.line();
  stopProcess(it.pid);
  hold.child.kill('SIGINT');
  const {code, stderr} = await hold.ended;
  t.is(code, 69);
  t.regex(stderr, /it is stopped, or stuck; the hold on aim_lock_config ends by itself in/);
  t.true(await isHeld(made));
});

test('what it has stopped and does not let go on is told, whoever ends it', async t => {
  const made = await guardedBench(t);
  const it = await daemon(t, made, {
    policy: "locks:\n  '*':\n    quiesce: [{stop: 'true', resume: exit 3, within: 10s}]\n",
  });
  const ours = await made.run([...THERE, '--for', '20s', '--', 'true']);
  const hold = made.start(...THERE, '--for', '80s', '--json');
  await hold.line();
  const [held] = await it.client.holds();
  t.is(await endHold(made, held?.id ?? ''), 500);
  for (const {code, stderr} of [ours, await hold.ended]) {
    t.is(code, 2, stderr);
    t.regex(stderr, /does not go on/);
  }
});

test('one that is refused names who did not come', async t => {
  const made = await guardedBench(t);
  await daemon(t, made);
  const {started} = await occupy(made);
  const {code, stderr} = await made.run([...THERE, '--for', '300ms']);
  t.is(code, 1);
  t.true(stderr.includes(`pid ${started.pid}`), stderr);
});

testWith(
  asRoot,
  'an orchestrator that has registered is told of a hold by root, who said nothing of a daemon, and is waited for',
  async t => {
    const made = await guardedBench(t);
    const it = await daemon(t, made);
    const {id} = await it.client.register({name: 'aim', locks: [NAME]});
    const orders = it.client.orders(id);
    const first = orders.next();
    const hold = made.start('hold', NAME, '--for', '80s');
    const {value: order} = await first;
    t.like(order, {event: 'hold', lock: NAME});
    await it.client.acknowledge(id, (order as {hold: string}).hold);
    t.regex(await hold.line(), /^HOLD aim_lock_config: acknowledged/);
    hold.child.kill('SIGINT');
    t.is((await hold.ended).code, 0);
    t.like((await orders.next()).value, {event: 'resume', lock: NAME});
  },
  test,
);
