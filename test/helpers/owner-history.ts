/** Is a verdict true? What a harness knows of the life of one lock, as intervals of one clock, and what it says against a verdict. */
import type {State} from '../../lib/recovery/verdict.js';

/** CLOCK_MONOTONIC in nanoseconds: one clock for all processes of a time namespace. */
export type Instant = bigint;

export const now = (): Instant => process.hrtime.bigint();

/** From one moment to another, both included. No end: it has not come. */
export interface Interval {
  from: Instant;
  to: Instant | undefined;
}

/** A time in which somebody could not run. It began in `begins` and ended in `ends`; in between it was so for certain. */
export interface Stop {
  readonly begins: Interval;
  readonly ends: Interval;
}

/** How the lock got free. It may have been free from `clearing` on, and certainly was at `done`. */
export interface End {
  readonly begun: Instant;
  readonly clearing: Instant;
  readonly done: Instant;
}

/** One acquisition, from the question to the end. */
export interface Life {
  readonly kind: string;
  readonly identity: string;
  readonly epoch: number;
  /** Before it asked for the lock, and after it had it. */
  readonly asked: Instant;
  readonly owned: Instant;
  readonly stops: Stop[];
  /** Up to here, the owner lived or a copy of its guard was held, for certain; undefined: it gave the lock back alive. */
  heldUntil?: Instant;
  /** From here on, the owner was gone and no copy left, for certain. */
  goneSince?: Instant;
  end?: End;
}

/** One recovery by a process that lived all the time. */
export interface Recovery extends End {
  readonly identity: string;
  readonly epoch: number;
}

/** All that happened to a lock, in the order of its epochs. */
export interface History {
  readonly lives: Life[];
  readonly recoveries: Recovery[];
  /** Every process that has ever had the guard. */
  readonly hadGuard: Set<number>;
}

/** What an observer said, and the clock before and after it asked. */
export interface Said {
  readonly state: State;
  readonly identity: string | null;
  readonly epoch: number | null;
  readonly holders: readonly number[];
  readonly before: Instant;
  readonly after: Instant;
}

export const newHistory = (): History => ({lives: [], recoveries: [], hadGuard: new Set()});

function meets({before, after}: Said, {from, to}: Interval): boolean {
  return from <= after && (to === undefined || to >= before);
}

function within({before, after}: Said, {from, to}: Interval): boolean {
  return from <= before && to !== undefined && after <= to;
}

/** When the lock may have been free: between each end and the next acquisition. */
function freeTimes({lives}: History): Interval[] {
  const starts = [0n, ...lives.map(({end}) => end?.clearing)];
  return starts.flatMap((from, index) => (from === undefined ? [] : [{from, to: lives[index]?.owned}]));
}

/** When somebody may have had the guard. */
function heldTimes({lives, recoveries}: History): Interval[] {
  return [
    ...lives.map(({asked, goneSince, end}) => ({from: asked, to: goneSince ?? end?.done})),
    ...recoveries.map(({begun, done}) => ({from: begun, to: done})),
  ];
}

function contradictFree(history: History, said: Said): string | undefined {
  return freeTimes(history).some(time => meets(said, time)) ? undefined : 'at no moment was it free';
}

/** DEAD names one incarnation and epoch. It is true from the death to the end of the recovery. */
function contradictDead({lives}: History, said: Said): string | undefined {
  const life = lives.find(({identity, epoch}) => identity === said.identity && epoch === said.epoch);
  if (!life) return 'no owner of that identity and epoch ever lived';
  if (life.heldUntil === undefined) return 'that owner gave the lock back alive';
  if (said.after < life.heldUntil) return 'the owner lived, or its guard was held, all the time';
  return meets(said, {from: life.heldUntil, to: life.end?.done}) ? undefined : 'the lock had been recovered';
}

/** Was the one who is named the owner at some moment? A dead one remains it until the end of the recovery. */
function wasOwner({lives, recoveries}: History, said: Said): boolean {
  const times = [
    ...lives.map(({identity, asked, end}) => ({identity, from: asked, to: end?.done})),
    ...recoveries.map(({identity, begun, done}) => ({identity, from: begun, to: done})),
  ];
  return times.some(time => time.identity === said.identity && meets(said, time));
}

/** ALIVE and FROZEN: somebody who exists has the guard or owns the bit. */
function contradictHeld(history: History, said: Said): string | undefined {
  const {lives, hadGuard} = history;
  if (said.identity !== null && !wasOwner(history, said)) return 'that owner did not own it at any moment';
  if (!heldTimes(history).some(time => meets(said, time)))
    return 'all who ever had it were gone before, with every copy of the guard';
  const wasGone = lives.some(
    ({identity, goneSince}) =>
      identity === said.identity && goneSince !== undefined && goneSince < said.before,
  );
  // Somebody else may pass through the guard then, and is named.
  if (wasGone && said.holders.length === 0) return 'the owner was gone before, and nobody else is named';
  const strangers = said.holders.filter(pid => !hadGuard.has(pid));
  return strangers.length === 0 ? undefined : `pid ${strangers.join()} never had the guard`;
}

function contradictAlive(history: History, said: Said): string | undefined {
  const stops = history.lives.flatMap(life => life.stops);
  const stopped = stops.some(({begins, ends}) => within(said, {from: begins.to ?? ends.from, to: ends.from}));
  return contradictHeld(history, said) ?? (stopped ? 'it was stopped all the time' : undefined);
}

function contradictFrozen(history: History, said: Said): string | undefined {
  const stops = history.lives.flatMap(life => life.stops);
  const stopped = stops.some(({begins, ends}) => meets(said, {from: begins.from, to: ends.to}));
  return contradictHeld(history, said) ?? (stopped ? undefined : 'nobody was stopped at any moment');
}

const AGAINST: Record<State, (history: History, said: Said) => string | undefined> = {
  FREE: contradictFree,
  DEAD: contradictDead,
  ALIVE: contradictAlive,
  FROZEN: contradictFrozen,
  UNKNOWN: () => undefined,
};

/** Why a verdict was wrong at every moment between its question and its answer; undefined when it was not. */
export function contradiction(history: History, said: Said): string | undefined {
  return AGAINST[said.state](history, said);
}

/** True for a DEAD whose owner was gone for certain when it was said; else the harness itself did not know it yet. */
export function isConfirmed({lives}: History, {identity, epoch, after}: Said): boolean {
  const life = lives.find(each => each.identity === identity && each.epoch === epoch);
  return life?.goneSince !== undefined && life.goneSince <= after;
}
