/**
 * Many nodes of a simulated fleet in one process: the agents that real nodes run, each with its own lease, watch, lock, file and
 * state; only connections are shared, and the fence of a rename is the clock. Told what to do over IPC, see simulation.ts.
 */
import {mkdirSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import type {ClientDuplexStream} from '@grpc/grpc-js';
import {Agent} from '../../lib/fleet/agent.js';
import {Channels, Etcd, type Reach} from '../../lib/fleet/etcd/etcd.js';
import {WATCH, type WatchAnswer, type WatchRequest} from '../../lib/fleet/etcd/protocol.js';
import type {Roots} from '../../lib/lock/layout.js';
import {KEYS} from '../../lib/fleet/keys.js';
import {openConfigLock} from '../../lib/recovery/guarded-config.js';
import {readSystem} from '../../lib/os/system.js';
import {toConfig, type TestKeys} from '../../test/helpers/fleet/member.js';

export const LOCK = 'aim_lock_config';

export interface NodeProcessSpec {
  readonly endpoints: readonly string[];
  readonly keys: TestKeys;
  readonly directory: string;
  readonly nodes: readonly string[];
  /** Agents that share a connection to each member. */
  readonly perConnection: number;
}

export type ToNodes =
  | {readonly do: 'watch'; readonly key: string}
  | {readonly do: 'unwatch'}
  | {readonly do: 'start'}
  | {readonly do: 'report'}
  | {readonly do: 'end'};

/** Times are milliseconds on the monotonic clock of the machine. */
export type FromNodes =
  | {readonly did: ToNodes['do'] | 'made'}
  | {readonly did: 'heard'; readonly at: readonly number[]}
  | {readonly did: 'steps'; readonly steps: readonly Step[]};

/** Something that a node came to: what its agent told, or that an order was brought to it. */
export interface Step {
  readonly what: string;
  readonly node: string;
  readonly at: number;
}

/** The same for all processes of a machine, and never set back (clock_gettime(2), CLOCK_MONOTONIC). */
export function machineClock(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

function tell(message: FromNodes): void {
  process.send?.(message);
}

/** Connections, each for so many agents. */
function shareChannels(reach: Reach, count: number, perConnection: number): Channels[] {
  return Array.from({length: Math.ceil(count / perConnection)}, () => new Channels(reach));
}

type Stream = ClientDuplexStream<WatchRequest, WatchAnswer>;

/** Watches of one key and nothing else, as bare as etcd has them, over the connections of the agents. */
class BareWatches {
  readonly #streams: Stream[] = [];
  #heard: number[] = [];

  async open(pool: readonly Channels[], count: number, key: string): Promise<void> {
    const created = Array.from({length: count}, (_, index) => {
      const {members} = pool[index % pool.length] as Channels;
      const {client} = members[index % members.length] as Channels['members'][number];
      const {path, requestSerialize, responseDeserialize} = WATCH;
      const stream = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
      this.#streams.push(stream);
      stream.on('error', () => undefined);
      stream.write({
        createRequest: {key: Buffer.from(key), startRevision: 0, progressNotify: false, fragment: false},
      });
      return new Promise<void>(resolve =>
        stream.on('data', (answer: WatchAnswer) => {
          if (answer.created) resolve();
          for (const _event of answer.events) this.#hear(count);
        }),
      );
    });
    await Promise.all(created);
  }

  close(): void {
    for (const stream of this.#streams.splice(0)) stream.cancel();
  }

  /** Told when all have heard of it. */
  #hear(count: number): void {
    this.#heard.push(machineClock());
    if (this.#heard.length < count) return;
    tell({did: 'heard', at: this.#heard});
    this.#heard = [];
  }
}

/** Notes when an order is brought to an agent, before it has looked at it. */
function noteOrders(etcd: Etcd, note: (what: string) => void): void {
  const mirror = etcd.mirror.bind(etcd);
  etcd.mirror = (prefix, following) =>
    mirror(prefix, {
      ...following,
      onChanges(changes, revision) {
        for (const {key, value} of changes)
          if (key.startsWith(KEYS.orders)) note(`brought ${value?.modRevision}`);
        following.onChanges(changes, revision);
      },
    });
}

interface Place {
  readonly node: string;
  readonly roots: Roots;
}

/** Makes the files of one node. */
async function makePlace(directory: string, node: string): Promise<Place> {
  const base = join(directory, node);
  const file = join(base, 'etc', `${LOCK}.conf`);
  const run = join(base, 'run');
  const roots = {run, state: join(base, 'state'), bits: join(run, 'bits')};
  mkdirSync(join(base, 'etc'), {recursive: true});
  writeFileSync(file, `# ${node}, before anything came\n`);
  await openConfigLock(file, roots);
  return {node, roots};
}

async function main(spec: NodeProcessSpec): Promise<void> {
  const {nodes, endpoints, keys, perConnection} = spec;
  const pool = shareChannels({endpoints}, nodes.length, perConnection);
  const places: Place[] = [];
  for (const node of nodes) places.push(await makePlace(spec.directory, node));
  const system = readSystem();
  const bare = new BareWatches();
  const agents: Agent[] = [];
  const common = toConfig({node: '', labels: {}, endpoints, keys});
  const steps: Step[] = [];
  const stores: Etcd[] = [];
  const startOne = async ({node, roots}: Place, index: number) => {
    const config = {...common, node};
    const channels = pool[index % pool.length];
    const etcd = await Etcd.connect({...config.etcd, channels, timeout: 60_000});
    stores.push(etcd);
    noteOrders(etcd, what => steps.push({what, node, at: machineClock()}));
    agents.push(
      await Agent.start({
        config,
        etcd,
        version: 'simulated',
        system: {...system, node},
        roots,
        fence: 'clock',
        // A thousand agents in one loop keep each other waiting, as those of a thousand machines would not.
        ttl: 300,
        hold: () => Promise.reject(new Error('nothing is held in a simulation')),
        onEvent: ({event, wanted}) =>
          steps.push({what: wanted ? `${event} to ${wanted as string}` : event, node, at: machineClock()}),
      }),
    );
  };
  const acts: Record<ToNodes['do'], (message: ToNodes) => Promise<void>> = {
    watch: async message => bare.open(pool, nodes.length, 'key' in message ? message.key : ''),
    unwatch: async () => bare.close(),
    async start() {
      // Some at a time: each makes a session and reads what is in force.
      const left = places.map((place, index) => [place, index] as const);
      const lane = async () => {
        for (let next = left.shift(); next; next = left.shift()) await startOne(...next);
      };
      await Promise.all(Array.from({length: 20}, lane));
    },
    report: async () => tell({did: 'steps', steps}),
    async end() {
      await Promise.all(agents.map(agent => agent.end()));
      await Promise.all(stores.map(etcd => etcd.close()));
      for (const channels of pool) channels.close();
    },
  };
  const act = async (message: ToNodes) => {
    await acts[message.do](message);
    if (message.do === 'end') process.disconnect();
    else tell({did: message.do});
  };
  // What is thrown ends the process, which its parent hears.
  process.on('message', (message: ToNodes) => void act(message));
  process.once('disconnect', () => process.exit());
  tell({did: 'made'});
}

if (process.argv[2] === 'nodes') await main(JSON.parse(process.argv[3] ?? '') as NodeProcessSpec);
