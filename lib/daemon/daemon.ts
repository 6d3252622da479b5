/** How does the daemon begin, go on and end? One for each RUN; it holds no lock for anybody, so its death takes none away. */
import {chmodSync, chownSync, constants, lstatSync, renameSync, rmSync} from 'node:fs';
import {join} from 'node:path';
import type {FastifyBaseLogger, FastifyInstance} from 'fastify';
import {LockError} from '../errors.js';
import type {FleetConfig} from '../fleet/config.js';
import {FleetWatch} from '../fleet/fleet-watch.js';
import {prepareRoots, type Roots} from '../lock/layout.js';
import {LockFile} from '../os/lock-file.js';
import {findHolders} from '../os/lock-survey.js';
import {describeProcess} from '../os/process.js';
import type {System} from '../os/system.js';
import {idOf} from '../recovery/permission.js';
import {Policy, readRules} from '../recovery/policy/rules.js';
import type {Status} from './api.js';
import {Events} from './events.js';
import {Guardian, type Sweep} from './guardian.js';
import {Holds} from './holds.js';
import {logEvents} from './log.js';
import {type Loopback, LOOKING_LIMITS, loopbackDoor, pageUrl, parseLoopback} from './loopback.js';
import {Metrics} from './metrics.js';
import {Manager} from './notify.js';
import {Onlooker} from './onlooker.js';
import {buildServer, type Limits, type ServerOptions} from './server.js';
import {socketPath} from './socket-path.js';

export {socketPath};

/** Milliseconds from one look at all locks to the next. */
export const SWEEP = 20_000;

/** So many may wait to be accepted; the kernel takes at most net.core.somaxconn (listen(2)). */
const BACKLOG = 4096;

/** Whose members may connect. */
const GROUP = '@locksmith';

export interface DaemonOptions {
  readonly system: System;
  readonly roots: Roots;
  readonly version: string;
  readonly logger: FastifyBaseLogger;
  /** By default RUN/daemon.sock. */
  readonly socket?: string | undefined;
  /** A loopback address where a browser may look as well: `127.0.0.1:7357`. */
  readonly page?: string | undefined;
  /** Directory of the policy, by default the system's; false: none. */
  readonly policy?: string | false | undefined;
  readonly sweep?: number | undefined;
  /** A fleet to look at; nothing else here depends on it, or on its etcd. */
  readonly fleet?: FleetConfig | undefined;
  readonly limits?: Limits | undefined;
  /** Ends it, also while it begins: the start then rejects with its reason. */
  readonly signal?: AbortSignal | undefined;
}

/** Only one watches: two would recover the same orphans. The kernel gives the lock back when this process ends. */
async function lockDaemon(system: System, {run}: Roots): Promise<LockFile> {
  const path = join(run, 'daemon');
  const file = LockFile.open(path, {flags: constants.O_RDWR | constants.O_CREAT});
  if (file.try('exclusive')) return file;
  file.close();
  const pids = await findHolders(system, path);
  const who =
    pids.map(pid => describeProcess(system, pid)).join(', ') || 'a process that can not be seen from here';
  throw new LockError('ERR_DAEMON_RUNNING', `${who} is the daemon of ${run} already`, {path: run, pids});
}

/** What is no socket is not replaced by one. */
function checkReplaceable(path: string): void {
  const stat = lstatSync(path, {throwIfNoEntry: false});
  if (stat && !stat.isSocket())
    throw new LockError('ERR_ARGUMENT', `${path} is no socket, and is not replaced by one`, {path});
}

/** The daemon of one RUN. */
export class Daemon {
  readonly socket: string;
  readonly #options: DaemonOptions;
  readonly #lock: LockFile;
  readonly #manager: Manager;
  readonly #events = new Events();
  readonly #guardian: Guardian;
  readonly #holds: Holds;
  readonly #fleet: FleetWatch | undefined;
  readonly #metrics: Metrics;
  readonly #onlooker: Onlooker;
  readonly #since = new Date().toISOString();
  #listening = false;
  readonly #page: Loopback | undefined;
  /** One for the socket, one for the loopback address. */
  readonly #apps: FastifyInstance[] = [];
  #url: string | undefined;
  #policy: {readonly rules: Policy; readonly read: string; readonly problem: string | null};
  #swept: (Sweep & {readonly finished: string}) | null = null;
  #timer: NodeJS.Timeout | undefined;
  #ending: Promise<void> | undefined;

  private constructor(options: DaemonOptions, lock: LockFile, rules: Policy, page: Loopback | undefined) {
    const {system, roots, version, logger} = options;
    this.socket = options.socket ?? socketPath(roots);
    this.#page = page;
    this.#options = options;
    this.#lock = lock;
    this.#manager = new Manager(system);
    this.#policy = {rules, read: new Date(system.now()).toISOString(), problem: null};
    const {tell} = this.#events;
    this.#guardian = new Guardian({system, roots}, () => this.#policy.rules, tell);
    this.#holds = new Holds(system, this.#guardian, tell);
    this.#fleet =
      options.fleet &&
      new FleetWatch(options.fleet, {
        onChanged: rollouts => tell({event: 'fleet-changed', rollouts}),
        onStanding: ({current, why}) => tell({event: 'fleet-standing', current, why}),
      });
    this.#metrics = new Metrics(version, this.#guardian, this.#holds, this.#fleet);
    this.#onlooker = new Onlooker(this.#guardian, this.#events);
    this.#events.on(event => this.#metrics.note(event));
    this.#events.on(logEvents(logger));
  }

  /**
   * Starts one: all locks have been looked at and the ghosts recovered as the policy says before it says that it is ready. Rejects with
   * ERR_ARGUMENT, ERR_DAEMON_RUNNING, ERR_POLICY, ERR_ROOT_UNSAFE or SystemError.
   */
  static async start(options: DaemonOptions): Promise<Daemon> {
    const {system, roots, policy, page, signal} = options;
    const loopback = page === undefined ? undefined : parseLoopback(page);
    prepareRoots(system, roots);
    const rules = policy === false ? new Policy() : await readRules(system, policy);
    const lock = await lockDaemon(system, roots);
    const daemon = new Daemon(options, lock, rules, loopback);
    signal?.addEventListener('abort', () => void daemon.end(), {once: true});
    try {
      await daemon.#begin();
      signal?.throwIfAborted();
      return daemon;
    } catch (error) {
      await daemon.end();
      throw error;
    }
  }

  /** Where a browser may look; undefined where nobody asked for that. */
  get url(): string | undefined {
    return this.#url;
  }

  status(): Status {
    const {system, version} = this.#options;
    const {locks, orphans} = this.#guardian;
    const swept = this.#swept;
    return {
      version,
      pid: process.pid,
      node: system.node,
      since: this.#since,
      locks: locks.length,
      hot: locks.filter(({glance}) => glance?.bit === 1).length,
      recovering: orphans.working,
      holds: this.#holds.list().length,
      listeners: this.#events.listeners,
      sweep: swept && {finished: swept.finished, took: swept.took, locks: swept.locks},
      policy: {read: this.#policy.read, problem: this.#policy.problem},
      fleet: this.#fleet?.fleet ?? null,
    };
  }

  /** Reads the policy again. One that has a fault is reported, and the old one stays. */
  async reload(): Promise<void> {
    const {system, policy} = this.#options;
    this.#manager.reloading();
    try {
      if (policy !== false) {
        const rules = await readRules(system, policy);
        this.#policy = {rules, read: new Date(system.now()).toISOString(), problem: null};
      }
    } catch (error) {
      this.#policy = {...this.#policy, problem: (error as Error).message};
    }
    this.#events.tell({event: 'policy', problem: this.#policy.problem});
    this.#manager.ready(this.#summary());
    // What the old policy left to people, the new one may not.
    if (this.#policy.problem === null) await this.#sweep();
  }

  /** Ends: takes no more requests, ends holds, lets recoveries come to their end. A second call waits for the same end. */
  async end(): Promise<void> {
    this.#ending ??= this.#end();
    return this.#ending;
  }

  async #begin(): Promise<void> {
    // The boot scan: a sweep, and all that follows from it.
    await this.#sweep();
    await this.#guardian.orphans.settled();
    if (this.#ending) return;
    await this.#listen();
    if (this.#page) await this.#show(this.#page);
    this.#manager.ready(this.#summary());
    this.#schedule();
  }

  /** A server that answers with what is known here. */
  async #server(door: Pick<ServerOptions, 'door' | 'limits'>): Promise<FastifyInstance> {
    const {system, version, logger, roots} = this.#options;
    const app = await buildServer(
      {
        guardian: this.#guardian,
        holds: this.#holds,
        events: this.#events,
        metrics: this.#metrics,
        fleet: this.#fleet,
        state: roots.state,
        status: () => this.status(),
        settingsOf: lock => this.#policy.rules.of(lock).settings,
      },
      {system, version, logger, ...door},
    );
    this.#apps.push(app);
    return app;
  }

  /** The socket appears under its name when it has its owner and mode, and replaces one that a daemon left that was killed. */
  async #listen(): Promise<void> {
    const {system, limits} = this.#options;
    const app = await this.#server(limits ? {limits} : {});
    checkReplaceable(this.socket);
    const fresh = `${this.socket}.new`;
    rmSync(fresh, {force: true});
    await app.listen({
      path: fresh,
      backlog: BACKLOG,
      listenTextResolver: () => `listening on ${this.socket}`,
    });
    chmodSync(fresh, 0o660);
    const group = system.uid === 0 ? await idOf(GROUP) : undefined;
    if (group !== undefined) chownSync(fresh, 0, group);
    renameSync(fresh, this.socket);
    this.#listening = true;
  }

  async #show({host, port}: Loopback): Promise<void> {
    const app = await this.#server({door: loopbackDoor(), limits: LOOKING_LIMITS});
    await app.listen({host, port});
    this.#url = pageUrl(app).href;
  }

  async #end(): Promise<void> {
    clearTimeout(this.#timer);
    this.#manager.stopping();
    this.#onlooker[Symbol.dispose]();
    await this.#fleet?.close();
    await this.#events.end();
    await this.#holds.end();
    await this.#guardian.end();
    for (const app of this.#apps) await app.close();
    this.#guardian[Symbol.dispose]();
    if (this.#listening) rmSync(this.socket, {force: true});
    this.#lock.close();
  }

  #summary(): string {
    const {locks, hot, recovering} = this.status();
    const fault = this.#policy.problem === null ? '' : '; the new policy has a fault, and the old one stays';
    return `watches ${locks} locks, ${hot} of them set, ${recovering} being recovered${fault}`;
  }

  /** The one sign of life that the manager gets: that all locks were looked at, to the end. */
  async #sweep(): Promise<void> {
    const swept = await this.#guardian.sweep();
    this.#swept = {...swept, finished: new Date(this.#options.system.now()).toISOString()};
    this.#events.tell({event: 'swept', ...swept});
    this.#manager.progress(this.#summary());
  }

  /** Twice within the time that the manager waits, however long one takes. */
  #schedule(): void {
    const {sweep = SWEEP} = this.#options;
    const pause = Math.min(sweep, (this.#manager.watchdog ?? Number.POSITIVE_INFINITY) / 2);
    this.#timer = setTimeout(() => {
      this.#sweep()
        .catch((error: unknown) => this.#events.tell({event: 'trouble', what: 'a look at all locks', error}))
        .finally(() => {
          if (!this.#ending) this.#schedule();
        });
    }, pause);
  }
}
