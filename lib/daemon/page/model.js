/** What is known of the locks? What the daemon said when the page began, and each event since. */

/** @typedef {import('../api.js').Status} Status */
/** @typedef {import('../api.js').Lock} Lock */
/** @typedef {import('../api.js').HoldAnswer} Hold */
/** @typedef {import('../api.js').VerdictAnswer} Verdict */
/** @typedef {import('../api.js').CertificateAnswer} Certificate */
/** @typedef {import('../api.js').FleetAnswer} Fleet */
/** @typedef {import('../api.js').RolloutAnswer} Rollout */
/** @typedef {NonNullable<Lock['owner']>} Owner */

/**
 * An event as the daemon tells it; which fields it has depends on what happened (lib/daemon/events.ts).
 * @typedef {{
 *   event: string, lock: string, file: string, bit: 0 | 1 | null, epoch: number | null, owner: Owner | null,
 *   ending: object | null, verdict: Verdict, reason: string, certificate: Certificate, error: unknown,
 *   hold: Hold, id: string, why: string, current: boolean, problem: string | null, what: string, late: 'heartbeat' | 'progress' | null,
 * }} Told
 */

/**
 * @typedef {{
 *   seq: number, time: string, event: string, lock: string, by: {node: string, pid: number, uid: number},
 *   reason?: string, outcome?: string, epochs?: {before: number, after: number},
 * }} AuditRecord
 */

/** @typedef {{status: Status, locks: Lock[], holds: Hold[]}} Snapshot */
/** @typedef {{id: string, at: number, told: Told}} Happened */
/** A hold, and when it ends on the clock of performance.now(). @typedef {Hold & {ends: number}} TimedHold */

/** Those that tell nothing by themselves: a lock that changed is examined, and then there is a verdict. */
const WORDLESS = new Set(['changed', 'swept', 'fleet-changed']);

/** So many events are shown. */
const MOST_HAPPENED = 40;

/** A lock that nobody has looked at yet. @returns {Lock} */
function unseen(/** @type {string} */ name, file = '') {
  return {
    name,
    file,
    hot: null,
    state: null,
    examined: null,
    epoch: null,
    owner: null,
    waiters: 0,
    recovering: false,
    liveness: null,
  };
}

/** What each event changes of its lock. @type {Readonly<Record<string, (lock: Lock, told: Told) => Lock>>} */
const CHANGES = {
  appeared: (lock, {file}) => ({...lock, file}),
  // What was found at another epoch says nothing of this one.
  changed(lock, {bit, epoch, owner}) {
    const hot = bit === null ? null : bit === 1;
    const same = lock.hot === hot && lock.epoch === epoch;
    return {...lock, hot, epoch, owner, ...(same ? {} : {state: null, examined: null, waiters: 0})};
  },
  verdict: (lock, {verdict: {state, epoch, owner, bit, file, waiters}}) => ({
    ...lock,
    file,
    state,
    epoch,
    owner,
    hot: bit.value === null ? null : bit.value === 1,
    waiters: waiters.length,
    recovering: lock.recovering && state === 'DEAD',
  }),
  recovering: lock => ({...lock, recovering: true}),
  recovered: lock => ({...lock, recovering: false}),
  'recovery-refused': lock => ({...lock, recovering: false}),
};

export class Model {
  /** @type {Status | undefined} */
  status;
  /** @type {Map<string, Lock>} */
  locks = new Map();
  /** @type {Map<string, TimedHold>} */
  holds = new Map();
  /** Newest last. @type {readonly AuditRecord[]} */
  audit = [];
  /** Undefined: the daemon looks at none, or has not said yet. @type {Fleet | undefined} */
  fleet;
  /** Those under way, and those that have just ended. @type {readonly Rollout[]} */
  rollouts = [];
  /** Newest first. @type {Happened[]} */
  happened = [];
  #events = 0;

  /** Begins anew with what the daemon says. @param {Snapshot} snapshot */
  begin({status, locks, holds}) {
    this.status = status;
    this.locks = new Map(locks.map(lock => [lock.name, lock]));
    this.holds.clear();
    if (status.fleet === null) this.fleet = undefined;
    for (const hold of holds) this.#hold(hold);
  }

  /** @param {Told} told */
  note(told) {
    if (!WORDLESS.has(told.event)) this.#remember(told);
    const change = CHANGES[told.event];
    if (change) this.locks.set(told.lock, change(this.locks.get(told.lock) ?? unseen(told.lock), told));
    if (told.event === 'disappeared') this.locks.delete(told.lock);
    if (told.event === 'hold-granted') this.#hold(told.hold);
    if (told.event === 'hold-ended') this.holds.delete(told.id);
    if (told.event === 'policy' && this.status)
      this.status = {...this.status, policy: {...this.status.policy, problem: told.problem}};
  }

  /** @param {Told} told */
  #remember(told) {
    const happened = {id: String(++this.#events), at: Date.now(), told};
    this.happened = [happened, ...this.happened].slice(0, MOST_HAPPENED);
  }

  /** @param {Hold} hold */
  #hold(hold) {
    this.holds.set(hold.id, {...hold, ends: performance.now() + hold.remaining});
  }
}
