/** Does the daemon tell how the fleet is, how old that is, and does it work whatever becomes of etcd? With a real etcd, and a fleet that the test plays. */
import {writeFileSync} from 'node:fs';
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {type FleetAnswer, fleetSchema, rolloutSchema} from '../../lib/daemon/api.js';
import {monotonic} from '../../lib/os/deadline.js';
import {actor} from '../helpers/actor.js';
import {daemon, type Listening, startDaemon, type TestDaemon} from '../helpers/daemon.js';
import {askSocket} from '../helpers/page-daemon.js';
import {LOCK, PlayedFleet} from '../helpers/played-fleet.js';
import {openScratch, type Scratch, scratch} from '../helpers/scratch.js';

interface Stage {
  readonly place: Scratch;
  readonly fleet: PlayedFleet;
  /** Starts a daemon that looks at it. */
  readonly start: () => Promise<{readonly it: TestDaemon; readonly listening: Listening}>;
}

async function stage(t: ExecutionContext): Promise<Stage> {
  const place = scratch(t);
  await openScratch(place);
  const fleet = await PlayedFleet.start(t);
  return {
    place,
    fleet,
    async start() {
      const it = await daemon(t, place, {options: ['--fleet', fleet.file(place.directory)]});
      return {it, listening: await it.listen()};
    },
  };
}

type Watching = Awaited<ReturnType<Stage['start']>>;

/** Asks again whenever something has changed, until it is so. */
async function until({it, listening}: Watching, isSo: (fleet: FleetAnswer) => boolean): Promise<FleetAnswer> {
  for (;;) {
    const fleet = await it.client.fleet();
    if (isSo(fleet)) return fleet;
    await listening.until('fleet-changed');
  }
}

const isCurrent = ({standing}: FleetAnswer) => standing.current;

test('without --fleet there is none to be asked for', async t => {
  const place = scratch(t);
  const {client} = await daemon(t, place);
  t.is((await client.status()).fleet, null);
  await t.throwsAsync(client.fleet(), {code: 'ERR_UNKNOWN_FLEET', message: /started without --fleet/});
  await t.throwsAsync(client.rollout('r-1'), {code: 'ERR_UNKNOWN_FLEET'});
  for (const path of ['/v1/fleet', '/v1/fleet/rollouts/r-1'])
    t.is((await askSocket(t, place, path)).status, 404);
  t.false((await client.metrics()).includes('locksmith_fleet'));
});

test('who is in the fleet is answered, those in need first', async t => {
  const {fleet, start} = await stage(t);
  await fleet.nodes(['node-1', 'node-2', 'node-3'], {labels: {site: 'oslo'}});
  const owner = {pid: 77, node: 'node-4', purpose: 'nightly tuning'};
  await fleet.nodes(['node-4'], {hot: [{lock: LOCK, state: 'ALIVE', summary: 'HOT, held by pid 77', owner}]});
  await fleet.silence('node-3');
  await fleet.lead();
  await fleet.hold('hold-1');
  const watching = await start();
  t.is((await watching.it.client.status()).fleet, 'test');
  const answer = fleetSchema.parse(await until(watching, isCurrent));
  t.like(answer, {
    fleet: 'test',
    standing: {current: true, why: null},
    leader: {by: {node: 'desk'}},
    problems: [],
  });
  t.deepEqual(answer.counts, {nodes: 4, silent: 1, hot: 1, inNeed: 2, ended: 0, problems: 0});
  t.deepEqual(
    answer.nodes.map(({node, silent}) => [node, silent]),
    [
      ['node-3', true],
      ['node-4', false],
      ['node-1', false],
      ['node-2', false],
    ],
  );
  t.like(answer.nodes[0], {labels: {site: 'oslo'}, locks: null, since: null});
  t.like(answer.nodes[1], {locks: 1, hot: [{lock: LOCK, owner}]});
  t.like(answer.holds[0], {id: 'hold-1', lock: LOCK, for: 600_000});
  t.is((await watching.it.client.fleet({most: 2})).nodes.length, 2);
});

test('a roll-out is answered cohort by cohort, and each change of it is told with its id', async t => {
  const {fleet, start} = await stage(t);
  const names = Array.from({length: 10}, (_, index) => `node-${index}`);
  await fleet.nodes(names);
  await fleet.plan('r-1', {canary: 2, steps: [50, 100]});
  await fleet.state('r-1', 'preparing');
  await fleet.plan('r-0', {at: '2020-01-01T00:00:00.000Z'});
  await fleet.state('r-0', 'rolled-back', {reason: 'it was not well'});
  const watching = await start();
  const {it, listening} = watching;
  const answer = await until(watching, isCurrent);
  t.deepEqual(
    answer.rollouts.map(({id, active}) => [id, active]),
    [
      ['r-1', true],
      ['r-0', false],
    ],
  );
  const before = rolloutSchema.parse(await it.client.rollout('r-1'));
  t.deepEqual(
    before.cohorts.map(({nodes, counts}) => [nodes, counts['PENDING']]),
    [
      [2, 2],
      [3, 3],
      [5, 5],
    ],
  );
  t.is(before.inNeed, 0);
  const [first = '', second = ''] = before.nodes.map(({node}) => node);

  const owner = {pid: 77, node: second, purpose: 'nightly tuning'};
  const reason = `lock mismatch: ${LOCK} HOT`;
  await fleet.report('r-1', first, 'APPLIED', {health: 'soaking', epoch: 7});
  await fleet.report('r-1', second, 'REFUSED_HOT', {reason, owner});
  await fleet.tell('r-1', 'paused', {cohort: 0, detail: reason});
  let told = await listening.until('fleet-changed');
  // That it became current was told before.
  while ((told['rollouts'] as string[]).length === 0) told = await listening.until('fleet-changed');
  t.deepEqual(told['rollouts'], ['r-1']);
  let rollout = await it.client.rollout('r-1');
  while (rollout.history.length === 0) {
    await listening.until('fleet-changed');
    rollout = await it.client.rollout('r-1');
  }
  t.like(rolloutSchema.parse(rollout), {
    inNeed: 1,
    counts: {APPLIED: 1, REFUSED_HOT: 1, PENDING: 8},
    history: [{event: 'paused', detail: reason}],
    nodes: [
      {node: second, state: 'REFUSED_HOT', cohort: 0, reason, owner},
      {node: first, health: 'soaking'},
    ],
  });
  t.like(rollout.cohorts[0], {nodes: 2, counts: {APPLIED: 1, REFUSED_HOT: 1}, health: {soaking: 1}});
  t.is((await it.client.rollout('r-1', {most: 1})).nodes.length, 1);

  const figures = await it.client.metrics();
  for (const line of [
    'locksmith_fleet_current 1',
    'locksmith_fleet_nodes{state="APPLIED"} 1',
    'locksmith_fleet_nodes{state="PENDING"} 8',
  ])
    t.true(figures.includes(`\n${line}\n`), line);
  await t.throwsAsync(it.client.rollout('r-2'), {code: 'ERR_UNKNOWN_ROLLOUT'});
});

test('many changes are told together, four times a second at most', async t => {
  const {fleet, start} = await stage(t);
  const watching = await start();
  await until(watching, isCurrent);
  const {listening} = watching;
  const began = monotonic();
  listening.seen.length = 0;
  for (let round = 0; round < 100; round++) await fleet.nodes([`node-${round}`]);
  await fleet.tell('last', 'begun');
  let rollouts: unknown;
  do ({rollouts} = await listening.until('fleet-changed'));
  while (!(rollouts as string[]).includes('last'));
  // One that is told already, and one for each quarter of a second.
  const told = listening.seen.filter(({event}) => event === 'fleet-changed').length;
  const most = 2 + (monotonic() - began) / 250;
  t.true(told >= 1 && told <= most, `${told} times, at most ${most}`);
});

test('a daemon does its work while etcd is away, and finds it when it comes', async t => {
  const {place, fleet, start} = await stage(t);
  await fleet.nodes(['node-1']);
  const [member] = fleet.etcd.members;
  await member?.kill();
  const watching = await start();
  const {it, listening} = watching;
  const answer = fleetSchema.parse(await it.client.fleet());
  t.like(answer, {standing: {current: false}, leader: null, nodes: [], rollouts: []});
  t.true(answer.standing.why?.includes(member?.endpoint ?? '?'), String(answer.standing.why));
  t.true((await it.client.metrics()).includes('\nlocksmith_fleet_current 0\n'));
  await (await actor(t, place)).do('acquire');
  await listening.until('verdict', LOCK);
  await fleet.etcd.start();
  t.like(await until(watching, isCurrent), {standing: {why: null}, nodes: [{node: 'node-1'}]});
});

test('when etcd goes away, what was known stays, and says since when it is old', async t => {
  const {place, fleet, start} = await stage(t);
  await fleet.nodes(['node-1']);
  const watching = await start();
  const {since} = (await until(watching, isCurrent)).standing;
  await fleet.etcd.members[0]?.kill();
  const old = await until(watching, ({standing}) => !standing.current);
  t.like(old, {nodes: [{node: 'node-1'}], counts: {nodes: 1}});
  t.true(old.standing.since >= since);
  t.not(old.standing.why, null);
  t.like(await watching.it.client.locks(), [{name: LOCK}]);
  await (await actor(t, place)).do('acquire');
  await watching.listening.until('verdict', LOCK);
  await fleet.etcd.start();
  await until(watching, isCurrent);
  await fleet.nodes(['node-2']);
  const now = await until(watching, ({counts}) => counts.nodes === 2);
  t.deepEqual(
    now.nodes.map(({node}) => node),
    ['node-1', 'node-2'],
  );
  const {code, stderr} = await watching.it.end();
  t.is(code, 0);
  for (const text of ['what is known of the fleet is old', 'what is known of the fleet is current'])
    t.true(stderr.includes(text), text);
});

test('what is not ours in etcd is a problem that is shown, and hides nothing else', async t => {
  const {fleet, start} = await stage(t);
  await fleet.nodes(['node-1', 'node-2']);
  await fleet.plan('r-1');
  await fleet.state('r-1', 'applying');
  await fleet.write(
    {put: 'nodes/node-2', value: '{"v": 1'},
    {put: 'nodes/node-3', value: JSON.stringify({v: 2, node: '<b>'})},
    {put: 'rollouts/r-1/nodes/node-1', value: '[]'},
    {put: 'rollouts/r-2/plan', value: 'x'},
    {put: 'rollouts/../state', value: '{}'},
    {put: `rollouts/${'x'.repeat(70)}/state`, value: '{}'},
    {put: 'now/holds/hold-1', value: '""'},
    {put: 'leader', value: '7'},
  );
  const watching = await start();
  const answer = fleetSchema.parse(await until(watching, isCurrent));
  t.like(answer, {leader: null, holds: []});
  t.deepEqual(
    answer.nodes.map(({node}) => node),
    ['node-2', 'node-3', 'node-1'],
  );
  t.deepEqual(
    answer.rollouts.map(({id, active}) => [id, active]),
    [
      ['r-1', true],
      ['r-2', false],
    ],
  );
  const text = answer.problems.join('\n');
  for (const key of [
    'nodes/node-2',
    'nodes/node-3',
    'rollouts/r-2/plan',
    'rollouts/../state',
    'now/holds/hold-1',
    'leader',
  ])
    t.true(text.includes(key), `${key} in ${text}`);
  t.is(answer.counts.problems, answer.problems.length);
  const rollout = rolloutSchema.parse(await watching.it.client.rollout('r-1'));
  t.true(rollout.problems.join('\n').includes('rollouts/r-1/nodes/node-1'));
  t.like(rollout, {state: {phase: 'applying'}});
});

test('a fleet file that is missing or has a fault ends the daemon at once', async t => {
  const place = scratch(t);
  const path = join(place.directory, 'fleet.yaml');
  const missing = await startDaemon(t, place, {options: ['--fleet', path]}).ended;
  t.is(missing.code, 2);
  t.true(missing.stderr.includes(`there is no fleet file ${path}`), missing.stderr);
  writeFileSync(path, 'fleet: test\netcd: {endpoints: []}\n');
  const {code, stderr} = await startDaemon(t, place, {env: {LOCKSMITH_FLEET: path}, options: ['--fleet']})
    .ended;
  t.is(code, 2);
  t.true(stderr.includes(path), stderr);
});
