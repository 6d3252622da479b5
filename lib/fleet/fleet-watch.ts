/** How is the fleet now? One who only looks, goes on looking while etcd is away, and always says how old what he knows is. */
import {setTimeout as sleep} from 'node:timers/promises';
import type {FleetConfig} from './config.js';
import type {Etcd, KeyValue} from './etcd/etcd.js';
import type {Change, Mirror} from './etcd/mirror.js';
import {KEYS} from './keys.js';
import {type FleetView, fleetView, type RolloutView, requireRollout, rolloutView} from './rollout-view.js';

/** All of a fleet that is shown; contents are not. */
const PREFIXES = [KEYS.nodes, KEYS.known, KEYS.holds, KEYS.rollouts, KEYS.leader];

/** Milliseconds: what changes meanwhile is told at once. */
const TOGETHER = 250;

const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 5000;

/** Is what we know what stands in etcd now? */
export interface FleetStanding {
  readonly current: boolean;
  /** For so long it has been so, or not; RFC 3339. */
  readonly since: string;
  /** Why it is not; null when it is. */
  readonly why: string | null;
}

export interface FleetListener {
  /** What is known or its standing has changed: at most four times a second, with the ids of the roll-outs in which something changed. */
  onChanged(rollouts: readonly string[]): void;
  /** Each time etcd is lost or heard again, or not heard for another reason. */
  onStanding(standing: FleetStanding): void;
}

/** The roll-out that a key is about. */
function rolloutOf(key: string): string | undefined {
  return key.startsWith(KEYS.rollouts) ? key.slice(KEYS.rollouts.length).split('/')[0] : undefined;
}

/** Looks at one fleet. Nothing of it fails: what can not be read is shown as a problem, and etcd is waited for. */
export class FleetWatch implements AsyncDisposable {
  readonly fleet: string;
  readonly #config: FleetConfig;
  readonly #listener: FleetListener;
  readonly #end = new AbortController();
  readonly #following: Promise<void>;
  #etcd: Etcd | undefined;
  /** By prefix, why each mirror is not current. */
  readonly #stale = new Map<string, string>();
  readonly #entries = new Map<string, KeyValue>();
  #standing: FleetStanding;
  /** What was made of the entries, until they change. */
  #view: FleetView | undefined;
  readonly #rollouts = new Map<string, RolloutView>();
  /** Roll-outs that changed since somebody was told. */
  readonly #changed = new Set<string>();
  #timer: NodeJS.Timeout | undefined;

  /** Begins to look, and does not wait for etcd. Closed by `close`. */
  constructor(config: FleetConfig, listener: FleetListener) {
    this.fleet = config.fleet;
    this.#config = config;
    this.#listener = listener;
    const why = `etcd has not answered yet: ${config.etcd.endpoints.join(', ')}`;
    this.#standing = {current: false, since: new Date().toISOString(), why};
    this.#following = this.#follow();
  }

  get standing(): FleetStanding {
    return this.#standing;
  }

  /** As it was when it was known last. */
  view(): FleetView {
    this.#view ??= fleetView(this.#entries);
    return this.#view;
  }

  /** Throws ERR_UNKNOWN_ROLLOUT. */
  rollout(id: string): RolloutView {
    requireRollout(this.#entries, id);
    const view = this.#rollouts.get(id) ?? rolloutView(this.#entries, id);
    this.#rollouts.set(id, view);
    return view;
  }

  /** Looks no more; what is known stays. */
  async close(): Promise<void> {
    this.#end.abort();
    clearTimeout(this.#timer);
    await this.#following;
    await this.#etcd?.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Until there are mirrors: those go through any break by themselves. */
  async #follow(): Promise<void> {
    const {signal} = this.#end;
    for (let pause = FIRST_PAUSE; !signal.aborted; pause = Math.min(2 * pause, LONGEST_PAUSE)) {
      try {
        await this.#connect();
        return;
      } catch (error) {
        if (signal.aborted) return;
        this.#stand((error as Error).message);
        await sleep(pause, undefined, {signal}).catch(() => undefined);
      }
    }
  }

  async #connect(): Promise<void> {
    const {signal} = this.#end;
    this.#stale.clear();
    // What speaks with etcd takes longer to load than all else.
    const {Etcd} = await import('./etcd/etcd.js');
    const etcd = await Etcd.connect(this.#config.etcd, signal);
    try {
      const mirrors = await Promise.all(PREFIXES.map(prefix => this.#mirror(etcd, prefix)));
      this.#begin(mirrors);
      this.#etcd = etcd;
    } catch (error) {
      await etcd.close();
      throw error;
    }
  }

  #mirror(etcd: Etcd, prefix: string): Promise<Mirror> {
    return etcd.mirror(prefix, {
      onChanges: changes => this.#note(changes),
      onStanding: ({current, why = 'etcd is not heard'}) => {
        if (current) this.#stale.delete(prefix);
        else this.#stale.set(prefix, why);
        // Before all mirrors are there it is not current anyway.
        if (this.#etcd) this.#stand();
      },
      signal: this.#end.signal,
    });
  }

  /** Takes what the mirrors found at first. */
  #begin(mirrors: readonly Mirror[]): void {
    this.#entries.clear();
    for (const {entries} of mirrors) for (const [key, entry] of entries) this.#entries.set(key, entry);
    this.#stand();
    this.#changes([]);
  }

  #note(changes: readonly Change[]): void {
    for (const {key, value} of changes) {
      if (value) this.#entries.set(key, value);
      else this.#entries.delete(key);
    }
    this.#changes(changes.flatMap(({key}) => rolloutOf(key) ?? []));
  }

  #changes(rollouts: readonly string[]): void {
    this.#view = undefined;
    this.#rollouts.clear();
    for (const id of rollouts) this.#changed.add(id);
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      const changed = [...this.#changed];
      this.#changed.clear();
      this.#listener.onChanged(changed);
    }, TOGETHER);
  }

  /** Says so when it has become current, is so no longer, or for another reason. */
  #stand(why: string | null = [...this.#stale.values()][0] ?? null): void {
    const before = this.#standing;
    const current = why === null;
    const since = current === before.current ? before.since : new Date().toISOString();
    this.#standing = {current, since, why};
    if (why === before.why) return;
    this.#listener.onStanding(this.#standing);
    this.#changes([]);
  }
}
