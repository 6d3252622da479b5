/** Who brings the roll-outs of a fleet to their end? One driver at a time: it leads while its session lasts, and can write nothing after it. */
import {setTimeout as after} from 'node:timers/promises';
import {isLockError, LockError} from '../errors.js';
import type {FleetAccess} from './access.js';
import type {FleetConfig} from './config.js';
import {DrivenRollout, type Lead, type Stepped} from './driven-rollout.js';
import {DriverCopy} from './driver-copy.js';
import type {Session} from './etcd/session.js';
import {KEYS} from './keys.js';
import {ourselves, personText} from './operator.js';
import {seal, signers} from './signing.js';
import {Wake} from './wake.js';

/** What a driver tells: `campaigning`, `leading`, `lost` (with `error`), `step` (with `rollout` and `told`, of its history), `trouble` (with `what`, `problem`). */
export interface DriverEvent {
  readonly event: string;
  readonly rollout?: string;
  readonly [fact: string]: unknown;
}

export interface DriverOptions {
  /** Ends it. */
  readonly signal: AbortSignal;
  readonly onEvent?: ((event: DriverEvent) => void) | undefined;
  /** Seconds that its lease lasts without it: so long nobody drives when it dies. Default 30. */
  readonly ttl?: number | undefined;
}

type Access = Pick<FleetAccess, 'config' | 'etcd' | 'system'>;

/** Milliseconds before it campaigns anew when the store has refused it. */
const AGAIN_AFTER = 1000;

/** Nobody would follow orders that nobody believes. */
function requireKey({drive, drivers: {keys}}: Pick<FleetConfig, 'drive' | 'drivers'>): void {
  if (keys.length === 0) return;
  const trusted = keys.map(({name}) => name).join(', ');
  const probe = {kind: 'order'};
  const missing = drive
    ? `the key ${drive.name} of this machine is none of those`
    : 'the fleet file of this machine names no key to drive with';
  if (drive && signers(seal(probe, [drive]), probe.kind, keys).length > 0) return;
  throw new LockError('ERR_SIGNATURE', `orders have to be signed by one of ${trusted}: ${missing}`, {
    needed: keys.map(({name}) => name),
  });
}

/** Drives when it leads. */
export class Driver {
  readonly #access: Access;
  readonly #options: DriverOptions;
  readonly #copy: DriverCopy;
  readonly #wake: Wake;
  readonly #leaderWake: Wake;
  /** Told once while they stand. */
  readonly #troubles = new Set<string>();

  /** Resolves when the signal aborts. Rejects with ERR_SIGNATURE when orders have to be signed and we have no key for it, and as reads of the store do at first. */
  static async run(access: Access, options: DriverOptions): Promise<void> {
    requireKey(access.config);
    const wakes = {wake: new Wake(), leaderWake: new Wake()};
    using copy = await DriverCopy.open(access.etcd, wakes, options.signal);
    await new Driver(access, options, copy, wakes).#run();
  }

  private constructor(
    access: Access,
    options: DriverOptions,
    copy: DriverCopy,
    {wake, leaderWake}: {readonly wake: Wake; readonly leaderWake: Wake},
  ) {
    this.#access = access;
    this.#options = options;
    this.#copy = copy;
    this.#wake = wake;
    this.#leaderWake = leaderWake;
  }

  async #run(): Promise<void> {
    const {signal} = this.#options;
    while (!signal.aborted) {
      try {
        await this.#term();
      } catch (error) {
        if (signal.aborted) return;
        if (!isLockError(error)) throw error;
        this.#tell({event: 'lost', error});
        await after(AGAIN_AFTER, undefined, {signal}).catch(() => {});
      }
    }
  }

  /** One session: campaigns, then leads until it is over. */
  async #term(): Promise<void> {
    const {signal: ours, ttl} = this.#options;
    await this.#copy.whenCurrent(ours);
    await using session = await this.#access.etcd.session({ttl, signal: ours});
    const signal = AbortSignal.any([ours, session.signal]);
    const createRevision = await this.#win(session, signal);
    this.#tell({event: 'leading', createRevision});
    await this.#drive(this.#leadWith(session, createRevision, signal));
  }

  /** The revision at which we became the leader. */
  async #win(session: Session, signal: AbortSignal): Promise<number> {
    const {config, system} = this.#access;
    const since = new Date(system.now()).toISOString();
    const value = JSON.stringify({v: 1, by: ourselves(config, system), since});
    for (let asked = 0; ; asked += 1) {
      const {applied, revision} = await session.transact(
        {
          when: [{key: KEYS.leader, exists: false}],
          then: [{put: KEYS.leader, value, lease: 'session'}],
        },
        {signal},
      );
      if (applied) return revision;
      if (asked === 0) this.#tell({event: 'campaigning'});
      await this.#leaderWake.next({signal});
    }
  }

  #leadWith(session: Session, createRevision: number, signal: AbortSignal): Lead {
    const {config, system} = this.#access;
    return {
      config,
      system,
      session,
      createRevision,
      signal,
      by: personText(ourselves(config, system)),
      tell: (rollout, told) => this.#tell({event: 'step', rollout, told}),
      trouble: (what, problem) => this.#trouble(what, problem),
    };
  }

  /** Until the session is lost, or somebody else leads. */
  async #drive(lead: Lead): Promise<never> {
    const driven = new Map<string, DrivenRollout>();
    let cuts = this.#copy.cuts;
    for (;;) {
      lead.signal.throwIfAborted();
      if (this.#copy.cuts !== cuts) for (const rollout of driven.values()) rollout.restartWaits();
      cuts = this.#copy.cuts;
      const lookAfter = this.#copy.current ? await this.#stepAll(lead, driven) : undefined;
      await this.#wake.next({after: lookAfter, signal: lead.signal});
    }
  }

  /** Milliseconds until time alone may change something. */
  async #stepAll(lead: Lead, driven: Map<string, DrivenRollout>): Promise<number | undefined> {
    const looks: number[] = [];
    for (const id of this.#copy.activeRollouts()) {
      const rollout = driven.get(id) ?? new DrivenRollout(id, lead);
      driven.set(id, rollout);
      const stepped = await rollout.step(this.#copy);
      if (stepped.done === 'waiting' && stepped.lookAfter !== undefined) looks.push(stepped.lookAfter);
      await this.#settle(stepped, lead);
    }
    return looks.length > 0 ? Math.max(1, Math.min(...looks)) : undefined;
  }

  /** What was written is seen before the next step is decided. */
  async #settle(stepped: Stepped, lead: Lead): Promise<void> {
    if (stepped.done === 'written') await this.#copy.reaches(stepped.revision, lead.signal);
    if (stepped.done === 'refused') await this.#requireLead(lead);
  }

  /** Throws when another one leads; else it was the state that somebody has changed, and the copy will say how. */
  async #requireLead({createRevision, signal}: Lead): Promise<void> {
    const leader = await this.#access.etcd.get(KEYS.leader, {signal});
    if (leader?.createRevision === createRevision) return;
    throw new LockError('ERR_SESSION_LOST', 'another driver leads; nothing of ours was written', {
      leader: leader?.value.toString(),
    });
  }

  #trouble(what: string, problem: string): void {
    if (this.#troubles.has(problem)) return;
    this.#troubles.add(problem);
    this.#tell({event: 'trouble', what, problem});
  }

  #tell(event: DriverEvent): void {
    this.#options.onEvent?.(event);
  }
}
