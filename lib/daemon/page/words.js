/** How are times, owners and events said? */

/** @typedef {import('./model.js').Told} Told */
/** @typedef {import('./model.js').AuditRecord} AuditRecord */

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** From which time on, in which two units. @type {readonly (readonly [number, number, string, number, string])[]} */
const SCALES = [
  [DAY, DAY, 'd', HOUR, 'h'],
  [HOUR, HOUR, 'h', MINUTE, 'min'],
  [MINUTE, MINUTE, 'min', SECOND, 's'],
];

/**
 * `42 s`, `3 min 12 s`, `2 h 5 min`, `3 d 4 h`.
 * @param {number} milliseconds
 */
export function duration(milliseconds) {
  const time = Math.max(0, milliseconds);
  const scale = SCALES.find(([from]) => time >= from);
  if (!scale) return `${Math.floor(time / SECOND)} s`;
  const [, big, bigName, small, smallName] = scale;
  return `${Math.floor(time / big)} ${bigName} ${Math.floor((time % big) / small)} ${smallName}`;
}

/**
 * `310 ms`, `1.5 s`: what something took.
 * @param {number} milliseconds
 */
export function took(milliseconds) {
  return milliseconds < SECOND ? `${Math.round(milliseconds)} ms` : `${(milliseconds / SECOND).toFixed(1)} s`;
}

/**
 * The time of the day; with the date where that is another.
 * @param {string | number} time
 */
export function clock(time) {
  const date = new Date(time);
  const text = date.toLocaleTimeString('en-GB');
  return date.toDateString() === new Date().toDateString()
    ? text
    : `${date.toLocaleDateString('en-CA')} ${text}`;
}

/** @param {{pid: number, node: string} | null} owner */
export function ownerText(owner) {
  return owner ? `pid ${owner.pid} on ${owner.node}` : 'an unknown owner';
}

/** @param {unknown} error */
function problemText(error) {
  return /** @type {{message?: string}} */ (error).message ?? String(error);
}

/** How a process ended, as the kernel told it. @param {Told} told */
function endingText({ending}) {
  if (!ending) return 'is gone';
  const {signal, code} = /** @type {{signal?: string, code?: number}} */ (ending);
  if (signal !== undefined) return `was ended by ${signal}`;
  return code === undefined ? 'has ended' : `ended with status ${code}`;
}

/** @type {Readonly<Record<string, (told: Told) => string>>} */
const EVENT_TEXT = {
  appeared: () => 'is watched from now on',
  disappeared: () => 'is gone',
  verdict: ({verdict}) =>
    verdict.state === 'FREE' ? 'is FREE' : `is ${verdict.state}: ${ownerText(verdict.owner)}`,
  'owner-died': told => `owner pid ${told.owner?.pid} ${endingText(told)}`,
  recovering: ({reason}) => `is being recovered: ${reason}`,
  recovered: ({certificate}) => `ALL CLEAR after ${took(certificate.took)}: ${certificate.outcome}`,
  'recovery-refused': ({error}) => `could not be recovered: ${problemText(error)}`,
  orphan: ({lock}) => `was left in the middle, and is left to people: locksmith recover ${lock}`,
  suspect: ({late}) =>
    late === null ? 'owner gets on again' : `is SUSPECT: the owner is late with its ${late}`,
  'hold-granted': ({hold}) => `is on hold for ${duration(hold.remaining)}, for pid ${hold.by.pid}`,
  'hold-ended': ({why}) => `hold ended: ${why}`,
  policy: ({problem}) =>
    problem === null ? 'The policy was read' : 'The new policy has a fault, and the old one stays',
  'fleet-standing': ({current, why}) =>
    current ? 'What is known of the fleet is current' : `What is known of the fleet is old: ${why}`,
  trouble: ({what, error}) => `Trouble with ${what}: ${problemText(error)}`,
};

/**
 * What happened, after the name of the lock; undefined for what needs no words.
 * @param {Told} told
 */
export function eventText(told) {
  return EVENT_TEXT[told.event]?.(told);
}

/**
 * What a record of the audit log says beyond who, when and which lock.
 * @param {AuditRecord} record
 */
export function auditText({event, outcome, epochs, reason = ''}) {
  return event === 'all-clear' && epochs
    ? `${outcome}, epoch ${epochs.before} → ${epochs.after}: ${reason}`
    : reason;
}
