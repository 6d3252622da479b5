/** How does a test have a daemon of its own? The real program on a scratch, asked through the client. */
import {spawn} from 'node:child_process';
import {mkdirSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {DaemonClient, type ServerEvent} from '../../lib/daemon/client.js';
import {socketPath} from '../../lib/daemon/socket-path.js';
import {MAIN} from './cli.js';
import {sanitizers} from './sanitizers.js';
import type {Ends, Scratch} from './scratch.js';
import {Started} from './started.js';

/** What the policy says of all locks. */
export const AUTOMATIC = 'locks:\n  "*":\n    recover: automatic\n';
export const MANUAL = 'locks:\n  "*":\n    recover: manual\n';

export interface DaemonSetting {
  /** Text of the one policy file. */
  readonly policy?: string;
  readonly options?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** What it is started by, `prlimit --nofile=64` say. */
  readonly under?: readonly string[];
}

export function policyFile({directory}: Scratch): string {
  return join(directory, 'policy', 'all.yaml');
}

export function writePolicy(place: Scratch, text: string): void {
  mkdirSync(join(place.directory, 'policy'), {recursive: true});
  writeFileSync(policyFile(place), text);
}

/** Starts the program; it need not become ready. It is killed when the test has ended. */
export function startDaemon(t: Ends, place: Scratch, setting: DaemonSetting = {}): Started {
  const {policy = MANUAL, options = [], env = {}, under = []} = setting;
  writePolicy(place, policy);
  const {run, state, bits} = place.roots;
  const places = {
    LOCKSMITH_RUN: run,
    LOCKSMITH_STATE: state,
    LOCKSMITH_BITS: bits,
    LOCKSMITH_POLICY: join(place.directory, 'policy'),
  };
  const [command = '', ...args] = [...under, process.execPath, MAIN, 'daemon', ...options];
  const child = spawn(command, args, {
    env: {...process.env, ...places, ...sanitizers(), ...env},
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  return new Started(child);
}

/** A daemon that is ready. */
export class TestDaemon {
  readonly started: Started;
  readonly client: DaemonClient;

  constructor(started: Started, client: DaemonClient) {
    this.started = started;
    this.client = client;
  }

  get pid(): number {
    return this.started.pid;
  }

  async kill(): Promise<void> {
    await this.started.kill();
  }

  /** SIGTERM, and its end. */
  async end(): Promise<Awaited<Started['ended']>> {
    this.started.child.kill('SIGTERM');
    return this.started.ended;
  }

  /** What it tells from now on; listening already when this resolves. */
  async listen(): Promise<Listening> {
    return Listening.to(this.client);
  }
}

/** Events of a daemon, in their order. */
export class Listening {
  readonly #events: AsyncGenerator<ServerEvent>;
  readonly seen: ServerEvent[] = [];

  private constructor(events: AsyncGenerator<ServerEvent>) {
    this.#events = events;
  }

  static async to(client: DaemonClient): Promise<Listening> {
    const listening = new Listening(client.events());
    await listening.until('hello');
    return listening;
  }

  /** The next event of that name, of that lock if one is given. */
  async until(event: string, lock?: string): Promise<ServerEvent['data']> {
    for (;;) {
      const {done, value} = await this.#events.next();
      if (done) throw new Error(`the events ended before "${event}"`);
      this.seen.push(value);
      if (value.event === event && (lock === undefined || value.data['lock'] === lock)) return value.data;
    }
  }
}

/** Starts a daemon and waits until it is ready. */
export async function daemon(t: Ends, place: Scratch, setting: DaemonSetting = {}): Promise<TestDaemon> {
  const started = startDaemon(t, place, setting);
  const early = started.ended.then(({stderr}) => {
    throw new Error(`the daemon ended before it was ready: ${stderr}`);
  });
  await Promise.race([started.says('"msg":"ready"'), early]);
  early.catch(() => undefined);
  const client = new DaemonClient(socketPath(place.roots));
  t.teardown(() => client.close());
  return new TestDaemon(started, client);
}
