/** What does `locksmith watch` show on a terminal? The daemon, all locks with those in trouble first, holds, and what happened last. */
import type {HoldAnswer, Lock, Status} from '../daemon/api.js';
import {type Columns, tableLines} from './columns.js';
import {eventText, type Told} from './event-text.js';
import {oneLine, paint} from './output.js';
import {STATE_STYLE} from './report.js';
import {showAge, showDuration} from './units.js';

/** All that the daemon says, and when it said so. */
export interface Picture {
  readonly status: Status;
  readonly locks: readonly Lock[];
  readonly holds: readonly HoldAnswer[];
  /** Of performance.now(). */
  readonly taken: number;
}

/** So many events stand below the locks. */
const MOST_EVENTS = 8;

/** Trouble first. */
const ORDER = ['DEAD', 'UNKNOWN', 'FROZEN', 'ALIVE', 'FREE'] as const;

const COLUMNS: Columns<Lock> = {
  NAME: ({name}) => name,
  STATE: ({state, recovering}) => `${state ?? '…'}${recovering ? ', being recovered' : ''}`,
  BIT: ({hot}) => (hot === null ? '?' : hot ? 'HOT' : '-'),
  OWNER: ({owner, hot}) => (owner && hot ? `${owner.pid}@${owner.node}` : '-'),
  FOR: ({owner, hot}) => (owner && hot ? showDuration(Date.now() - Date.parse(owner.since)) : '-'),
  WAITERS: ({waiters}) => String(waiters),
  PURPOSE: ({owner, hot}) => (owner && hot ? owner.purpose : ''),
};

/** What was not examined since it changed stands where its bit would have it. */
function rankOf({state, hot}: Lock): number {
  return ORDER.indexOf(state ?? (hot ? 'ALIVE' : 'FREE'));
}

function headLines({version, node, pid, sweep, policy}: Status, cutOff: string | undefined): string[] {
  const swept = sweep ? `last sweep ${showAge(sweep.finished)}` : 'no sweep yet';
  const {stdout} = process;
  return [
    `${paint(stdout, 'bold', `Locksmith on ${node}`)}  daemon ${version}, pid ${pid}, ${swept}`,
    ...(policy.problem === null ? [] : [paint(stdout, 'red', oneLine(`policy: ${policy.problem}`))]),
    ...(cutOff === undefined
      ? []
      : [paint(stdout, 'red', `CUT OFF since ${cutOff}: the daemon does not answer; what follows is old`)]),
  ];
}

function holdLine({lock, remaining, by, reason}: HoldAnswer, age: number): string {
  const left = showDuration(Math.max(0, remaining - age));
  return oneLine(
    `  ${lock}  ends in ${left}, for pid ${by.pid} (uid ${by.uid})${reason === '' ? '' : `: ${reason}`}`,
  );
}

/** A title and what belongs to it; nothing where there is nothing. */
function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : ['', paint(process.stdout, 'bold', title), ...lines];
}

/** What happened, newest last; what only says that something changed is left to the table. */
export class Recent {
  readonly #lines: string[] = [];

  note(told: Told): void {
    if (['hello', 'changed', 'swept'].includes(told.event)) return;
    this.#lines.push(`  ${new Date().toTimeString().slice(0, 8)}  ${eventText(told)}`);
    if (this.#lines.length > MOST_EVENTS) this.#lines.shift();
  }

  get lines(): readonly string[] {
    return this.#lines;
  }
}

/** `cutOff`: since when nothing is heard. */
export function pictureLines(
  {status, locks, holds, taken}: Picture,
  {lines}: Recent,
  cutOff: string | undefined,
): string[] {
  const sorted = locks.toSorted((a, b) => rankOf(a) - rankOf(b) || (a.name < b.name ? -1 : 1));
  const style = ({state}: Lock) => (state === null ? undefined : STATE_STYLE[state]);
  const age = performance.now() - taken;
  return [
    ...headLines(status, cutOff),
    '',
    ...tableLines(COLUMNS, Object.keys(COLUMNS), sorted, style),
    ...section(
      'Holds',
      holds.map(hold => holdLine(hold, age)),
    ),
    ...section('What happened', lines),
  ];
}
