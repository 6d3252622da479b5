/** How does a test have a store of its own? A real etcd of one or more members on loopback, which it may hurt. */
import {execFile, spawn} from 'node:child_process';
import {once} from 'node:events';
import {rmSync} from 'node:fs';
import {type AddressInfo, createServer} from 'node:net';
import {join} from 'node:path';
import {promisify} from 'node:util';
import {Etcd, type EtcdOptions} from '../../lib/fleet/etcd/etcd.js';
import {type Ends, scratch} from './scratch.js';
import {Started} from './started.js';
import type {TestCertificates} from './certificates.js';
import {TcpProxy} from './tcp-proxy.js';

export const PREFIX = '/locksmith/test/';

export interface Setting {
  readonly members?: 1 | 3;
  /** Clients must come with certificates of these. */
  readonly certificates?: TestCertificates;
  /** Where a member keeps its data. */
  readonly directories?: readonly string[];
  readonly options?: readonly string[];
  /** Members speak with each other through proxies, so that one can be isolated. */
  readonly isolable?: boolean;
}

/** Ports that were free a moment ago. */
async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({length: count}, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map(server => once(server, 'listening')));
  const ports = servers.map(server => (server.address() as AddressInfo).port);
  await Promise.all(servers.map(server => once(server.close(), 'close')));
  return ports;
}

interface Place {
  readonly port: number;
  readonly peerPort: number;
  readonly directory: string;
  readonly way: TcpProxy | undefined;
}

/** One member. */
export class TestMember {
  readonly name: string;
  readonly endpoint: string;
  readonly port: number;
  /** Where other members reach it. */
  readonly peer: string;
  readonly way: TcpProxy | undefined;
  readonly directory: string;
  readonly #t: Ends;
  readonly #args: readonly string[];
  #process: Started | undefined;

  constructor(
    t: Ends,
    name: string,
    {port, peerPort, directory, way}: Place,
    {certificates, options = []}: Setting,
  ) {
    const scheme = certificates ? 'https' : 'http';
    const listens = `http://127.0.0.1:${peerPort}`;
    this.#t = t;
    this.name = name;
    this.port = port;
    this.endpoint = `${scheme}://127.0.0.1:${port}`;
    this.way = way;
    this.peer = way?.endpoint ?? listens;
    this.directory = directory;
    const ours = {
      '--name': name,
      '--data-dir': directory,
      '--listen-client-urls': this.endpoint,
      '--advertise-client-urls': this.endpoint,
      '--listen-peer-urls': listens,
      '--initial-advertise-peer-urls': this.peer,
    };
    this.#args = [...Object.entries(ours).flat(), ...(certificates?.serverOptions ?? []), ...options];
  }

  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  /** Resolves when it serves clients. */
  async start(...options: readonly string[]): Promise<void> {
    const child = spawn('etcd', [...this.#args, ...options], {stdio: ['pipe', 'pipe', 'pipe']});
    const started = new Started(child);
    this.#process = started;
    this.#t.teardown(async () => {
      child.kill('SIGKILL');
      await started.ended;
    });
    const early = started.ended.then(({stderr}) => {
      throw new Error(`etcd ended before it was ready: ${stderr}`);
    });
    await Promise.race([started.says('ready to serve client requests'), early]);
    early.catch(() => undefined);
  }

  async kill(): Promise<void> {
    await this.#process?.kill();
  }

  /** SIGSTOP: it is silent, and its connections stay. */
  freeze(): void {
    this.#process?.child.kill('SIGSTOP');
  }

  thaw(): void {
    this.#process?.child.kill('SIGCONT');
  }
}

/** A cluster. */
export class TestEtcd {
  readonly members: readonly TestMember[];
  readonly #t: Ends;
  readonly #setting: Setting;
  readonly #cluster: readonly string[];

  constructor(t: Ends, members: readonly TestMember[], setting: Setting) {
    this.#t = t;
    this.members = members;
    this.#setting = setting;
    const cluster = members.map(({name, peer}) => `${name}=${peer}`).join(',');
    this.#cluster = ['--initial-cluster', cluster];
  }

  get endpoints(): string[] {
    return this.members.map(({endpoint}) => endpoint);
  }

  async start(): Promise<void> {
    await Promise.all(this.members.map(member => member.start(...this.#cluster)));
  }

  /** A client; closed when the test has ended, or what the store was started for. */
  async connect(options: Partial<EtcdOptions> = {}, t: Ends = this.#t): Promise<Etcd> {
    const tls = this.#setting.certificates?.tls;
    const etcd = await Etcd.connect({endpoints: this.endpoints, prefix: PREFIX, tls, ...options});
    t.teardown(() => etcd.close());
    return etcd;
  }

  /** What `etcdctl` prints; as root, when there are users. */
  async ctl(...args: readonly string[]): Promise<string> {
    const {ctlOptions = []} = this.#setting.certificates ?? {};
    const options = ['--endpoints', this.endpoints.join(','), ...ctlOptions, ...args];
    const {stdout} = await promisify(execFile)('etcdctl', options, {env: {...process.env, ETCDCTL_API: '3'}});
    return stdout;
  }

  /** Members are killed, and begin anew with what is in a backup. */
  async restore(backup: string): Promise<void> {
    await Promise.all(this.members.map(member => member.kill()));
    for (const {name, peer, directory} of this.members) {
      rmSync(directory, {recursive: true});
      const how = ['--name', name, '--data-dir', directory, '--initial-advertise-peer-urls', peer];
      await this.ctl('snapshot', 'restore', backup, ...how, ...this.#cluster);
    }
    await this.start();
  }

  /** No other member hears of it, nor it of them. */
  async isolate({endpoint, way}: TestMember): Promise<void> {
    const own = (await this.#status()).find(({Endpoint}) => Endpoint === endpoint)?.Status.header.member_id;
    way?.refuse();
    const from = new RegExp(`X-Server-From: ${BigInt(own ?? 0).toString(16)}`, 'i');
    for (const member of this.members) member.way?.refuseFrom(from);
  }

  async leader(): Promise<TestMember> {
    const {members} = this;
    const told = await this.#status();
    const leader = told.find(({Status: {header, leader: id}}) => header.member_id === id)?.Endpoint;
    const found = members.find(({endpoint}) => endpoint === leader);
    if (!found) throw new Error('the cluster has no leader');
    return found;
  }

  async followers(): Promise<TestMember[]> {
    const leader = await this.leader();
    return this.members.filter(member => member !== leader);
  }

  async #status(): Promise<Told[]> {
    const text = await this.ctl('endpoint', 'status', '--write-out', 'json');
    // Ids have 64 bits.
    const exact = text.replaceAll(/:(\d{15,})/g, ':"$1"');
    return JSON.parse(exact) as Told[];
  }
}

interface Told {
  readonly Endpoint: string;
  readonly Status: {readonly header: {readonly member_id: string}; readonly leader: string};
}

/** Things that end in the order in which tests end them: the last first. For a store that the tests of a file share. */
export class Shared implements Ends {
  readonly #ends: (() => unknown)[] = [];

  teardown(end: () => unknown): void {
    this.#ends.unshift(end);
  }

  async end(): Promise<void> {
    for (const end of this.#ends.splice(0)) await end();
  }
}

/** Starts a cluster and waits until it serves clients; it is killed with the test. */
export async function startEtcd(t: Ends, setting: Setting = {}): Promise<TestEtcd> {
  const {members: count = 1, directories = []} = setting;
  const {directory} = scratch(t);
  const ports = await freePorts(2 * count);
  const members = [];
  for (let index = 0; index < count; index++) {
    const [port = 0, peerPort = 0] = ports.slice(2 * index);
    const way = setting.isolable ? await TcpProxy.to(t, peerPort) : undefined;
    const place = {port, peerPort, way, directory: directories[index] ?? join(directory, `data-${index}`)};
    members.push(new TestMember(t, `member-${index}`, place, setting));
  }
  const etcd = new TestEtcd(t, members, setting);
  await etcd.start();
  return etcd;
}
