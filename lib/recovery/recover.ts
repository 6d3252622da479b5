/** How is a lock taken back from the dead? The safe release: proof, audit, hold, no contender, handover, clean, ALL CLEAR. */
import {LockError} from '../errors.js';
import type {ConfigLock} from '../lock/config-lock.js';
import {checkModule} from '../lock/layout.js';
import type {ReadRecord} from '../lock/owner-record.js';
import {monotonic} from '../os/deadline.js';
import {LockFile} from '../os/lock-file.js';
import {findHolders} from '../os/lock-survey.js';
import {describeProcess, examineProcess} from '../os/process.js';
import type {AuditSink} from './audit.js';
import {examineClaim, ownerOnRecord, readSetBit} from './claim.js';
import type {ValidateFile} from './clean.js';
import {drainContenders} from './contenders.js';
import {type Announce, DEFAULT_HOLD, type Hold, hold} from './hold.js';
import type {QuiesceSpec} from './quiesce/spec.js';
import {recordIntent} from './record.js';
import {type Certificate, effectsOf, type OnStep, type StepName, takeBack} from './take-back.js';
import {examine, summarize, type Verdict} from './verdict.js';

export interface RecoverOptions {
  /** Bound of the hold in milliseconds. */
  readonly hold?: number | undefined;
  /** Orchestrators that do not pass the gate, in the order in which they are stopped. */
  readonly quiesce?: readonly QuiesceSpec[] | undefined;
  readonly announce?: Announce | undefined;
  /** Sees each step as it is done. */
  readonly onStep?: OnStep | undefined;
  /** Refuses the file as cleaning leaves it, by throwing; the bit then stays set. */
  readonly validate?: ValidateFile | undefined;
  /** Why, for the audit and for whoever meets the lock meanwhile. */
  readonly reason?: string | undefined;
  /** Where the records go instead of STATE's log. */
  readonly audit?: AuditSink | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Counts the time and passes each step on. */
export function stepper(
  onStep: OnStep | undefined,
): (name: StepName, facts?: Readonly<Record<string, unknown>>) => number {
  const start = monotonic();
  return (step, facts = {}) => {
    const at = Math.round((monotonic() - start) * 1000) / 1000;
    onStep?.({step, at, ...facts});
    return at;
  };
}

/** What the step `hold` tells. */
export function holdFacts(stop: Hold): Readonly<Record<string, unknown>> {
  const {acknowledgedAfter, acknowledgements} = stop;
  return {acknowledgedAfter, acknowledgements, remaining: stop.remaining()};
}

/** A recoverer for people; one that can't run keeps all others out until it is let go on, or ended. */
function describeRecoverer(config: ConfigLock, pid: number): string {
  const presence = examineProcess(config.system, pid);
  const frozen = presence.kind === 'running' ? presence.facts.frozen : undefined;
  return `${describeProcess(config.system, pid)}${frozen === undefined ? '' : `, which can not run: ${frozen}`}`;
}

/** How often the recovery lock is tried when it is held, but whoever held it is gone by the time that holders are looked for. */
const TRIES = 3;

/** One recoverer at a time. The caller closes what it gets. Throws ERR_RECOVERY_BUSY and names the other. */
export async function lockRecovery(config: ConfigLock): Promise<LockFile> {
  const {recovery} = config.paths;
  let pids: number[] = [];
  for (let tries = 0; tries < TRIES && pids.length === 0; tries++) {
    const file = LockFile.tryOpen(recovery, 'exclusive');
    if (file) return file;
    pids = await findHolders(config.system, recovery);
  }
  const who = pids.map(pid => describeRecoverer(config, pid)).join('; ');
  throw new LockError(
    'ERR_RECOVERY_BUSY',
    `${config.name} is being recovered already by ${who || 'a process that can not be seen from here'}`,
    {lock: config.name, path: config.file, pids},
  );
}

/** The verdict that a recovery begins with, as a step. Rejects with ERR_MODULE_MISSING where the bit is out of sight, and with it whatever was to be proven. */
export async function judge(config: ConfigLock, step: ReturnType<typeof stepper>): Promise<Verdict> {
  checkModule(config.system, config.bit);
  const verdict = await examine(config);
  const {state, owner, epoch} = verdict;
  step('verdict', {state, summary: summarize(verdict), owner, epoch});
  return verdict;
}

/** Waits until the recovery that is under way has ended, one way or another. */
export async function waitForRecovery(config: ConfigLock, signal: AbortSignal | undefined): Promise<void> {
  using file = LockFile.open(config.paths.recovery);
  await file.wait('exclusive', {signal});
}

function notDead(config: ConfigLock, verdict: Verdict): LockError {
  return new LockError('ERR_NOT_DEAD', `${summarize(verdict)} Nothing was changed.`, {
    lock: config.name,
    path: config.file,
    verdict,
    ...(verdict.owner && {owner: verdict.owner}),
    ...(verdict.epoch !== null && {epoch: verdict.epoch}),
  });
}

/** With the guard in our hands: the same incarnation on record, the same epoch? Else throws ERR_OWNER_CHANGED. */
export function verifyUnchanged(config: ConfigLock, {owner, epoch}: Verdict, read: ReadRecord): void {
  const {bit} = config;
  const now = bit.epoch();
  const current = ownerOnRecord(bit.read(), {kind: bit.kind, epoch: now}, read);
  const recorded = read.state === 'unreadable' ? 0 : read.epoch;
  if (current?.identity === owner?.identity && Math.max(now, recorded) === epoch) return;
  throw new LockError(
    'ERR_OWNER_CHANGED',
    `the owner of ${config.name} changed while it was being taken back`,
    {lock: config.name, path: config.file},
  );
}

/** Still set, still dead? The guard is in our hands, which proves that no copy of it lives. */
function verifyStillDead(config: ConfigLock, verdict: Verdict, read: ReadRecord): void {
  verifyUnchanged(config, verdict, read);
  const {existence, resigned} = examineClaim(config.system, readSetBit(config.bit), read);
  const dead = config.bit.read() === 1 && (resigned || existence === 'gone');
  if (!dead) throw notDead(config, verdict);
}

/**
 * Takes a lock back from an owner that is proven dead. Rejects with ERR_NOT_DEAD (its `verdict` says which: FREE,
 * ALIVE, FROZEN, UNKNOWN), ERR_AUDIT_REFUSED, ERR_HOLD_REFUSED, ERR_CONTENDED, ERR_RECOVERY_BUSY, ERR_NOT_CLEAN or ERR_UNRECORDED. Killed between any two steps, running
 * it again finishes.
 */
export async function recover(config: ConfigLock, options: RecoverOptions = {}): Promise<Certificate> {
  const {hold: bound = DEFAULT_HOLD, onStep, validate, audit, signal, quiesce, announce} = options;
  const {reason = 'the owner is proven dead'} = options;
  const step = stepper(onStep);
  using _recovery = await lockRecovery(config);
  step('recovery-lock');
  const verdict = await judge(config, step);
  if (verdict.state !== 'DEAD') throw notDead(config, verdict);
  const facts = {reason, owner: verdict.owner, epoch: verdict.epoch, evidence: verdict.evidence};
  await recordIntent(config, audit, 'recover.intent', facts, signal);
  config.tell({event: 'intent', epoch: verdict.epoch, forced: false});
  step('intent');
  await using stop = await hold(config, {for: bound, signal, quiesce, announce, fences: effectsOf(config)});
  step('hold', holdFacts(stop));
  using guard = LockFile.open(config.paths.guard);
  const drained = await drainContenders(config, guard, stop, {
    onContenders: contenders => step('contenders', {contenders}),
  });
  if (drained.length === 0) step('contenders', {contenders: []});
  step('guard');
  return await takeBack({
    config,
    hold: stop,
    verdict,
    forced: false,
    reason,
    drained,
    validate,
    audit,
    step,
    verify: read => verifyStillDead(config, verdict, read),
  });
}
