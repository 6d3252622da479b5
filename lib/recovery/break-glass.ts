/** How is a lock taken from anyone, living or unknown? The audited force path; it skips no epoch, no hold and no cleaning. */
import {LockError} from '../errors.js';
import type {ConfigLock} from '../lock/config-lock.js';
import {listShadows} from '../lock/shadow.js';
import {hashFile} from '../lock/update.js';
import {Deadline} from '../os/deadline.js';
import {describeProcess, endProcess} from '../os/process.js';
import {readText} from '../os/read-text.js';
import type {System} from '../os/system.js';
import {drainContenders} from './contenders.js';
import {DEFAULT_HOLD, type Hold, hold} from './hold.js';
import {checkPermitted} from './permission.js';
import {holdFacts, judge, lockRecovery, type RecoverOptions, stepper, verifyUnchanged} from './recover.js';
import {recordIntent} from './record.js';
import {type Certificate, effectsOf, takeBack} from './take-back.js';
import {letGo, type Taken, takeOver} from './takeover.js';
import {summarize, type Verdict} from './verdict.js';

export interface BreakGlassOptions extends RecoverOptions {
  /** The owner as `examine` named it: its pid or identity; `unknown` when no owner could be read. */
  readonly owner: number | string;
  /** The epoch as `examine` named it. */
  readonly epoch: number;
  /** Why; at least a few words. */
  readonly reason: string;
  /** End the owner (SIGKILL) once its guard is ours. Without it the owner is let run, or stand, and is fenced. */
  readonly kill?: boolean | undefined;
  /** Users, and groups with an @ before them, who may do it beside root; by default the owner's own user. */
  readonly allowed?: readonly string[] | undefined;
}

/** The user that logged in, whatever was done with sudo since; undefined where the kernel does not keep it (proc_pid_loginuid(5)). */
function loginUid(system: System): number | undefined {
  try {
    const uid = Number(readText(`${system.procRoot}/self/loginuid`));
    return uid === 0xffffffff ? undefined : uid;
  } catch {
    return undefined;
  }
}

function names(verdict: Verdict, owner: number | string): boolean {
  if (verdict.owner === null)
    return verdict.bit.owner ? String(owner) === String(verdict.bit.owner.pid) : owner === 'unknown';
  return String(owner) === String(verdict.owner.pid) || owner === verdict.owner.identity;
}

/** Whom `kill` ends: the owner on record, who must be of this pid namespace and boot. */
function checkKillable(config: ConfigLock, {owner}: Verdict): void {
  const {bootId, pidNamespace} = config.system;
  if (owner?.bootId === bootId && owner.pidNamespace === pidNamespace) return;
  throw new LockError(
    'ERR_ARGUMENT',
    `nobody can be ended: ${owner ? 'the owner is not of this pid namespace and boot' : 'no owner is on record'}`,
    {lock: config.name, path: config.file},
  );
}

/** The owner and epoch must be the ones that the operator saw. */
function checkNamed(config: ConfigLock, verdict: Verdict, {owner, epoch}: BreakGlassOptions): void {
  if (names(verdict, owner) && epoch === verdict.epoch) return;
  const stranger = verdict.bit.owner ? `pid ${verdict.bit.owner.pid}` : 'unknown';
  const now = verdict.owner ? `pid ${verdict.owner.pid} (${verdict.owner.identity})` : stranger;
  throw new LockError(
    'ERR_OWNER_CHANGED',
    `${config.name} has owner ${now} at epoch ${verdict.epoch}, not ${owner} at ${epoch}; look again before you force it`,
    {
      lock: config.name,
      path: config.file,
      verdict,
    },
  );
}

function checkBreakable(config: ConfigLock, verdict: Verdict): void {
  const facts = {lock: config.name, path: config.file, verdict, pids: verdict.holders.map(({pid}) => pid)};
  if (verdict.state === 'FREE')
    throw new LockError('ERR_NOT_DEAD', `${summarize(verdict)} There is nothing to break.`, facts);
  if (verdict.bit.value === null || verdict.epoch === null) {
    throw new LockError(
      'ERR_LAYOUT_BROKEN',
      `the bit or the epoch of ${config.name} can not be read, so no epoch above it can be given`,
      facts,
    );
  }
  if (verdict.owner === null && verdict.bit.value === 0 && verdict.holders.length > 0) {
    const who = [...new Set(facts.pids)].map(pid => describeProcess(config.system, pid)).join(', ');
    throw new LockError(
      'ERR_TAKEOVER_REFUSED',
      `${who} holds the guard of ${config.name} but owns nothing yet; let it go on, or end it: the kernel then frees the guard`,
      facts,
    );
  }
}

/** What is there before anything is done, for the audit. */
async function whatIsThere(config: ConfigLock, {bit, epoch, holders, waiters}: Verdict): Promise<object> {
  const shadows = (await listShadows(config.file)).map(({path}) => path);
  const record = config.readRecord();
  return {bit, epoch, record, holders, waiters: waiters.length, sha256: await hashFile(config.file), shadows};
}

/** Writes down what will be done, to whom, why, on which evidence, by whom, and what was before. */
async function declare(
  config: ConfigLock,
  verdict: Verdict,
  {reason, kill = false, audit, signal}: BreakGlassOptions,
): Promise<void> {
  const {owner, epoch, state, evidence} = verdict;
  const who = {realUid: process.getuid?.(), loginUid: loginUid(config.system)};
  const before = await whatIsThere(config, verdict);
  const facts = {reason, kill, ...who, owner, epoch, state, evidence, before};
  await recordIntent(config, audit, 'break-glass.intent', facts, signal);
}

/** Ends the owner, and nobody who has its pid by now. The guard is ours already, so it does not go free. */
async function endOwner(
  config: ConfigLock,
  {owner}: Verdict,
  {bound, signal, step}: Pick<Means, 'bound' | 'signal' | 'step'>,
): Promise<void> {
  if (!owner) return;
  const {pid, identity} = owner;
  const facts = {lock: config.name, path: config.file, owner, pids: [pid]};
  using deadline = new Deadline(bound, signal);
  let ended: boolean;
  try {
    ended = await endProcess(config.system, pid, identity, deadline.signal);
  } catch (error) {
    if (!deadline.expired) throw error;
    const who = describeProcess(config.system, pid);
    const why = `${who} was sent SIGKILL and did not end within ${bound} ms: it is frozen, or stuck in the kernel`;
    throw new LockError('ERR_CONTENDED', why, facts);
  }
  if (!ended)
    throw new LockError('ERR_OWNER_CHANGED', `whether pid ${pid} is still the owner can not be told`, facts);
  step('kill', {pid});
}

/**
 * Takes a lock by force. Rejects with ERR_NOT_PERMITTED, ERR_OWNER_CHANGED, ERR_TAKEOVER_REFUSED, and as `recover` does. The old owner keeps
 * running unless `kill` is given; its next commit fails with ERR_FENCED.
 */
export async function breakGlass(config: ConfigLock, options: BreakGlassOptions): Promise<Certificate> {
  const {
    hold: bound = DEFAULT_HOLD,
    onStep,
    validate,
    audit,
    reason,
    kill = false,
    signal,
    quiesce,
    announce,
  } = options;
  if (reason.trim() === '')
    throw new LockError('ERR_ARGUMENT', 'break-glass needs a reason; the audit keeps it');
  const step = stepper(onStep);
  using _recovery = await lockRecovery(config);
  step('recovery-lock');
  const verdict = await judge(config, step);
  await checkPermitted(config, verdict, options.allowed);
  checkBreakable(config, verdict);
  checkNamed(config, verdict, options);
  if (kill) checkKillable(config, verdict);
  await declare(config, verdict, options);
  config.tell({event: 'intent', epoch: verdict.epoch, forced: true});
  step('intent');
  const taken = await takeOver(config, verdict);
  try {
    step('takeover', {from: taken.from});
    if (kill) await endOwner(config, verdict, {bound, signal, step});
    return await forceThrough(config, verdict, taken, {
      bound,
      validate,
      audit,
      reason,
      signal,
      quiesce,
      announce,
      step,
    });
  } finally {
    letGo(taken);
  }
}

interface Means extends Pick<RecoverOptions, 'validate' | 'audit' | 'signal' | 'quiesce' | 'announce'> {
  readonly bound: number;
  readonly reason: string;
  readonly step: ReturnType<typeof stepper>;
}

/** The epoch in force, as `examine` tells it: of a handover that was cut short, too. */
function epochNow(config: ConfigLock): number {
  const record = config.readRecord();
  return Math.max(config.bit.epoch(), record.state === 'unreadable' ? 0 : record.epoch);
}

async function drainAndTake(
  config: ConfigLock,
  verdict: Verdict,
  taken: Taken,
  stop: Hold,
  {validate, audit, reason, step}: Pick<Means, 'validate' | 'audit' | 'reason' | 'step'>,
): Promise<Certificate> {
  const spare = new Set([...taken.from, ...(verdict.owner ? [verdict.owner.pid] : [])]);
  const drained = await drainContenders(config, taken.guard, stop, {
    held: true,
    spare,
    onContenders: contenders => step('contenders', {contenders}),
  });
  if (drained.length === 0) step('contenders', {contenders: []});
  return await takeBack({
    config,
    hold: stop,
    verdict,
    forced: true,
    reason,
    drained,
    validate,
    audit,
    step,
    verify: read => verifyUnchanged(config, verdict, read),
  });
}

async function forceThrough(
  config: ConfigLock,
  verdict: Verdict,
  taken: Taken,
  {bound, signal, quiesce, announce, ...means}: Means,
): Promise<Certificate> {
  await using stop = await hold(config, {
    for: bound,
    signal,
    quiesce,
    announce,
    evict: taken.gates,
    fences: effectsOf(config),
  });
  means.step('hold', holdFacts(stop));
  let handedOver = false;
  const step: Means['step'] = (name, facts) => {
    handedOver ||= name === 'handover';
    return means.step(name, facts);
  };
  try {
    return await drainAndTake(config, verdict, taken, stop, {...means, step});
  } finally {
    // It is fenced, but still has the description open: closing our copy alone would leave the guard locked, also for
    // whoever takes the lock back from us should we have failed.
    if (handedOver || epochNow(config) !== verdict.epoch) taken.guard.unlock();
    // It is the owner as before, and goes on in its cycle.
    else stop.readmit(taken.gates);
  }
}
