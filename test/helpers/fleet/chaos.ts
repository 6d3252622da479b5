/**
 * What becomes of a fleet to which everything happens? Agents, drivers and members of the store are killed, stopped and cut
 * off by chance, locks are taken and left behind, while one roll-out follows the other; then the past is judged by the rules.
 */
import {mkdirSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {setTimeout as pause} from 'node:timers/promises';
import {type FleetAccess, openFleet, type OpenFleet} from '../../../lib/fleet/access.js';
import {commandRollout} from '../../../lib/fleet/command-rollout.js';
import {KEYS} from '../../../lib/fleet/keys.js';
import {followRollout, hasEnded, listRollouts} from '../../../lib/fleet/rollout-view.js';
import {type RolloutRequest, startRollout} from '../../../lib/fleet/start-rollout.js';
import {isLockError} from '../../../lib/errors.js';
import {monotonic} from '../../../lib/os/deadline.js';
import {readSystem} from '../../../lib/os/system.js';
import {openConfigLock} from '../../../lib/recovery/guarded-config.js';
import {actor, type Actor} from '../actor.js';
import {chances, type Chances} from '../chances.js';
import {startEtcd, type TestEtcd, type TestMember} from '../etcd.js';
import {FreezableFs} from '../freezable-fs.js';
import {type Ends, type Scratch, scratch} from '../scratch.js';
import {TcpProxy} from '../tcp-proxy.js';
import {Member, testKeys, toConfig} from './member.js';
import {FileWatch} from './past.js';
import {agreement, type FleetPast, judgeFleet, type RolloutPast} from './rules.js';

export interface ChaosOptions {
  readonly seconds: number;
  readonly nodes: number;
  readonly seed: number;
  readonly say?: ((line: string) => void) | undefined;
}

export interface ChaosResult {
  readonly rollouts: Readonly<Record<string, number>>;
  readonly disturbances: Readonly<Record<string, number>>;
  readonly changes: number;
  /** What breaks a rule; nothing, if all is well. */
  readonly wrong: readonly string[];
}

const LOCK = 'aim_lock_config';

/** A node of the fleet: an agent, its lock, and its own ways to the store. */
interface ChaosNode {
  readonly name: string;
  readonly place: Scratch;
  readonly agent: Member;
  readonly proxies: readonly TcpProxy[];
  readonly watch: FileWatch;
}

interface Scene {
  readonly t: Ends;
  readonly etcd: TestEtcd;
  readonly disk: FreezableFs | undefined;
  readonly nodes: readonly ChaosNode[];
  readonly drivers: readonly {readonly driver: Member; readonly proxies: readonly TcpProxy[]}[];
  readonly random: Chances;
  /** Who is being disturbed. */
  readonly busy: Set<unknown>;
  readonly done: Record<string, number>;
  readonly ended: RolloutPast[];
  /** As an operator. */
  readonly open: () => Promise<OpenFleet>;
  readonly say: (line: string) => void;
}

/** Roots and a file of a node's own. */
function placeIn(base: string, name: string): Scratch {
  const directory = join(base, name);
  mkdirSync(join(directory, 'etc'), {recursive: true});
  const file = join(directory, 'etc', `${LOCK}.conf`);
  writeFileSync(file, `# ${name}, before anything came\n`);
  const run = join(directory, 'run');
  return {directory, file, roots: {run, state: join(directory, 'state'), bits: join(run, 'bits')}};
}

async function waysTo(t: Ends, etcd: TestEtcd): Promise<TcpProxy[]> {
  return Promise.all(etcd.members.map(({port}) => TcpProxy.to(t, port)));
}

async function setTheScene(
  t: Ends,
  {nodes: count, seed, say = () => undefined}: ChaosOptions,
): Promise<Scene> {
  // One member's disk can be made to hang, where we may mount one.
  const disk = process.getuid?.() === 0 ? await FreezableFs.mount(t) : undefined;
  const directories = disk ? [join(disk.path, 'data')] : [];
  const etcd = await startEtcd(t, {members: 3, isolable: true, directories});
  const base = scratch(t).directory;
  const keys = testKeys();
  const spec = (role: 'agent' | 'driver', node: string, proxies: readonly TcpProxy[], place: Scratch) => ({
    role,
    node,
    labels: {},
    endpoints: proxies.map(({endpoint}) => endpoint),
    keys,
    roots: place.roots,
  });
  const nodes: ChaosNode[] = [];
  for (let index = 0; index < count; index++) {
    const name = `node-${index}`;
    const place = placeIn(base, name);
    await openConfigLock(place.file, place.roots);
    const proxies = await waysTo(t, etcd);
    const watch = new FileWatch(place);
    t.teardown(() => watch.close());
    nodes.push({name, place, proxies, watch, agent: new Member(t, spec('agent', name, proxies, place))});
  }
  const drivers = [];
  for (const name of ['driver-0', 'driver-1']) {
    const proxies = await waysTo(t, etcd);
    drivers.push({driver: new Member(t, spec('driver', name, proxies, placeIn(base, name))), proxies});
  }
  for (const member of [...nodes.map(({agent}) => agent), ...drivers.map(({driver}) => driver)])
    await member.start();
  const config = toConfig({node: 'operator', labels: {}, keys, endpoints: etcd.endpoints});
  const open = () => openFleet(config, readSystem({node: 'operator'}));
  return {
    t,
    etcd,
    disk,
    nodes,
    drivers,
    random: chances(seed),
    busy: new Set(),
    done: {},
    ended: [],
    open,
    say,
  };
}

type Disturbance = (scene: Scene) => Promise<void>;

/** Does something to one of them whom nobody else disturbs. */
async function toOneOf<T>(
  {random, busy}: Scene,
  among: readonly T[],
  act: (one: T) => Promise<void>,
): Promise<void> {
  const free = among.filter(one => !busy.has(one));
  if (free.length === 0) return;
  const one = random.pick(free);
  busy.add(one);
  await act(one).finally(() => busy.delete(one));
}

/** So long something lasts, in milliseconds: short ones, and such as outlast a reservation or a lease. */
function aWhile({random}: Scene): Promise<void> {
  return pause(
    random.weighted([
      [3, random.between(50, 1000)],
      [2, random.between(1000, 6000)],
      [1, random.between(6000, 15_000)],
    ]),
  );
}

async function killAndRestart(scene: Scene, member: Member): Promise<void> {
  await member.kill();
  await aWhile(scene);
  await member.start();
}

async function stopAWhile(scene: Scene, member: Member): Promise<void> {
  member.stop();
  await aWhile(scene);
  member.goOn();
}

async function cutOff(scene: Scene, proxies: readonly TcpProxy[]): Promise<void> {
  const {random} = scene;
  const silently = random.next() < 0.5;
  for (const proxy of proxies) {
    if (silently) proxy.blackHole();
    else proxy.cut();
  }
  if (silently) await aWhile(scene);
  for (const proxy of proxies) {
    proxy.pass();
    proxy.cut();
  }
}

/** Somebody takes a node's lock, and gives it back, or dies with it: then a person recovers it. */
async function takeLock(scene: Scene, {place}: ChaosNode): Promise<void> {
  const somebody: Actor = await actor(scene.t, place);
  const answer = await Promise.race([somebody.do('acquire'), pause(3000)]);
  if (!answer || answer.error !== undefined) return somebody.kill();
  await aWhile(scene);
  if (scene.random.next() < 0.5) await somebody.do('release');
  await somebody.kill();
  await recoverAnyway(place);
}

/** As a person does; there may be nothing to recover, or somebody is faster. */
async function recoverAnyway({file, roots}: Scratch): Promise<void> {
  const config = await openConfigLock(file, roots);
  await config.recover().catch((error: unknown) => {
    if (!isLockError(error)) throw error;
  });
}

type Hurt = (member: TestMember, etcd: TestEtcd) => unknown;

/** One member of the store, so that two remain. */
const toMember =
  ([begin, end]: readonly [Hurt, Hurt]): Disturbance =>
  async scene => {
    const member = scene.random.pick(scene.etcd.members);
    await begin(member, scene.etcd);
    await aWhile(scene);
    await end(member, scene.etcd);
  };

/** The member goes on answering from memory, and writes nothing. */
async function hangDisk(scene: Scene): Promise<void> {
  await scene.disk?.freeze();
  await aWhile(scene);
  await scene.disk?.thaw();
}

const toAgent =
  (act: (scene: Scene, node: ChaosNode) => Promise<void>): Disturbance =>
  scene =>
    toOneOf(scene, scene.nodes, node => act(scene, node));

const toDriver =
  (act: (scene: Scene, driver: Scene['drivers'][number]) => Promise<void>): Disturbance =>
  scene =>
    toOneOf(scene, scene.drivers, driver => act(scene, driver));

const DISTURBANCES: readonly (readonly [weight: number, name: string, Disturbance])[] = [
  [4, 'agent killed', toAgent((scene, {agent}) => killAndRestart(scene, agent))],
  [4, 'agent stopped', toAgent((scene, {agent}) => stopAWhile(scene, agent))],
  [3, 'agent cut off', toAgent((scene, {proxies}) => cutOff(scene, proxies))],
  [4, 'lock taken', toAgent(takeLock)],
  [2, 'driver killed', toDriver((scene, {driver}) => killAndRestart(scene, driver))],
  [2, 'driver stopped', toDriver((scene, {driver}) => stopAWhile(scene, driver))],
  [2, 'driver cut off', toDriver((scene, {proxies}) => cutOff(scene, proxies))],
];

/** At most one at a time: two of three have to remain. */
const STORE_DISTURBANCES: typeof DISTURBANCES = [
  [2, 'member of the store killed', toMember([member => member.kill(), member => member.start()])],
  [2, 'member of the store stopped', toMember([member => member.freeze(), member => member.thaw()])],
  [
    2,
    'member of the store isolated',
    toMember([
      (member, etcd) => etcd.isolate(member),
      (_, {members}) => members.forEach(({way}) => way?.pass()),
    ]),
  ],
  [1, 'disk of a member hangs', hangDisk],
];

/** One disturbance after the other, until the time is over. */
async function disturb(scene: Scene, lane: typeof DISTURBANCES, until: number): Promise<void> {
  const {random, done, say} = scene;
  while (monotonic() < until) {
    const [name, act] = random.weighted(lane.map(([weight, ...what]) => [weight, what] as const));
    done[name] = (done[name] ?? 0) + 1;
    say(`  ${name}`);
    await act(scene);
    await pause(random.between(50, 800));
  }
}

function request({random}: Scene, number: number): RolloutRequest {
  const line = `roll-out ${number}\n`;
  return {
    lock: LOCK,
    // Long ones, of which half would be seen.
    content: Buffer.from(line.repeat(random.between(1, 20_000))),
    where: {},
    canary: random.between(1, 3),
    steps: random.pick([[100], [50, 100], [30, 60, 100]]),
    soak: random.pick([0, 0, 300, 1000]),
    prepareWithin: 10_000,
    applyWithin: 10_000,
    reservation: random.pick([2000, 5000, 10_000]),
    maxUnavailable: random.pick([null, null, 2]),
    maxFailed: random.pick([0, 0, 1, 2]),
    health: [],
    reason: `chaos ${number}`,
  };
}

/** What an operator does with a roll-out that waits for him; one who meddles also steps in without need. */
async function attend(scene: Scene, access: FleetAccess, id: string, meddling: boolean): Promise<string> {
  const {random} = scene;
  for await (const view of followRollout(access, id)) {
    const phase = view.state?.phase;
    if (phase === undefined) continue;
    if (hasEnded(phase)) {
      // The store keeps only the last ones.
      if (view.plan && view.state) scene.ended.push({plan: view.plan, state: view.state});
      scene.say(`${view.plan?.reason}: ${phase} ${view.state?.reason ?? ''}`);
      return phase;
    }
    if (phase === 'paused') {
      await pause(random.between(100, 3000));
      const command = random.weighted([
        [3, 'promote'],
        [1, 'abort'],
      ] as const);
      await commandRollout(access, id, command, 'chaos').catch(ignoreEnded);
    } else if (meddling && random.next() < 0.01)
      await commandRollout(access, id, random.pick(['pause', 'abort'] as const), 'chaos').catch(ignoreEnded);
  }
  throw new Error(`nothing more is told of ${id}`);
}

function ignoreEnded(error: unknown): void {
  if (!isLockError(error, 'ERR_ROLLOUT_ENDED')) throw error;
}

/** What passes, with the store or with nodes that are away. */
const PASSING = [
  'ERR_COHORT',
  'ERR_SESSION_LOST',
  'ERR_STORE_UNREACHABLE',
  'ERR_OUTCOME_UNKNOWN',
  'ERR_ROLLOUT_ACTIVE',
] as const;

/** Starts a roll-out and attends to it until it has ended; gives how. An operator whose session is lost begins another one. */
async function rollOut(scene: Scene, wanted: RolloutRequest, meddling = true): Promise<string> {
  let id: string | undefined;
  for (;;) {
    try {
      await using access = await scene.open();
      id ??= await activeRollout(access);
      id ??= (await startRollout(access, wanted)).plan.id;
      return await attend(scene, access, id, meddling);
    } catch (error) {
      if (!PASSING.some(code => isLockError(error, code))) throw error;
      await pause(500);
    }
  }
}

/** One whose start was not heard of. */
async function activeRollout(access: FleetAccess): Promise<string | undefined> {
  return (await listRollouts(access)).find(({active}) => active)?.id;
}

/** A roll-out after the other. Gives how many ended how. */
async function operate(scene: Scene, until: number): Promise<Record<string, number>> {
  const ends: Record<string, number> = {};
  for (let number = 1; monotonic() < until; number++) {
    const phase = await rollOut(scene, request(scene, number));
    ends[phase] = (ends[phase] ?? 0) + 1;
  }
  return ends;
}

/** Waits until all nodes are registered again. */
async function everybodyIsBack({nodes, open}: Scene): Promise<void> {
  await using access = await open();
  const back = new AbortController();
  using mirror = await access.etcd.mirror(KEYS.nodes, {
    onChanges: () => mirror.entries.size === nodes.length && back.abort(),
  });
  if (mirror.entries.size < nodes.length)
    await new Promise(resolve => back.signal.addEventListener('abort', resolve, {once: true}));
}

/** Hurts a fleet for so many seconds, lets it come to rest, and judges. */
export async function runChaos(t: Ends, options: ChaosOptions): Promise<ChaosResult> {
  const scene = await setTheScene(t, options);
  const {nodes, say} = scene;
  await everybodyIsBack(scene);
  const until = monotonic() + 1000 * options.seconds;
  const [ends] = await Promise.all([
    operate(scene, until),
    disturb(scene, DISTURBANCES, until),
    disturb(scene, DISTURBANCES, until),
    disturb(scene, STORE_DISTURBANCES, until),
  ]);
  say('everything is left alone now');
  await everybodyIsBack(scene);
  for (const {place} of nodes) await recoverAnyway(place);
  const phase = await rollOut(scene, {...request(scene, 0), canary: 1, steps: [100], maxFailed: 0}, false);
  ends[phase] = (ends[phase] ?? 0) + 1;
  for (const {agent} of nodes) await agent.end();
  const past: FleetPast = {
    nodes: await Promise.all(nodes.map(({name, watch}) => watch.past(name))),
    rollouts: scene.ended,
  };
  const complaints = [...nodes.map(({agent}) => agent), ...scene.drivers.map(({driver}) => driver)]
    .filter(member => member.complaints !== '')
    .map(member => `${member.spec.node} complained: ${member.complaints.slice(0, 2000)}`);
  const changes = past.nodes.reduce((sum, {sightings}) => sum + sightings.length - 1, 0);
  return {
    rollouts: ends,
    disturbances: scene.done,
    changes,
    wrong: [...judgeFleet(past), ...agreement(past), ...complaints],
  };
}
