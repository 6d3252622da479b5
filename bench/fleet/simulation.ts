/** How fast does a roll-out go through a large fleet? Many agents in few processes, a real etcd, real files; beside it the bare watches of etcd, in the same run. */
import {type ChildProcess, fork} from 'node:child_process';
import {once} from 'node:events';
import {setTimeout as pause} from 'node:timers/promises';
import {fileURLToPath} from 'node:url';
import type {HistoryEvent} from '../../lib/fleet/documents.js';
import {openFleet} from '../../lib/fleet/access.js';
import {Driver} from '../../lib/fleet/driver.js';
import {followRollout, hasEnded} from '../../lib/fleet/rollout-view.js';
import {startRollout} from '../../lib/fleet/start-rollout.js';
import {readSystem} from '../../lib/os/system.js';
import {PREFIX, startEtcd} from '../../test/helpers/etcd.js';
import {testKeys, toConfig} from '../../test/helpers/fleet/member.js';
import {type Ends, scratch} from '../../test/helpers/scratch.js';
import {type FromNodes, LOCK, machineClock, type NodeProcessSpec, type ToNodes} from './node-process.js';

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
  /** Since the driver's order to apply was written: when each node had taken it up. */
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
  onStep: (step: Extract<FromNodes, {did: 'step'}>) => void = () => undefined;

  constructor(t: Ends, spec: NodeProcessSpec) {
    const program = fileURLToPath(new URL('./node-process.js', import.meta.url));
    this.#size = spec.nodes.length;
    this.#child = fork(program, ['nodes', JSON.stringify(spec)], {serialization: 'advanced'});
    this.#child.on('message', (message: FromNodes) => message.did === 'step' && this.onStep(message));
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

  async gone(): Promise<void> {
    if (this.#child.exitCode === null) await once(this.#child, 'exit');
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

  add({event, node, at, facts}: Extract<FromNodes, {did: 'step'}>): void {
    const name = event === 'order' ? `order to ${(facts as {wanted?: string}).wanted}` : event;
    const nodes = this.#first.get(name) ?? new Map<string, number>();
    this.#first.set(name, nodes);
    if (!nodes.has(node)) nodes.set(node, at);
  }

  since(name: string, begun: number): number[] {
    return [...(this.#first.get(name)?.values() ?? [])].map(at => at - begun);
  }
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
  const steps = new Steps();
  for (const each of processes) each.onStep = step => steps.add(step);
  const end = new AbortController();
  let ordered = Number.POSITIVE_INFINITY;
  let converged = Number.POSITIVE_INFINITY;
  const driving = Driver.run(access, {
    signal: end.signal,
    onEvent: ({event, told}) => {
      const what = event === 'step' ? (told as HistoryEvent).event : event;
      // The last order to apply is that to all but the canary.
      if (what === 'applying') ordered = machineClock();
      if (what === 'converged') converged = machineClock();
    },
  });
  const begun = machineClock();
  const {plan} = await startRollout(access, {
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
  let said = 0;
  for await (const {state, counts} of followRollout(access, plan.id)) {
    if (state && hasEnded(state.phase)) break;
    // Each look goes over all nodes: not more often than somebody reads.
    await pause(500);
    if (machineClock() - said < 2000) continue;
    said = machineClock();
    const some = Object.entries(counts).filter(([, those]) => those > 0);
    say(`${state?.phase}: ${some.map(([name, those]) => `${those} ${name}`).join(', ')}`);
  }
  end.abort();
  await driving;
  await Promise.all(processes.map(each => each.do({do: 'end'})));
  await Promise.all(processes.map(each => each.gone()));
  return {
    nodes: count,
    bare,
    reached: steps.since('order to apply', ordered).filter(at => at >= 0),
    prepared: steps.since('fleet-prepared', begun),
    ordered: steps.since('order to apply', begun),
    applied: steps.since('fleet-applied', begun),
    converged: converged - begun,
  };
}
