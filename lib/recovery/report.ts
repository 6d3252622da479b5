/** What may programs rely on? The fields of verdicts and failures, in `--json` and in what the daemon answers. */
import {isLockError, type LockError} from '../errors.js';
import type {Waiter} from '../os/lock-table.js';
import type {FileVerdict} from './file-verdict.js';
import type {GuardedConfig} from './guarded-config.js';
import type {ShownCertificate, Step} from './take-back.js';
import type {ShownOwner, ShownVerdict, Verdict} from './verdict.js';

/** What looking at a lock, or at a file that none guards, gave. */
export type AnyVerdict = ShownVerdict | FileVerdict;

/** A waiter as scripts see it: what is not known is null. */
export function toWaiter({pid, kind, mode, start, end, behind}: Waiter): Record<string, unknown> {
  return {pid: pid ?? null, kind, mode, start, end: end ?? null, behind: behind ?? null};
}

/** An owner as scripts see it; null when there is none. */
export function toOwner(owner: ShownOwner | null): Record<string, unknown> | null {
  if (!owner) return null;
  const {node, pid, bootId, identity, exe, uid, purpose, since} = owner;
  return {node, pid, bootId, identity, exe, uid, purpose, since};
}

/** A certificate as scripts see it. */
export function toCertificate(certificate: ShownCertificate): Record<string, unknown> {
  return {...certificate, verdict: toReport(certificate.verdict)};
}

/** A step as scripts see it. */
export function toStep(step: Step): Step {
  switch (step.step) {
    case 'verdict':
      return {...step, owner: toOwner(step['owner'] as ShownOwner | null)};
    case 'all-clear':
      return {...step, certificate: toCertificate(step['certificate'] as ShownCertificate)};
    default:
      return step;
  }
}

/** The fields that scripts may rely on, and no others. */
export function toReport(verdict: AnyVerdict): Record<string, unknown> {
  const {name, file, hot, state, epoch, owner, bit, holders, suspects, evidence, complete, missing, next} =
    verdict;
  return {
    name,
    file,
    hot,
    state,
    epoch,
    owner: toOwner(owner),
    bit,
    holders: holders.map(holder => ({...holder, identity: holder.identity ?? null})),
    suspects,
    waiters: verdict.waiters.map(toWaiter),
    evidence,
    complete,
    missing,
    next,
  };
}

/** Looks at a lock; what keeps it from being looked at becomes evidence, so that one broken lock hides no other. */
export async function examineAnyway(config: GuardedConfig): Promise<Verdict> {
  try {
    return await config.examine();
  } catch (error) {
    const evidence = {
      looked: config.paths.directory,
      saw: (error as Error).message,
      follows: 'nothing can be said about this lock',
    };
    const bit = {path: config.bit.path, kind: config.bit.kind, value: null, owner: null};
    const unknown = {
      hot: false,
      state: 'UNKNOWN',
      epoch: null,
      owner: null,
      holders: [],
      suspects: [],
      waiters: [],
      complete: false,
      missing: [{what: config.paths.directory, why: (error as Error).message, visibleTo: null}],
    } as const;
    return {
      name: config.name,
      file: config.file,
      ...unknown,
      bit,
      evidence: [evidence],
      next: ['locksmith doctor'],
    };
  }
}

/** The fields of a failure that scripts may rely on: its code, its facts, what to do next. */
export function toFacts(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return {message: String(error)};
  const {name: _name, verdict, ...facts} = error as LockError;
  const advice = isLockError(error) ? {advice: error.advice} : {};
  return {
    ...facts,
    message: error.message,
    ...advice,
    ...(verdict ? {verdict: toReport(verdict as Verdict)} : {}),
  };
}

function plain(_key: string, value: unknown): unknown {
  if (typeof value !== 'bigint') return value;
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : String(value);
}

/** JSON on one line; a bigint becomes a number where that is exact, else a string. */
export function toJson(value: unknown): string {
  return JSON.stringify(value, plain);
}
