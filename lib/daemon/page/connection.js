/** How does the page keep up with the daemon? By its events; each connection, and each sweep, begins with all that is known. */

/** @typedef {import('./model.js').Snapshot} Snapshot */
/** @typedef {import('./model.js').Told} Told */
/** @typedef {import('./model.js').AuditRecord} AuditRecord */
/** @typedef {import('../api.js').Status} Status */
/** @typedef {import('../api.js').FleetAnswer} Fleet */
/** @typedef {import('../api.js').RolloutAnswer} Rollout */

/**
 * @typedef {{
 *   snapshot(all: Snapshot, skew: number): void,
 *   told(told: Told): void,
 *   audit(records: AuditRecord[]): void,
 *   fleet(fleet: Fleet, rollouts: Rollout[]): void,
 *   cut(): void,
 * }} Listener
 */

/** Events that change something of a lock, a hold or the daemon. */
const EVENTS = [
  'appeared',
  'disappeared',
  'changed',
  'owner-died',
  'verdict',
  'recovering',
  'recovered',
  'recovery-refused',
  'orphan',
  'hold-granted',
  'hold-ended',
  'swept',
  'policy',
  'fleet-changed',
  'fleet-standing',
  'trouble',
];

/** Those after which the audit log may have grown. The sweep finds what others have done. */
const AUDITED = new Set([
  'recovering',
  'recovered',
  'recovery-refused',
  'hold-granted',
  'hold-ended',
  'swept',
]);

const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 5000;
/** Silence after which it is asked whether anybody is there, in milliseconds. */
const SILENCE = 45_000;
/** The log is read at most once in this time. */
const AUDIT_PAUSE = 500;
/** And the fleet; the daemon tells of its changes at most four times a second. */
const FLEET_PAUSE = 50;
/** Nobody reads more nodes in need, or more of what has ended. */
const MOST = 200;
const MOST_ROLLOUTS = 20;
/** Milliseconds for which a roll-out that has ended stays in view. */
const RECENT = 600_000;

/** Is it under way, or was it until a moment ago? @param {Fleet['rollouts'][number]} rollout @param {number} after */
function isInView({active, state}, after) {
  return active || (state !== null && Date.parse(state.since) > after);
}

/** @param {string} path */
async function ask(path) {
  const answer = await fetch(path, {signal: AbortSignal.timeout(10_000)});
  if (!answer.ok) throw new Error(`${path} answered ${answer.status}`);
  return answer;
}

/** @param {string} path */
async function get(path) {
  return (await ask(path)).json();
}

/** Milliseconds by which the clock of the daemon is ahead of ours; less than two seconds is only the header's coarseness. @param {Response} answer */
function skewOf(answer) {
  const skew = Date.parse(answer.headers.get('date') ?? '') - Date.now();
  return Math.abs(skew) > 2000 ? skew : 0;
}

/** Something that is asked for now and then: a little later, once for all who want it meanwhile, and never twice at a time. */
class Repeated {
  #pause;
  #act;
  #busy = false;
  #again = false;

  /** @param {number} pause @param {() => Promise<void>} act */
  constructor(pause, act) {
    this.#pause = pause;
    this.#act = act;
  }

  soon() {
    if (this.#busy) this.#again = true;
    else setTimeout(() => void this.#run(), this.#pause);
    this.#busy = true;
  }

  async #run() {
    this.#again = false;
    await this.#act();
    this.#busy = false;
    if (this.#again) this.soon();
  }
}

export class Connection {
  #listener;
  /** @type {EventSource | undefined} */
  #source;
  /** Events that came while everything was asked for. @type {Told[] | undefined} */
  #waiting;
  #pause = FIRST_PAUSE;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #silence;
  #audit = new Repeated(AUDIT_PAUSE, () => this.#askFor(() => this.#askForAudit()));
  #fleet = new Repeated(FLEET_PAUSE, () => this.#askFor(() => this.#askForFleet()));

  /** @param {Listener} listener */
  constructor(listener) {
    this.#listener = listener;
  }

  open() {
    const source = new EventSource('/v1/events');
    this.#source = source;
    source.addEventListener('hello', () => void this.#sync());
    for (const name of EVENTS)
      source.addEventListener(name, ({data}) => this.#hear(/** @type {Told} */ (JSON.parse(data))));
    source.addEventListener('error', () => this.#lose(source));
  }

  /** @param {Told} told */
  #hear(told) {
    this.#awaitMore();
    if (this.#waiting) this.#waiting.push(told);
    else this.#listener.told(told);
    if (AUDITED.has(told.event)) this.#audit.soon();
    if (told.event === 'fleet-changed') this.#fleet.soon();
    if (told.event === 'swept') void this.#sync();
  }

  /** Asks for everything. What is told meanwhile comes after it: it may be older than the answer, but its end is the same. */
  async #sync() {
    const source = this.#source;
    if (this.#waiting || !source) return;
    this.#waiting = [];
    this.#awaitMore();
    try {
      const [answer, locks, holds] = await Promise.all([
        ask('/v1/status'),
        get('/v1/locks'),
        get('/v1/holds'),
      ]);
      const snapshot = {status: await answer.json(), locks, holds};
      if (source !== this.#source) return;
      this.#pause = FIRST_PAUSE;
      this.#listener.snapshot(snapshot, skewOf(answer));
      const waiting = this.#waiting;
      this.#waiting = undefined;
      for (const told of waiting) this.#listener.told(told);
      this.#audit.soon();
      if (snapshot.status.fleet !== null) this.#fleet.soon();
    } catch {
      // That it is not answered is shown, and it is tried again.
      this.#lose(source);
    }
  }

  /** @param {() => Promise<void>} act */
  async #askFor(act) {
    const source = this.#source;
    try {
      await act();
    } catch {
      this.#lose(source);
    }
  }

  async #askForAudit() {
    this.#listener.audit(await get('/v1/audit?last=30'));
  }

  async #askForFleet() {
    const answer = await ask(`/v1/fleet?most=${MOST}`);
    const fleet = /** @type {Fleet} */ (await answer.json());
    const after = Date.parse(answer.headers.get('date') ?? '') - RECENT;
    const ids = fleet.rollouts.filter(rollout => isInView(rollout, after)).map(({id}) => id);
    const paths = ids.slice(0, MOST_ROLLOUTS).map(id => `/v1/fleet/rollouts/${id}?most=${MOST}`);
    this.#listener.fleet(fleet, await Promise.all(paths.map(get)));
  }

  /** The connection is cut off: says so, and tries again, ever more slowly. @param {EventSource | undefined} source */
  #lose(source) {
    if (!source || source !== this.#source) return;
    source.close();
    clearTimeout(this.#silence);
    this.#source = undefined;
    this.#waiting = undefined;
    this.#listener.cut();
    setTimeout(() => this.open(), this.#pause);
    this.#pause = Math.min(2 * this.#pause, LONGEST_PAUSE);
  }

  /** A tunnel may die without a word: silence for longer than between two sweeps is looked into. */
  #awaitMore() {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => void this.#sync(), SILENCE);
  }
}
