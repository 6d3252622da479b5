/** How fast does a roll-out go through a large fleet? Many agents in few processes, a real etcd, real files; beside it the bare watches of etcd, in the same run. */
import {type ChildProcess, fork} from 'node:child_process';
import {once} from 'node:events';
import {setTimeout as pause} from 'node:timers/promises';
import {fileURLToPath} from 'node:url';
import type {HistoryEvent} from '../../lib/fleet/documents.js';
import {openFleet} from '../../lib/fleet/access.js';
import {Driver} from '../../lib/fleet/driver.js';
import type {Etcd} from '../../lib/fleet/etcd/etcd.js';
import {KEYS} from '../../lib/fleet/keys.js';
import {followRollout, hasEnded} from '../../lib/fleet/rollout-view.js';
import {startRollout} from '../../lib/fleet/start-rollout.js';
import {readSystem} from '../../lib/os/system.js';
import {PREFIX, startEtcd} from '../../test/helpers/etcd.js';
import {testKeys, toConfig} from '../../test/helpers/fleet/member.js';
import {type Ends, scratch} from '../../test/helpers/scratch.js';
import {
  type FromNodes,
  LOCK,
  machineClock,
  type NodeProcessSpec,
  type Step,
  type ToNodes,
} from './node-process.js';

export interface SimulationOptions {
  readonly nodes: number;
  readonly processes: number;
  readonly perConnection: number;
  /** Times that the bare watches are measured. */
  readonly rounds: number;
  readonly bytes: number;
  /** Where the files are: on a file system with user extended attributes, on memory where that is there. */
  readonly base?: string | undefined;
  readonly say: (line: string) => void;
}

/** All in milliseconds since what is said. */
export interface Simulated {
  readonly nodes: number;
  /** Since each put: when each watcher had it. */
  readonly bare: readonly (readonly number[])[];
  /** Since the driver sent the order to apply to etcd: when it was brought to each agent. */
  readonly reached: readonly number[];
  /** Since the start: when each node was prepared, had the order to apply, and had applied. */
  readonly prepared: readonly number[];
  readonly ordered: readonly number[];
  readonly applied: readonly number[];
  /** Since the start. */
  readonly converged: number;
}

/** A process of nodes. */
class NodeProcess {
  readonly #child: ChildProcess;
  readonly #size: number;
  constructor(t: Ends, spec: NodeProcessSpec) {
    const program = fileURLToPath(new URL('./node-process.js', import.meta.url));
    this.#size = spec.nodes.length;
    this.#child = fork(program, ['nodes', JSON.stringify(spec)], {serialization: 'advanced'});
    t.teardown(() => this.#child.kill('SIGKILL'));
  }

  get size(): number {
    return this.#size;
  }

  /** Rejects when it ends before it says so. */
  async next<Did extends FromNodes['did']>(did: Did): Promise<Extract<FromNodes, {did: Did}>> {
    return new Promise((resolve, reject) => {
      const exit = () => reject(new Error(`a process of nodes has ended before it said "${did}"`));
      const hear = (message: FromNodes) => {
        if (message.did !== did) return;
        this.#child.off('message', hear).off('exit', exit);
        resolve(message as Extract<FromNodes, {did: Did}>);
      };
      this.#child.on('message', hear).once('exit', exit);
    });
  }

  async do(message: ToNodes): Promise<void> {
    const done = this.next(message.do as 'start');
    this.#child.send(message);
    await done;
  }

  /** Its agents say good-bye. */
  async end(): Promise<void> {
    const gone = once(this.#child, 'exit');
    this.#child.send({do: 'end'} satisfies ToNodes);
    await gone;
  }
}

async function measureBare(
  processes: readonly NodeProcess[],
  rounds: number,
  put: (value: string) => Promise<unknown>,
): Promise<number[][]> {
  const measured: number[][] = [];
  await Promise.all(processes.map(each => each.do({do: 'watch', key: `${PREFIX}bare`})));
  for (let round = 0; round < rounds; round++) {
    const heard = Promise.all(processes.map(each => each.next('heard')));
    const begun = machineClock();
    // As long as an order with its signature.
    await put(String(round).padEnd(400, '.'));
    measured.push((await heard).flatMap(({at}) => at.map(time => time - begun)));
  }
  await Promise.all(processes.map(each => each.do({do: 'unwatch'})));
  return measured;
}

/** When each node came to a step first. */
class Steps {
  readonly #first = new Map<string, Map<string, number>>();

  constructor(steps: readonly Step[]) {
    for (const {what, node, at} of steps) {
      const nodes = this.#first.get(what) ?? new Map<string, number>();
      this.#first.set(what, nodes);
      if (!nodes.has(node)) nodes.set(node, at);
    }
  }

  /** In milliseconds, since when it began. */
  since(what: string, begun: number): number[] {
    return [...(this.#first.get(what)?.values() ?? [])].map(at => at - begun);
  }
}

interface Ordered {
  /** Right before it was sent to etcd. */
  readonly at: number;
  readonly revision: number;
}

/** Notes each order that is written through the sessions of a store. */
function noteOrders(etcd: Etcd): Ordered[] {
  const orders: Ordered[] = [];
  const begin = etcd.session.bind(etcd);
  etcd.session = async options => {
    const session = await begin(options);
    const transact = session.transact.bind(session);
    session.transact = async (transaction, asking) => {
      const at = machineClock();
      const outcome = await transact(transaction, asking);
      const isOrder = transaction.then.some(each => 'put' in each && each.put === KEYS.order(LOCK));
      if (isOrder && outcome.applied) orders.push({at, revision: outcome.revision});
      return outcome;
    };
    return session;
  };
  return orders;
}

/** Runs it once. */
export async function simulate(t: Ends, options: SimulationOptions): Promise<Simulated> {
  const {nodes: count, processes: size, perConnection, say} = options;
  const etcd = await startEtcd(t, {members: 3});
  const keys = testKeys();
  const {directory} = scratch(t, options.base);
  const names = Array.from({length: count}, (_, index) => `node-${index}`);
  const processes = Array.from(
    {length: size},
    (_, index) =>
      new NodeProcess(t, {
        endpoints: etcd.endpoints,
        keys,
        directory,
        nodes: names.filter((_name, at) => at % size === index),
        perConnection,
      }),
  );
  await Promise.all(processes.map(each => each.next('made')));
  say(`${count} nodes in ${size} processes have their locks and files`);
  const config = toConfig({node: 'driver', labels: {}, endpoints: etcd.endpoints, keys});
  const system = readSystem({node: 'driver'});
  await using access = await openFleet({...config, etcd: {...config.etcd, timeout: 60_000}}, system);
  const bare = await measureBare(processes, options.rounds, value =>
    access.session.transact({when: [], then: [{put: 'bare', value}]}),
  );
  say('bare watches are measured');
  await Promise.all(processes.map(each => each.do({do: 'start'})));
  say('all agents are registered');
  const orders = noteOrders(access.etcd);
  const end = new AbortController();
  let converged = Number.POSITIVE_INFINITY;
  const driving = Driver.run(access, {
    signal: end.signal,
    onEvent({event, told}) {
      if (event === 'step' && (told as HistoryEvent).event === 'converged') converged = machineClock();
    },
  });
  const begun = machineClock();
  const {
    plan: {id},
  } = await startRollout(access, {
    lock: LOCK,
    content: Buffer.alloc(options.bytes, 'gain = 9\n'),
    where: {},
    canary: 3,
    steps: [100],
    soak: 0,
    prepareWithin: 600_000,
    applyWithin: 600_000,
    reservation: 600_000,
    // Two processors do the work of all these machines.
    spread: 10 * count,
    maxUnavailable: null,
    maxFailed: 0,
    health: [],
    reason: 'a simulation',
  });
  for await (const {state, counts} of followRollout(access, id)) {
    if (state && hasEnded(state.phase)) break;
    const some = Object.entries(counts).filter(([, those]) => those > 0);
    say(`${state?.phase}: ${some.map(([name, those]) => `${those} ${name}`).join(', ')}`);
    // Each look goes over all nodes: not more often than somebody reads.
    await pause(2000);
  }
  end.abort();
  await driving;
  const told = Promise.all(processes.map(each => each.next('steps')));
  await Promise.all(processes.map(each => each.do({do: 'report'})));
  const steps = new Steps((await told).flatMap(each => each.steps));
  await Promise.all(processes.map(each => each.end()));
  // The canary prepares and applies, the others prepare and apply, then the last order ends it.
  const commit = orders.at(-2);
  if (!commit) throw new Error('there was no order to apply');
  return {
    nodes: count,
    bare,
    reached: steps.since(`brought ${commit.revision}`, commit.at),
    prepared: steps.since('fleet-prepared', begun),
    ordered: steps.since('order to apply', begun),
    applied: steps.since('fleet-applied', begun),
    converged: converged - begun,
  };
}
