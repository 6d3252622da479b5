/** How does a harness lead owners, and those who keep their descriptors, and know when each was gone? Real processes, told by handshakes. */
import {type ChildProcess, fork} from 'node:child_process';
import {once} from 'node:events';
import {createServer, type Server, type Socket} from 'node:net';
import {createInterface, type Interface} from 'node:readline';
import type {Duplex} from 'node:stream';
import {fileURLToPath} from 'node:url';
import {waitForExit} from '../../lib/os/process.js';
import type {RootOptions} from '../../lib/lock/layout.js';
import {now, type Stop} from './owner-history.js';
import {stopProcess} from './proc-state.js';

export type OrderName = 'acquire' | 'release' | 'recover' | 'give-to' | 'pass-by' | 'become';

export interface Order {
  readonly name: OrderName;
  /** Program and arguments. */
  readonly command?: readonly string[];
  /** The shared object that executes it. */
  readonly library?: string;
  /** With guard and gate inherited; by default true for others, and false for the owner that becomes another program. */
  readonly keeping?: boolean;
  /** It talks to the harness by the line that the owner was started with. */
  readonly onLine?: boolean;
}

/** A process that can be stopped and ended. */
export interface Mortal {
  readonly pid: number;
  /** Sends SIGKILL at once; resolves when it is gone. */
  kill(): Promise<void>;
}

/** A process that works with one lock (fixtures/observed-owner.ts). */
export class ObservedOwner implements Mortal {
  readonly #child: ChildProcess;
  readonly #gone: Promise<unknown>;

  constructor(child: ChildProcess) {
    this.#child = child;
    this.#gone = once(child, 'exit');
  }

  static async start(file: string, roots: RootOptions): Promise<ObservedOwner> {
    const program = fileURLToPath(new URL('../fixtures/observed-owner.js', import.meta.url));
    const child = fork(program, [JSON.stringify({file, roots})], {
      serialization: 'advanced',
      stdio: ['ignore', 'inherit', 'inherit', 'ipc', 'pipe'],
    });
    const owner = new ObservedOwner(child);
    await once(child, 'message');
    return owner;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** A line to whatever it starts, which it does not use itself. */
  get line(): Duplex {
    return this.#child.stdio[4] as Duplex;
  }

  /** Gives an order and waits for its answer. One at a time. */
  async do<T>(order: Order): Promise<T> {
    const answer = once(this.#child, 'message') as Promise<[T & {error?: string}]>;
    this.#child.send(order);
    const gone = this.#gone.then(() => {
      throw new Error(`the owner ended before it answered "${order.name}"`);
    });
    const [facts] = await Promise.race([answer, gone]);
    if (facts.error !== undefined) throw new Error(`${order.name}: ${facts.error}`);
    return facts;
  }

  /** Gives an order that has no answer. */
  start(order: Order): void {
    this.#child.send(order);
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#gone;
  }
}

/** Stops a process, until the kernel says that it is. */
export function stop({pid}: Mortal): Stop {
  const begins = {from: now(), to: 0n};
  stopProcess(pid);
  begins.to = now();
  return {begins, ends: {from: 2n ** 63n, to: undefined}};
}

/** Lets it go on. */
export function goOn({pid}: Mortal, {ends}: Stop): void {
  ends.from = now();
  process.kill(pid, 'SIGCONT');
  ends.to = now();
}

/** A descriptor-keeper that has come to its master. */
export class Keeper implements Mortal {
  readonly pid: number;
  readonly #socket: Socket;
  readonly #lines: Interface;

  constructor(pid: number, socket: Socket, lines: Interface) {
    this.pid = pid;
    this.#socket = socket;
    this.#lines = lines;
  }

  /** Lets it receive what is in its mailbox. */
  async receive(): Promise<void> {
    const received = once(this.#lines, 'line');
    this.#socket.write('r');
    await received;
  }

  /** Lets it execute itself; it comes again by itself. */
  execute(): void {
    this.#socket.write('x');
  }

  async kill(): Promise<void> {
    const gone = waitForExit(this.pid);
    process.kill(this.pid, 'SIGKILL');
    await gone;
  }
}

/** Where keepers come to and say their pids. */
export class KeepersMaster {
  readonly path: string;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #come: Keeper[] = [];
  readonly #expected: {pid: number; resolve: (keeper: Keeper) => void}[] = [];

  private constructor(path: string) {
    this.path = path;
    this.#server = createServer(socket => void this.#greet(socket));
  }

  static async listen(path: string): Promise<KeepersMaster> {
    const master = new KeepersMaster(path);
    master.#server.listen(path);
    await once(master.#server, 'listening');
    return master;
  }

  /** Resolves when the keeper with that pid has come, which it does once for each time it was executed. */
  keeper(pid: number): Promise<Keeper> {
    const index = this.#come.findIndex(each => each.pid === pid);
    if (index >= 0) return Promise.resolve(this.#come.splice(index, 1)[0] as Keeper);
    return new Promise(resolve => this.#expected.push({pid, resolve}));
  }

  /** Ends all keepers with their connections. */
  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  async #greet(socket: Socket): Promise<void> {
    this.#sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => this.#sockets.delete(socket));
    const lines = createInterface({input: socket});
    lines.on('error', () => undefined);
    const [line] = (await once(lines, 'line')) as [string];
    const keeper = new Keeper(Number(line), socket, lines);
    const index = this.#expected.findIndex(({pid}) => pid === keeper.pid);
    if (index >= 0) this.#expected.splice(index, 1)[0]?.resolve(keeper);
    else this.#come.push(keeper);
  }
}
