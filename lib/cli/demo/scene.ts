/** Where does the demo play? A scratch directory with three nodes, and the processes on them. Nothing outside is touched. */
import {type ChildProcess, fork, spawn} from 'node:child_process';
import {on, once} from 'node:events';
import {mkdir, mkdtemp, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {createInterface} from 'node:readline';
import {text} from 'node:stream/consumers';
import {fileURLToPath} from 'node:url';
import {removeKernelBit, kernelBits, mayCreateKernelBit} from '../../os/kernel-bit.js';
import {openLockBit} from '../../os/lock-bit.js';
import {system} from '../../os/system.js';
import {StoryBroken} from './expect.js';
import type {Node} from './node.js';
import type {Line} from './part.js';

export const NAME = 'aim_lock_config';

/** What a command gave. */
export interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const MAIN = fileURLToPath(new URL('../main.js', import.meta.url));

function environment({roots}: Node): NodeJS.ProcessEnv {
  return {
    ...process.env,
    NO_COLOR: '1',
    LOCKSMITH_RUN: roots.run,
    LOCKSMITH_STATE: roots.state,
    LOCKSMITH_BITS: roots.bits,
    // None: what this machine's says is not for its locks.
    LOCKSMITH_POLICY: join(roots.run, 'policy'),
  };
}

/** Removes the kernel's lock of the demo, whose processes have all ended: a bit that is still set has a dead owner. */
function removeBit(root: string): void {
  const bit = openLockBit(root, NAME);
  if (bit.read() === 1) bit.open().clear(bit.epoch());
  removeKernelBit(root, NAME);
}

/** A process that plays a part, and what it says. */
export class Actor {
  readonly pid: number;
  readonly #part: string;
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<[Line], undefined>;

  constructor(part: string, child: ChildProcess, signal: AbortSignal) {
    this.#part = part;
    this.#child = child;
    this.pid = child.pid ?? 0;
    this.#lines = on(child, 'message', {signal, close: ['exit']}) as AsyncIterator<[Line], undefined>;
  }

  /** Waits until it says that; what it says before is passed over. */
  async hear(word: string, which: (line: Line) => boolean = () => true): Promise<Line> {
    for (;;) {
      const {value} = await this.#lines.next();
      if (!value) throw new StoryBroken(`the ${this.#part} ended before it said "${word}"`);
      const [line] = value;
      if (line.say === word && which(line)) return line;
    }
  }

  tell(word: string): void {
    this.#child.send(word);
  }

  /** Kills it with SIGKILL and waits until it is gone. */
  async kill(): Promise<void> {
    const gone = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await gone;
  }
}

/**
 * The scratch directory and all processes of the demo. Disposing it ends exactly those, and removes the directory unless it
 * is kept. Where the kernel module is loaded and has no lock of that name, node-1 has its bit in the kernel; that goes too.
 */
export class Scene {
  readonly directory: string;
  readonly nodes: readonly [Node, Node, Node];
  readonly signal: AbortSignal;
  /** The first node's bit is the kernel's. */
  readonly inKernel: boolean;
  readonly #keep: boolean;
  readonly #children = new Set<ChildProcess>();

  private constructor(directory: string, signal: AbortSignal, keep: boolean) {
    this.directory = directory;
    this.signal = signal;
    this.#keep = keep;
    this.inKernel = mayCreateKernelBit(system(), NAME);
    this.nodes = [
      this.#node('node-1', this.inKernel ? kernelBits(system()) : undefined),
      this.#node('node-2'),
      this.#node('node-3'),
    ];
  }

  static async build(content: string, signal: AbortSignal, keep: boolean): Promise<Scene> {
    const scene = new Scene(await mkdtemp(join(tmpdir(), 'locksmith-demo-')), signal, keep);
    for (const {name, file} of scene.nodes) {
      await mkdir(join(scene.directory, name, 'etc'), {recursive: true});
      await writeFile(file, content);
    }
    return scene;
  }

  #node(name: string, bits?: string): Node {
    const home = join(this.directory, name);
    const run = join(home, 'run');
    return {
      name,
      file: join(home, 'etc', `${NAME}.conf`),
      roots: {run, state: join(home, 'state'), bits: bits ?? join(run, 'bits')},
    };
  }

  /** Starts a part: the program of that name beside this file. */
  start(part: 'owner' | 'orchestrator' | 'contender', given: unknown): Actor {
    const program = new URL(`./${part}.js`, import.meta.url);
    return new Actor(part, this.#adopt(fork(program, [JSON.stringify(given)], {execArgv: []})), this.signal);
  }

  /** Runs the real command line on a node. */
  async locksmith(node: Node, ...args: readonly string[]): Promise<Ended> {
    const child = this.#spawn(node, args);
    const [stdout, stderr] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, 'close'),
    ]);
    return {status: child.exitCode, stdout, stderr};
  }

  /** Runs the real command line on a node, and hands on each line of its results as it comes. */
  async follow(node: Node, args: readonly string[], onLine: (line: string) => Promise<void>): Promise<Ended> {
    const child = this.#spawn(node, args);
    const read = async () => {
      for await (const line of createInterface({input: child.stdout})) await onLine(line);
    };
    const [stderr] = await Promise.all([text(child.stderr), once(child, 'close'), read()]);
    return {status: child.exitCode, stdout: '', stderr};
  }

  #spawn(node: Node, args: readonly string[]) {
    const child = spawn(process.execPath, [MAIN, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: environment(node),
      signal: this.signal,
    });
    // An end by the signal is told by whoever awaits it.
    child.on('error', () => undefined);
    this.#adopt(child);
    return child;
  }

  #adopt<Child extends ChildProcess>(child: Child): Child {
    this.#children.add(child);
    child.once('exit', () => this.#children.delete(child));
    return child;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const children = [...this.#children];
    const gone = children.map(child => once(child, 'exit'));
    for (const child of children) child.kill('SIGKILL');
    await Promise.all(gone);
    if (this.#keep) return;
    await rm(this.directory, {recursive: true, force: true});
    if (this.inKernel) removeBit(this.nodes[0].roots.bits);
  }
}
