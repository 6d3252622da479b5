/** How is a lock taken from anyone, living or unknown? The audited force path; it skips no epoch, no hold and no cleaning. */
import {readFileSync} from 'node:fs';
import {LockError} from '../errors.js';
import type {ConfigLock} from '../lock/config-lock.js';
import {LockFile} from '../os/lock-file.js';
import {findOpeners} from '../os/lock-survey.js';
import {fileId} from '../os/mounts.js';
import {native} from '../os/native.js';
import {describeProcess} from '../os/process.js';
import {check, SystemError} from '../os/system-error.js';
import type {System} from '../os/system.js';
import {appendAudit} from './audit.js';
import {drainContenders} from './contenders.js';
import {DEFAULT_HOLD, hold} from './hold.js';
import {holdFacts, judge, lockRecovery, type RecoverOptions, stepper, verifyUnchanged} from './recover.js';
import {type Certificate, takeBack} from './take-back.js';
import {summarize, type Verdict} from './verdict.js';

export interface BreakGlassOptions extends RecoverOptions {
  /** The owner as `examine` named it: its pid or identity; `unknown` when no owner could be read. */
  readonly owner: number | string;
  /** The epoch as `examine` named it. */
  readonly epoch: number;
  /** Why; at least a few words. */
  readonly reason: string;
}

/** Descriptions that we share with the owner from now on. */
interface Taken {
  readonly guard: LockFile;
  readonly gates: readonly LockFile[];
  /** True when the guard was taken over from somebody who still holds it with us. */
  readonly shared: boolean;
}

/** The user that logged in, whatever was done with sudo since; undefined where the kernel does not keep it (proc_pid_loginuid(5)). */
function loginUid(system: System): number | undefined {
  try {
    const uid = Number(readFileSync(`${system.procRoot}/self/loginuid`, 'utf8'));
    return uid === 0xffffffff ? undefined : uid;
  } catch {
    return undefined;
  }
}

function checkPrivilege(config: ConfigLock, {owner}: Verdict): void {
  const {uid} = config.system;
  if (uid === 0 || (owner !== null && owner.uid === uid)) return;
  throw new LockError(
    'ERR_NOT_PERMITTED',
    `only root${owner ? ` or uid ${owner.uid}` : ''} may break the glass of ${config.name}; this is uid ${uid}`,
    {lock: config.name, path: config.file},
  );
}

function names(verdict: Verdict, owner: number | string): boolean {
  if (verdict.owner === null)
    return verdict.bit.owner ? String(owner) === String(verdict.bit.owner.pid) : owner === 'unknown';
  return String(owner) === String(verdict.owner.pid) || owner === verdict.owner.identity;
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

function takeoverRefused(config: ConfigLock, pids: readonly number[], why: string): LockError {
  const who =
    pids.length > 0
      ? pids.map(pid => describeProcess(config.system, pid)).join(', ')
      : 'a process that can not be seen';
  return new LockError('ERR_TAKEOVER_REFUSED', `the guard of ${config.name} is held by ${who}, and ${why}`, {
    lock: config.name,
    path: config.file,
    pids,
  });
}

/** Copies a descriptor of a process on this node; both then share one description, and so its lock (pidfd_getfd(2)). */
function copyDescriptor(pid: number, fd: number, path: string): LockFile {
  const pidfd = check<number>(native.pidfdOpen(pid), 'pidfd_open', `pid ${pid}`);
  try {
    return LockFile.adopt(
      path,
      check<number>(native.pidfdGetfd(pidfd, fd), 'pidfd_getfd', `descriptor ${fd} of pid ${pid}`),
    );
  } finally {
    native.close(pidfd);
  }
}

/** Copies of every description that has a lock on a file, from whichever processes show them. All or none. */
async function copyLocked(config: ConfigLock, path: string, only?: ReadonlySet<number>): Promise<LockFile[]> {
  const {holding} = await findOpeners(config.system, fileId(config.system, path));
  const copies: LockFile[] = [];
  try {
    for (const {pid, fd, thread} of holding) {
      // The table of descriptors of a single thread is out of reach (pidfd_getfd(2)).
      if (thread === undefined && (!only || only.has(pid))) copies.push(copyDescriptor(pid, fd, path));
    }
  } catch (error) {
    closeAll(copies);
    throw error;
  }
  // A descriptor may have been closed and its number used again since the look: then it is not ours to keep.
  const wanted = LockFile.keyOf(path);
  closeAll(copies.filter(copy => copy.key !== wanted));
  return copies.filter(copy => copy.key === wanted);
}

function closeAll(files: readonly LockFile[]): void {
  for (const file of files) file.close();
}

/** Shares the guard with whoever holds it. A copy that was not good for it is closed: kept, it would keep the lock. */
async function shareGuard(config: ConfigLock, pids: readonly number[]): Promise<Taken> {
  const [guard, ...more] = await copyLocked(config, config.paths.guard);
  closeAll(more);
  if (!guard) throw takeoverRefused(config, pids, 'its descriptor is nowhere to be found');
  try {
    // The same description: asking for the lock again is granted to whoever shares it, and to nobody else.
    if (!guard.try('exclusive'))
      throw takeoverRefused(config, pids, 'it passed to somebody else meanwhile; look again');
    return {guard, gates: await copyLocked(config, config.paths.gate, new Set(pids)), shared: true};
  } catch (error) {
    guard.close();
    throw error;
  }
}

/** Takes the guard: from the free, or by sharing the description of whoever holds it. */
async function takeOver(config: ConfigLock, verdict: Verdict): Promise<Taken> {
  const own = LockFile.open(config.paths.guard);
  if (own.try('exclusive')) return {guard: own, gates: [], shared: false};
  own.close();
  const pids = [...new Set(verdict.holders.map(({pid}) => pid))];
  try {
    return await shareGuard(config, pids);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    const why = `its descriptor could not be taken over (${error.message}); ending that process frees the guard`;
    throw takeoverRefused(config, pids, why);
  }
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

/**
 * Takes a lock by force. Rejects with ERR_NOT_PERMITTED, ERR_OWNER_CHANGED, ERR_TAKEOVER_REFUSED, and as `recover` does. The old owner keeps
 * running; its next commit fails with ERR_FENCED.
 */
export async function breakGlass(config: ConfigLock, options: BreakGlassOptions): Promise<Certificate> {
  const {hold: bound = DEFAULT_HOLD, onStep, validate, reason, signal, quiesce} = options;
  if (reason.trim() === '')
    throw new LockError('ERR_ARGUMENT', 'break-glass needs a reason; the audit keeps it');
  const step = stepper(onStep);
  using _recovery = await lockRecovery(config);
  step('recovery-lock');
  const verdict = await judge(config, step);
  checkPrivilege(config, verdict);
  checkBreakable(config, verdict);
  checkNamed(config, verdict, options);
  const facts = {
    reason,
    owner: verdict.owner,
    epoch: verdict.epoch,
    state: verdict.state,
    evidence: verdict.evidence,
    loginUid: loginUid(config.system),
  };
  await appendAudit(config.system, config.roots.state, 'break-glass.intent', config.name, facts, signal);
  step('intent');
  const taken = await takeOver(config, verdict);
  try {
    step('takeover', {shared: taken.shared, from: verdict.holders.map(({pid}) => pid)});
    return await forceThrough(config, verdict, taken, {bound, validate, reason, signal, quiesce, step});
  } finally {
    closeAll([...taken.gates, taken.guard]);
  }
}

interface Means extends Pick<RecoverOptions, 'validate' | 'signal' | 'quiesce'> {
  readonly bound: number;
  readonly reason: string;
  readonly step: ReturnType<typeof stepper>;
}

async function forceThrough(
  config: ConfigLock,
  verdict: Verdict,
  taken: Taken,
  {bound, validate, reason, signal, quiesce, step}: Means,
): Promise<Certificate> {
  await using stop = await hold(config, {for: bound, signal, quiesce, evict: taken.gates});
  step('hold', holdFacts(stop));
  const spare = new Set([
    ...verdict.holders.map(({pid}) => pid),
    ...(verdict.owner ? [verdict.owner.pid] : []),
  ]);
  const drained = await drainContenders(config, taken.guard, stop, {
    held: true,
    spare,
    onContenders: contenders => step('contenders', {contenders}),
  });
  if (drained.length === 0) step('contenders', {contenders: []});
  const certificate = await takeBack({
    config,
    hold: stop,
    verdict,
    forced: true,
    reason,
    drained,
    validate,
    step,
    verify: read => verifyUnchanged(config, verdict, read),
  });
  // The old owner still has the description open: closing our copy alone would leave the guard locked.
  taken.guard.unlock();
  return certificate;
}
