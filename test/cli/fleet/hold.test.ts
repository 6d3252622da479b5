/** Does everybody hold, or say why not? And does a second operator see what he agrees to? */
import {readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import test from 'ava';
import {NAME, occupy} from '../../helpers/cli.js';
import {daemon} from '../../helpers/daemon.js';
import {fleet, FleetBench, type Place, start} from '../../helpers/fleet-bench.js';

const WHERE = ['--where', 'role=node', '--reason', 'drill'];

async function mayUpdate({made}: Place): Promise<boolean> {
  const {code, stderr} = await made.run(['update', NAME, '-n'], {input: 'new\n'});
  if (code !== 0 && code !== 75) throw new Error(stderr);
  return code === 0;
}

test('all nodes hold and say so; Ctrl-C lets them go on', async t => {
  const bench = await FleetBench.start(t, {nodes: 3});
  await Promise.all(bench.nodes.map(node => bench.agentHere(node)));
  const held = start(bench.desk, 'hold', NAME, '--for', '10m', ...WHERE);
  t.true(await held.reaches(`HOLD ${NAME}: all nodes hold`));
  for (const node of bench.nodes) t.false(await mayUpdate(node), node.name);
  held.child.kill('SIGINT');
  const {code, stdout, stderr} = await held.ended;
  t.is(code, 0, stderr);
  for (const {name} of bench.nodes) t.regex(stdout, new RegExp(`^  ${name}  holds, acknowledged after`, 'm'));
  t.regex(stdout, /^HOLD aim_lock_config: ended by SIGINT$/m);
  for (const node of bench.nodes) t.true(await mayUpdate(node), node.name);
});

test('it ends by itself; with --json, each answer is a line', async t => {
  const bench = await FleetBench.start(t, {nodes: 2});
  await Promise.all(bench.nodes.map(node => bench.agentHere(node)));
  const {code, stdout, stderr} = await fleet(bench.desk, 'hold', NAME, '--for', '6s', ...WHERE, '--json');
  t.is(code, 0, `${stdout}${stderr}`);
  const lines = stdout
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as Record<string, unknown>);
  const answers = lines.filter(({hold}) => hold === 'answer').slice(0, 2);
  t.deepEqual(answers.map(({node}) => String(node)).toSorted(), ['node-1', 'node-2']);
  const acknowledged = lines.find(({hold}) => hold === 'acknowledged');
  t.like(acknowledged, {lock: NAME, missing: {}});
  t.like(lines.at(-1), {hold: 'ended', how: 'by itself', failed: {}});
});

test('one that does not come to its hold point is named, and all others go on; --partial is content with those', async t => {
  const bench = await FleetBench.start(t, {nodes: 2});
  await Promise.all(bench.nodes.map(node => bench.agentHere(node)));
  const [busy, free] = bench.nodes;
  if (!busy || !free) throw new Error('there are no nodes');
  const occupant = await occupy(busy.made);
  const how = ['--for', '5m', '--within', '1s', ...WHERE];
  const {code, stderr, stdout} = await fleet(bench.desk, 'hold', NAME, ...how);
  t.is(code, 1, stdout);
  t.true(stderr.includes(`${busy.name}: `), stderr);
  t.true(await mayUpdate(free));
  const partial = start(bench.desk, 'hold', NAME, ...how, '--partial');
  t.true(await partial.reaches('1 of 2 nodes hold'));
  t.false(await mayUpdate(free));
  partial.child.kill('SIGTERM');
  t.is((await partial.ended).code, 0);
  await occupant.end();
});

test('a lock that no node has is told', async t => {
  const bench = await FleetBench.start(t, {nodes: 1});
  await Promise.all(bench.nodes.map(node => bench.agentHere(node)));
  const {code, stderr} = await fleet(bench.desk, 'hold', 'other', ...WHERE);
  t.is(code, 2);
  t.regex(stderr, /no node with role=node has a lock other/);
});

test('where a daemon answers, its orchestrators hear of the hold and are waited for', async t => {
  const bench = await FleetBench.start(t, {nodes: 1});
  const [node] = bench.nodes;
  if (!node) throw new Error('there is no node');
  const {client} = await daemon(t, node.made);
  const {id} = await client.register({name: 'tuner', locks: [NAME]});
  const over = new AbortController();
  t.teardown(() => over.abort());
  const order = client.orders(id, {signal: over.signal}).next();
  await bench.agentHere(node);
  const held = start(bench.desk, 'hold', NAME, '--for', '10m', ...WHERE);
  const {value} = await order;
  t.like(value, {event: 'hold', lock: NAME});
  await client.acknowledge(id, value?.hold ?? '');
  t.true(await held.reaches('holds, acknowledged after'));
  t.true(await held.reaches('orchestrator tuner'));
  t.is((await client.holds()).length, 1);
  held.child.kill('SIGINT');
  t.is((await held.ended).code, 0);
  t.deepEqual(await client.holds(), []);
});

test('a roll-out that a second operator must approve waits for him, and shows him what it is', async t => {
  const bench = await FleetBench.start(t, {nodes: 2, operators: ['alice', 'bob'], approvals: 1});
  await Promise.all(bench.nodes.map(node => bench.agentHere(node)));
  const [alice, bob] = bench.desks;
  if (!alice || !bob) throw new Error('there are no desks');
  const next = join(alice.made.directory, `${NAME}.conf`);
  writeFileSync(next, 'gain = 9\n');
  const how = ['--steps', '100%', '--soak', '10ms', '--where', 'role=node', '--health', 'true'];
  const started = start(alice, 'rollout', 'start', next, ...how, '--reason', 'CR 1234');
  await started.says('locksmith fleet approve ');
  const {stdout} = await fleet(bob, 'proposals');
  for (const part of ['CR 1234', 'role=node', 'alice: 1 of 2', 'sha256', 'true'])
    t.true(stdout.includes(part), part);
  const [id = ''] = stdout.split('\n');
  const own = await fleet(alice, 'approve', id);
  t.is(own.code, 77, own.stderr);
  t.is(bench.nodes.map(({made}) => readFileSync(made.file, 'utf8')).join(''), 'old\nold\n');
  const approved = await fleet(bob, 'approve', id, '--json');
  t.is(approved.code, 0, approved.stderr);
  t.deepEqual((JSON.parse(approved.stdout) as {signers: string[]}).signers.toSorted(), ['alice', 'bob']);
  const {code, stderr} = await started.ended;
  t.is(code, 0, stderr);
  t.is(bench.nodes.map(({made}) => readFileSync(made.file, 'utf8')).join(''), 'gain = 9\ngain = 9\n');
  t.is((await fleet(bob, 'proposals')).stdout, 'nothing waits for approval\n');
});
