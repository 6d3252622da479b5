/** How does a failure reach people and scripts? What happened, where, whose, what to do next, and an exit status. */
import {basename} from 'node:path';
import {CommanderError} from 'commander';
import {ERRORS, EXIT, type ErrorCode, isLockError, type LockError} from '../errors.js';
import {hasCode} from '../os/system-error.js';
import type {ShownOwner, ShownVerdict} from '../recovery/verdict.js';
import {toFacts, toJson} from '../recovery/report.js';
import {note, paint} from './output.js';
import {headline, nextLines} from './report.js';
import {Interrupted, signalStatus} from './signals.js';
import {showAge} from './units.js';

/** Refusals that mean: the bit is set by somebody else. */
const HOT_CODES: ReadonlySet<ErrorCode> = new Set(['ERR_HOT', 'ERR_ORPHANED']);

/** What failed, and then failed to be given back, first things first (SuppressedError of `using`). */
function errorsOf(error: unknown): readonly unknown[] {
  const {name, error: last, suppressed} = (error ?? {}) as Partial<SuppressedError>;
  return name === 'SuppressedError' ? [...errorsOf(suppressed), last] : [error];
}

/** Exit status of a failure. */
export function statusOf(error: unknown): number {
  if (isLockError(error)) return ERRORS[error.code].exit;
  if (error instanceof Interrupted) return signalStatus(error.signal);
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
  if (hasCode(error, 'ENOSYS', 'EOPNOTSUPP')) return EXIT.unavailable;
  return hasCode(error, 'EACCES', 'EPERM') ? EXIT.notPermitted : EXIT.failure;
}

/** The lines that every HOT refusal begins with: what, who, since when, alive or not, and what to do next. */
function hotLines(error: LockError): string[] {
  const verdict = error.verdict as ShownVerdict | undefined;
  const hot = paint(process.stderr, 'red', `ERROR: ${basename(error.path ?? '')}: HOT`);
  if (!verdict) return [hot, `locksmith: ${error.message}`, `  next: ${error.advice}`];
  const owner = verdict.owner
    ? [
        `  owner: pid ${verdict.owner.pid} on ${verdict.owner.node}, since ${verdict.owner.since} (${showAge(verdict.owner.since)}), ${verdict.state}`,
      ]
    : [];
  return [
    hot,
    `locksmith: ${headline(verdict)}`,
    ...owner,
    ...nextLines(verdict).map(line => `  next:${line.slice(1)}`),
  ];
}

function ownerLine(error: LockError): string[] {
  const owner = (error.owner ?? (error.verdict as ShownVerdict | undefined)?.owner) as
    | ShownOwner
    | undefined
    | null;
  return owner && !error.message.includes(`pid ${owner.pid}`)
    ? [`  owner: pid ${owner.pid} on ${owner.node}, since ${owner.since}`]
    : [];
}

function lockErrorLines(error: LockError): string[] {
  if (HOT_CODES.has(error.code)) return hotLines(error);
  const path =
    error.path !== undefined && !error.message.includes(error.path) ? [`  file: ${error.path}`] : [];
  const record = error.record === undefined ? [] : [`  record: ${toJson(error.record)}`];
  return [`locksmith: ${error.message}`, ...path, ...ownerLine(error), ...record, `  next: ${error.advice}`];
}

/** What to do about what the kernel refused of its lock bits: errno, file, advice. */
const BIT_ADVICE: readonly (readonly [codes: readonly string[], path: RegExp, advice: string])[] = [
  [
    ['EACCES', 'EPERM'],
    /\/sys\/locks\/|\/locksmith\/parameters\//,
    'run it as root; members of the group locksmith may use lock bits too, but not by force (docs/operations.md)',
  ],
  [['ENOSPC'], /\/sys\/locks\/create$/, 'raise the limit: /sys/module/locksmith/parameters/max_locks'],
  [
    ['EOVERFLOW'],
    /\/sys\/locks\//,
    'the epochs of the kernel are used up; unload the module and load it again',
  ],
];

function adviceOn(error: Error): string[] {
  const path = (error as NodeJS.ErrnoException).path ?? '';
  const found = BIT_ADVICE.find(([codes, where]) => hasCode(error, ...codes) && where.test(path));
  return found ? [`  next: ${found[2]}`] : [];
}

function toLines(error: unknown): string[] {
  if (isLockError(error)) return lockErrorLines(error);
  if (!(error instanceof Error)) return [`locksmith: ${String(error)}`];
  if (error instanceof CommanderError)
    return [`locksmith: ${error.message.replace(/^error: /, '')}`, '  next: locksmith --help'];
  const known = error instanceof Interrupted || 'code' in error;
  const message = known ? error.message : `unexpected: ${error.stack ?? error.message}`;
  return [`locksmith: ${message}`, ...adviceOn(error)];
}

/** Tells a failure on stderr and gives its exit status. Help that was asked for is no failure. */
export function tellFailure(failure: unknown, {json = false}: {json?: boolean | undefined} = {}): number {
  const [error, ...more] = errorsOf(failure);
  const status = statusOf(error);
  if (error instanceof CommanderError && (status === EXIT.done || error.code === 'commander.help'))
    return status;
  for (const each of [error, ...more]) note(json ? toJson({error: toFacts(each)}) : toLines(each).join('\n'));
  return status;
}
