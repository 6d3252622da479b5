/** What does an event of the daemon say, on one line? */
import type {CertificateAnswer, HoldAnswer, Lock, Status, VerdictAnswer} from '../daemon/api.js';
import type {ServerEvent} from '../daemon/client.js';
import {describeEnding, type Ending} from '../os/death.js';
import {oneLine} from './output.js';
import {showDuration} from './units.js';

/** An event: its own fields are those of lib/daemon/events.ts. The first one is `hello`, with the status. */
export interface Told {
  readonly event: string;
  readonly lock?: string;
  readonly [fact: string]: unknown;
}

export function toTold({event, data}: ServerEvent): Told {
  return event === 'hello' ? {event, status: data} : (data as Told);
}

/** The fields that events have, each of them its own. */
interface Facts {
  readonly status: Status;
  readonly file: string;
  readonly bit: 0 | 1 | null;
  readonly owner: Lock['owner'];
  readonly ending: Ending | null;
  readonly verdict: VerdictAnswer;
  readonly reason: string;
  readonly certificate: CertificateAnswer;
  readonly error: {readonly message: string};
  readonly hold: HoldAnswer;
  readonly why: string;
  readonly locks: number;
  readonly took: number;
  readonly problem: string | null;
  readonly what: string;
  readonly late: string | null;
  readonly name: string;
  readonly pid: number;
  readonly waitsFor: readonly string[];
}

function ownerText(owner: Lock['owner']): string {
  if (!owner) return 'an unknown owner';
  return `pid ${owner.pid} on ${owner.node}${owner.purpose === '' ? '' : `, for "${owner.purpose}"`}`;
}

function changedText({bit, owner}: Facts): string {
  if (bit === null) return 'the bit can not be read';
  return bit === 1 ? `HOT: ${ownerText(owner)}` : 'clear';
}

const TEXT: Readonly<Record<string, (facts: Facts) => string>> = {
  hello: ({status}) =>
    `the daemon, pid ${status.pid}, watches ${status.locks} locks on ${status.node}, ${status.hot} of them set`,
  appeared: ({file}) => `is watched, for ${file}`,
  disappeared: () => 'is gone',
  changed: changedText,
  'owner-died': ({owner, ending}) =>
    `the owner, ${ownerText(owner)}, ${ending ? describeEnding(ending) : 'is gone'}`,
  verdict: ({verdict: {state, owner}}) => (state === 'FREE' ? state : `${state}: ${ownerText(owner)}`),
  recovering: ({reason}) => `is being recovered: ${reason}`,
  recovered: ({certificate}) => `ALL CLEAR after ${showDuration(certificate.took)}: ${certificate.outcome}`,
  'recovery-refused': ({error}) => `could not be recovered: ${error.message}`,
  orphan: () => 'was left in the middle, and is left to people: locksmith recover',
  suspect: ({late}) =>
    late === null ? 'the owner gets on again' : `SUSPECT: the owner is late with its ${late}`,
  'orchestrator-joined': ({name, pid}) => `the orchestrator ${name}, pid ${pid}, has registered`,
  'orchestrator-left': ({name, pid}) => `the orchestrator ${name}, pid ${pid}, has left`,
  'hold-asked': ({waitsFor}) =>
    `a hold is asked for${waitsFor.length === 0 ? '' : `, and waits for ${waitsFor.join(', ')}`}`,
  'hold-granted': ({hold}) =>
    `on hold for ${showDuration(hold.remaining)}, for pid ${hold.by.pid} (uid ${hold.by.uid})${hold.reason === '' ? '' : `: ${hold.reason}`}`,
  'hold-ended': ({why}) => `the hold has ended: ${why}`,
  swept: ({locks, took}) => `all ${locks} locks were looked at in ${showDuration(took)}`,
  policy: ({problem}) =>
    problem === null
      ? 'the policy was read'
      : `the new policy has a fault, and the old one stays: ${problem}`,
  trouble: ({what, error}) => `trouble with ${what}: ${error.message}`,
};

/** The lock that it is about, if any, and what happened; an event of a newer daemon by its name. */
export function eventText(told: Told): string {
  const text = TEXT[told.event]?.(told as unknown as Facts) ?? told.event;
  return oneLine(told.lock === undefined ? text : `${told.lock}  ${text}`);
}
