/** Who holds a file that no lock of ours guards? Any file of the system: the lock table, its holders, a test of each kind of lock, and the bit that somebody else may have made for it in the kernel. */
import {resolve} from 'node:path';
import type {Suspect} from '../os/hiding-places.js';
import type {LockBit} from '../os/lock-bit.js';
import type {Holder, Waiter} from '../os/lock-table.js';
import {pathText} from '../os/path-text.js';
import {type System, system as ourSystem} from '../os/system.js';
import type {Gap} from '../os/visibility.js';
import {examineClaim, readSetBit} from './claim.js';
import {chainEvidence, lockEvidence, reachEvidence} from './file-evidence.js';
import {isLocked, type Look, lookSettled, pinTarget, testGaps} from './file-look.js';
import type {Evidence, Existence} from './incarnation.js';
import {gapEvidence, seeMore, suspectText} from './incomplete.js';
import type {ExamineOptions, State, Verdict} from './verdict.js';

/** A verdict without a lock of ours: there is no record. Only the kernel can tell that somebody is dead, of a bit that he set. */
export interface FileVerdict {
  readonly name: null;
  readonly file: string;
  readonly hot: boolean;
  readonly state: State;
  /** A lock was seen or was in the way; null when that could not be told. */
  readonly locked: boolean | null;
  /** Of the kernel's bit. */
  readonly epoch: number | null;
  readonly owner: null;
  /** The kernel's bit of the file's name, where somebody has made one. */
  readonly bit: Verdict['bit'] | null;
  readonly holders: readonly Holder[];
  /** Where a lock may be that no process shows. */
  readonly suspects: readonly Suspect[];
  readonly waiters: readonly Waiter[];
  readonly evidence: readonly Evidence[];
  readonly complete: boolean;
  /** What could not be looked at. */
  readonly missing: readonly Gap[];
  readonly next: readonly string[];
}

/** Who holds the file itself. */
function judgeLooks({list: {locks}, holders, tests}: Look): State {
  const lost = locks.some(lock => lock.holders.length === 0);
  if (holders.state === 'ALIVE') return 'ALIVE';
  if (holders.state === 'FROZEN') return lost ? 'UNKNOWN' : 'FROZEN';
  return locks.length === 0 && tests.every(({free}) => free === true) ? 'FREE' : 'UNKNOWN';
}

/** What the kernel's bit adds. */
interface Stray {
  readonly bit: FileVerdict['bit'];
  readonly epoch: number | null;
  /** Of whoever set it; undefined when it is clear. */
  readonly setter: Existence | undefined;
  readonly evidence: readonly Evidence[];
}

const NO_STRAY: Stray = {bit: null, epoch: null, setter: undefined, evidence: []};

function examineStray(system: System, bit: LockBit): Stray {
  const {kind, path} = bit;
  const value = bit.read();
  const set = readSetBit(bit);
  const shown = {path, kind, value, owner: set.owner ?? null};
  const looked = `bit ${path}`;
  if (value === 0) {
    const evidence = {looked, saw: `0, epoch ${set.epoch}`, follows: 'nobody has set it'};
    return {bit: shown, epoch: set.epoch, setter: undefined, evidence: [evidence]};
  }
  const {existence, evidence} = examineClaim(system, set, {state: 'unreadable', why: 'there is none'});
  const hot = {looked, saw: `1, epoch ${set.epoch}`, follows: 'the file is HOT'};
  return {bit: shown, epoch: set.epoch, setter: existence, evidence: [hot, ...evidence]};
}

const SETTER_STATE: Record<Existence, State> = {
  running: 'ALIVE',
  frozen: 'FROZEN',
  gone: 'DEAD',
  unknown: 'UNKNOWN',
};

/** A holder of the file who lives counts before a bit whose setter is dead. */
function judge(locks: State, setter: Existence | undefined): State {
  if (setter === undefined) return locks;
  return setter === 'gone' && locks !== 'FREE' ? locks : SETTER_STATE[setter];
}

function advise(
  path: string,
  state: State,
  pids: readonly number[],
  suspects: readonly Suspect[],
  missing: readonly Gap[],
  {bit, epoch, setter}: Stray,
): string[] {
  const own: Record<State, string[]> = {
    FREE: [],
    ALIVE: [`wait until it is given back by pid ${pids.join(', pid ')}`],
    FROZEN: [`let it go on: kill -CONT ${pids.join(' ')}`],
    DEAD: [`locksmith recover ${path}`],
    UNKNOWN: suspects.map(suspect => `look into this: ${suspectText(suspect)}`),
  };
  const force = `by force, audited: locksmith break-glass ${path} --owner ${bit?.owner?.pid} --epoch ${epoch} --reason "..."`;
  const forced = setter === 'running' || setter === 'frozen' ? [force] : [];
  return [...seeMore(missing, path), ...own[state], ...forced];
}

/** How a file is looked at. */
export interface ExamineFileOptions extends ExamineOptions {
  readonly system?: System;
  /** The bit in the kernel that somebody else has made for it. */
  readonly bit?: LockBit | undefined;
}

/** Looks at any file, and at the kernel's bit of its name if there is one. The path may be bytes: names need not be UTF-8. Rejects with ERR_CONFIG_MISSING, SystemError. */
export async function examineFile(
  target: string | Buffer,
  {system = ourSystem(), bit, everywhere = false}: ExamineFileOptions = {},
): Promise<FileVerdict> {
  const path = typeof target === 'string' ? resolve(target) : pathText(target);
  using file = pinTarget(system, target, path);
  const seen = await lookSettled(system, file, path, everywhere);
  const {list, tests} = seen;
  const holders = list.locks.flatMap(lock => lock.holders);
  const suspects = list.locks.flatMap(lock => lock.suspects);
  const stray = bit ? examineStray(system, bit) : NO_STRAY;
  const state = judge(judgeLooks(seen), stray.setter);
  const setters = stray.bit?.owner ? [stray.bit.owner.pid] : [];
  // That it is free, the tests alone prove; nobody else need be asked.
  const missing = [...(state === 'FREE' ? [] : list.gaps), ...testGaps(tests)];
  return {
    name: null,
    file: path,
    hot: stray.setter !== undefined,
    state,
    locked: isLocked(seen),
    epoch: stray.epoch,
    owner: null,
    bit: stray.bit,
    holders,
    suspects,
    waiters: list.locks.flatMap(lock => lock.waiters),
    evidence: [
      ...stray.evidence,
      ...list.locks.map(lock => lockEvidence(system, lock)),
      ...seen.holders.evidence,
      ...list.chain.map(link => chainEvidence(system, link)),
      ...tests.map(({evidence}) => evidence),
      ...reachEvidence(list),
      ...gapEvidence(list.gaps),
    ],
    complete: missing.length === 0,
    missing,
    next: advise(
      path,
      state,
      [...new Set([...setters, ...holders.map(({pid}) => pid)])],
      suspects,
      missing,
      stray,
    ),
  };
}

/** The verdict in one sentence. */
export function summarizeFile({file, state, locked, holders, bit}: FileVerdict): string {
  if (bit?.owner) {
    const life = bit.owner.alive ? 'lives' : 'is proven dead';
    return `${file} is guarded by no lock of Locksmith yet, but is HOT: pid ${bit.owner.pid}, which ${life}, set its bit in the kernel.`;
  }
  const pids = [...new Set(holders.map(({pid}) => pid))];
  const who = `pid ${pids.join(', pid ')}`;
  const sentences: Record<Exclude<State, 'DEAD'>, string> = {
    FREE: 'nobody has a lock on it.',
    ALIVE: `it is locked by ${who}, alive.`,
    FROZEN: `it is locked by ${who}, alive but not able to run.`,
    UNKNOWN: locked
      ? 'it is locked, and who has the lock is not proven.'
      : 'whether somebody has a lock on it is unknown.',
  };
  return `${file} is guarded by no lock of Locksmith; ${sentences[state === 'DEAD' ? 'UNKNOWN' : state]}`;
}
