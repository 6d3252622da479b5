/** What can be counted and timed, for Prometheus? Names by its conventions, labels that stay few (prometheus.io/docs/practices/naming). */
import {Counter, collectDefaultMetrics, Gauge, Histogram, Registry} from 'prom-client';
import {isLockError} from '../errors.js';
import type {FleetWatch} from '../fleet/fleet-watch.js';
import {hasCode} from '../os/system-error.js';
import type {DaemonEvent} from './events.js';
import type {Guardian} from './guardian.js';
import type {Holds} from './holds.js';

const STATES = ['FREE', 'ALIVE', 'FROZEN', 'DEAD', 'UNKNOWN'] as const;

/** Seconds: an acquisition takes tens of microseconds, an update by hand hours. */
const BUCKETS = [0.001, 0.01, 0.1, 1, 10, 60, 600, 3600];

const now = () => Date.now() / 1000;

/** The code of a refusal as a label: one of a bounded set. */
function codeOf(error: unknown): string {
  if (isLockError(error)) return error.code;
  return hasCode(error, 'EACCES', 'EPERM', 'ENOSPC', 'EIO', 'EMFILE')
    ? ((error as NodeJS.ErrnoException).code ?? 'other')
    : 'other';
}

/** All figures of one daemon. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #deaths = this.#counter(
    'locksmith_owner_deaths_total',
    'Owners whose end was seen while they had a lock',
  );
  readonly #recoveries = this.#counter(
    'locksmith_recoveries_total',
    'Recoveries by outcome: recovered, or the code of the refusal',
    ['outcome'],
  );
  readonly #breakGlass = this.#counter(
    'locksmith_break_glass_total',
    'Locks taken by force through the daemon',
  );
  readonly #holds = this.#counter('locksmith_holds_total', 'Holds that were granted through the daemon');
  readonly #sweeps = this.#counter('locksmith_sweeps_total', 'Looks at all locks');
  readonly #troubles = this.#counter('locksmith_troubles_total', 'What the daemon could not do, in its log');
  readonly #refused = this.#counter(
    'locksmith_requests_refused_total',
    'Requests that were refused, by HTTP status',
    ['status'],
  );
  readonly #owned = this.#histogram(
    'locksmith_lock_held_seconds',
    'How long locks were owned, as the daemon saw it',
  );
  readonly #waited = this.#histogram(
    'locksmith_lock_wait_seconds',
    'How long owners waited for their locks, as they wrote down themselves',
  );
  readonly #recovery = this.#histogram(
    'locksmith_recovery_seconds',
    'From the first step of a recovery to ALL CLEAR',
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 10, 90],
  );
  readonly #sweepTook = this.#gauge(
    'locksmith_sweep_duration_seconds',
    'How long the last look at all locks took',
  );
  readonly #sweepFinished = this.#gauge(
    'locksmith_sweep_finished_timestamp_seconds',
    'When the last look at all locks ended; stands still when the daemon does',
  );
  /** Of each lock, under which epoch it has an owner, and since when. */
  readonly #owners = new Map<string, {readonly epoch: number | null; readonly since: number}>();

  constructor(version: string, guardian: Guardian, holds: Holds, fleet?: FleetWatch) {
    collectDefaultMetrics({register: this.#registry});
    this.#gauge('locksmith_build_info', 'The version that runs; always 1', ['version']).set({version}, 1);
    this.#addLiveness(guardian);
    if (fleet) this.#addFleet(fleet);
    this.#computed('locksmith_holds', 'Holds in force that were asked for through the daemon', gauge =>
      gauge.set(holds.list().length),
    );
    this.#computed('locksmith_locks_hot', 'Locks whose bit is set', gauge =>
      gauge.set(guardian.locks.filter(({glance}) => glance?.bit === 1).length),
    );
    this.#computed(
      'locksmith_locks',
      'Locks by the state in which they were examined last',
      gauge => {
        for (const state of STATES)
          gauge.set({state}, guardian.locks.filter(({verdict}) => verdict?.state === state).length);
      },
      ['state'],
    );
    this.#computed(
      'locksmith_stale_lock_age_seconds',
      'For how long the oldest lock is known to be left in the middle; 0 when none is',
      gauge => gauge.set(guardian.orphans.oldestAge() / 1000),
    );
  }

  #addLiveness(guardian: Guardian): void {
    const oldest = (of: 'heartbeat' | 'progress') =>
      Math.max(0, ...guardian.heartbeats.all().map(each => each[of])) / 1000;
    this.#computed(
      'locksmith_heartbeat_age_seconds',
      'Since the oldest last heartbeat of all owners that have registered',
      gauge => gauge.set(oldest('heartbeat')),
    );
    this.#computed(
      'locksmith_progress_age_seconds',
      'Since the owner that got stuck first got further',
      gauge => gauge.set(oldest('progress')),
    );
    this.#computed('locksmith_suspects', 'Owners that are late with heartbeat or progress', gauge =>
      gauge.set(guardian.heartbeats.all().filter(({suspect}) => suspect !== null).length),
    );
    this.#computed('locksmith_orchestrators', 'Orchestrators that have registered', gauge =>
      gauge.set(guardian.orchestrators.list().length),
    );
  }

  #addFleet(fleet: FleetWatch): void {
    this.#computed('locksmith_fleet_current', '1 while what is known of the fleet is current', gauge =>
      gauge.set(fleet.standing.current ? 1 : 0),
    );
    this.#computed(
      'locksmith_fleet_nodes',
      'Nodes of all roll-outs that are under way, by how far they are',
      gauge => {
        gauge.reset();
        for (const {id, active} of fleet.view().rollouts)
          if (active)
            for (const [state, count] of Object.entries(fleet.rollout(id).counts)) gauge.inc({state}, count);
      },
      ['state'],
    );
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }

  refused(status: number): void {
    this.#refused.inc({status: String(status)});
  }

  /** Counts what happens. */
  note(event: DaemonEvent): void {
    switch (event.event) {
      case 'changed':
        return this.#noteOwnership(event);
      case 'disappeared':
        return void this.#owners.delete(event.lock);
      case 'owner-died':
        return this.#deaths.inc();
      case 'recovered':
        this.#recovery.observe(event.certificate.took / 1000);
        if (event.certificate.forced) this.#breakGlass.inc();
        return this.#recoveries.inc({outcome: 'recovered'});
      case 'recovery-refused':
        return this.#recoveries.inc({outcome: codeOf(event.error)});
      case 'hold-granted':
        return this.#holds.inc();
      case 'swept':
        this.#sweeps.inc();
        this.#sweepTook.set(event.took / 1000);
        return this.#sweepFinished.set(now());
      case 'trouble':
        return this.#troubles.inc();
      default:
    }
  }

  /** Owners that come and go between two glances are not seen. */
  #noteOwnership({lock, bit, epoch, owner}: Extract<DaemonEvent, {event: 'changed'}>): void {
    const known = this.#owners.get(lock);
    if (known && (bit !== 1 || epoch !== known.epoch)) {
      this.#owned.observe((performance.now() - known.since) / 1000);
      this.#owners.delete(lock);
    }
    if (bit !== 1 || this.#owners.has(lock)) return;
    this.#owners.set(lock, {epoch, since: performance.now()});
    if (owner?.waited !== undefined) this.#waited.observe(owner.waited / 1000);
  }

  #counter(name: string, help: string, labelNames: readonly string[] = []): Counter {
    return new Counter({name, help, labelNames, registers: [this.#registry]});
  }

  #gauge(name: string, help: string, labelNames: readonly string[] = []): Gauge {
    return new Gauge({name, help, labelNames, registers: [this.#registry]});
  }

  #histogram(name: string, help: string, buckets: readonly number[] = BUCKETS): Histogram {
    return new Histogram({name, help, buckets: [...buckets], registers: [this.#registry]});
  }

  /** One that is read when it is asked for. */
  #computed(
    name: string,
    help: string,
    read: (gauge: Gauge) => void,
    labelNames: readonly string[] = [],
  ): void {
    const gauge: Gauge = new Gauge({
      name,
      help,
      labelNames,
      registers: [this.#registry],
      collect: () => read(gauge),
    });
  }
}
