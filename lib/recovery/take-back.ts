/**
 * How does the lock pass from its old owner to us and end clean? The second half of recovery and of break-glass:
 * verify, handover, clean, clear, ALL CLEAR. The guard is in our hands, the hold in force.
 */
import {LockError} from '../errors.js';
import type {ConfigLock} from '../lock/config-lock.js';
import {changeHands} from '../lock/change-hands.js';
import {
  type OwnedRecord,
  openRecord,
  ownerFor,
  type OwnerRecord,
  type ReadRecord,
  replaceRecord,
  stagedRecord,
} from '../lock/owner-record.js';
import {hasCode} from '../os/system-error.js';
import type {AuditRecord, AuditSink} from './audit.js';
import {type Cleaned, cleanConfig, type ValidateFile} from './clean.js';
import type {Contender} from './contenders.js';
import type {Hold} from './hold.js';
import {recordAllClear} from './record.js';
import type {ShownVerdict, Verdict} from './verdict.js';

/** Names of the steps, in their order. */
export type StepName =
  | 'recovery-lock'
  | 'verdict'
  | 'intent'
  | 'takeover'
  | 'kill'
  | 'hold'
  | 'contenders'
  | 'guard'
  | 'verify'
  | 'handover'
  | 'clean'
  | 'clear'
  | 'all-clear';

/** One step of a recovery as it happens. `at`: milliseconds since the beginning. */
export interface Step {
  readonly step: StepName;
  readonly at: number;
  readonly [fact: string]: unknown;
}

export type OnStep = (step: Step) => void;

/** ALL CLEAR: who took what from whom, why, and in which state the file is now. */
export interface Certificate {
  readonly lock: string;
  readonly file: string;
  readonly forced: boolean;
  readonly reason: string;
  /** Who recovered. */
  readonly by: {readonly node: string; readonly pid: number; readonly uid: number};
  readonly at: string;
  /** The verdict that this rests on, with the old owner and all evidence. */
  readonly verdict: Verdict;
  readonly epochs: {readonly before: number; readonly after: number};
  readonly outcome: Cleaned['outcome'];
  readonly sha256: string | null;
  readonly removedShadows: readonly string[];
  /** Who had to be waited for. */
  readonly drained: readonly Contender[];
  /** Milliseconds from the first step to ALL CLEAR. */
  readonly took: number;
  /** Where the audit log has it. */
  readonly audit: {readonly seq: number; readonly hash: string};
}

/** What of a certificate people and scripts see, also of one that the daemon has made out. */
export interface ShownCertificate extends Omit<Certificate, 'verdict'> {
  readonly verdict: ShownVerdict;
}

/** What both ways of taking back have in common. */
export interface TakeBack {
  readonly config: ConfigLock;
  readonly hold: Hold;
  readonly verdict: Verdict;
  readonly forced: boolean;
  readonly reason: string;
  readonly drained: readonly Contender[];
  readonly validate: ValidateFile | undefined;
  readonly audit: AuditSink | undefined;
  readonly step: (name: StepName, facts?: Readonly<Record<string, unknown>>) => number;
  /** Judges once more, guard in hand; throws to end it here, with nothing changed. */
  readonly verify: (read: ReadRecord) => void;
}

/** What waits to be renamed into place by whoever takes back: fences of his hold. */
export function effectsOf({paths, bit}: ConfigLock): string[] {
  return [stagedRecord(paths.owner), ...bit.staged];
}

/**
 * The handover: record and bit name us at a new epoch; the bit stays set. Both files of a soft bit are replaced, and the
 * record too, so whatever the old owner still writes through its descriptors is lost. Killed in between, the lock belongs
 * to a dead recoverer or still to the old owner, and running recovery again goes on from there.
 */
async function handOver(
  {config, hold, forced, reason}: TakeBack,
  old: OwnerRecord | undefined,
): Promise<OwnedRecord> {
  const {bit, name, paths, roots, system} = config;
  const purpose = `${forced ? 'break-glass' : 'recovery'}: ${reason}`
    .slice(0, 200)
    .replaceAll(/[\0\n]/g, ' ');
  const last = old?.state === 'owned' ? old : undefined;
  const update = last?.update && {update: last.update};
  const owner = ownerFor(system, purpose);
  const record = (epoch: number): OwnedRecord => ({
    v: 1,
    state: 'owned',
    lock: name,
    epoch,
    owner,
    ...update,
  });
  // The kernel hands over from the dead; from the living only by force. That one who resigned will never act again, it can't know.
  const setter = bit.owner();
  const outlived = setter?.alive === true && setter.pid !== process.pid;
  const byForce = outlived && (forced || last?.resigned === true);
  const confirm = () => hold.assertInForce();
  let reached: number | undefined;
  try {
    const epoch = await changeHands({
      system,
      state: roots.state,
      kind: bit.kind,
      before: bit.epoch(),
      recorded: old?.epoch ?? 0,
      take: (expected, next) => (reached = bit.handover(expected, next, {forced: byForce, confirm})),
      write(next) {
        replaceRecord(paths.owner, record(next), confirm);
        reached = next;
      },
    });
    return record(epoch);
  } catch (error) {
    if (reached !== undefined) resign(config, record(reached));
    throw error;
  }
}

function writeRecord({paths}: ConfigLock, record: OwnerRecord): void {
  const file = openRecord(paths.owner);
  try {
    file.write(record);
  } finally {
    file.close();
  }
}

/** We live, but go no further: says so, so that the next recovery need not wait for our death. If that can't be written either, only our end will tell. */
function resign(config: ConfigLock, record: OwnedRecord): void {
  config.tell({event: 'resigning', epoch: record.epoch});
  try {
    writeRecord(config, {...record, resigned: true});
  } catch {
    // What went wrong first is what is thrown.
  }
}

function clearBit(config: ConfigLock, hold: Hold, epoch: number): void {
  config.tell({event: 'clearing', epoch});
  config.bit.clearConfirmed(epoch, () => hold.assertInForce());
  if (config.bit.read() !== 0)
    throw new LockError('ERR_FENCED', `the bit of ${config.name} was set again by somebody`, {
      lock: config.name,
      path: config.bit.path,
      epoch,
    });
  writeRecord(config, {v: 1, state: 'free', lock: config.name, epoch});
}

async function cleanAndClear(work: TakeBack, mine: OwnedRecord): Promise<Cleaned> {
  const {config, hold, step} = work;
  try {
    hold.assertInForce();
    const cleaned = await cleanConfig(config, mine.epoch, mine.update, work.validate);
    config.tell({event: 'cleaned', epoch: mine.epoch, outcome: cleaned.outcome});
    step('clean', {outcome: cleaned.outcome, sha256: cleaned.sha256, removed: cleaned.removed});
    clearBit(config, hold, mine.epoch);
    config.tell({event: 'cleared', epoch: mine.epoch});
    step('clear', {bit: config.bit.path, value: 0});
    return cleaned;
  } catch (error) {
    if (!hasCode(error, 'ESTALE', 'EALREADY', 'ERR_FENCED')) resign(config, mine);
    throw error;
  }
}

/** Takes the lock, cleans the file and clears the bit. Whatever is thrown, the lock can be recovered again. */
export async function takeBack(work: TakeBack): Promise<Certificate> {
  const {config, verdict, step} = work;
  const read = config.readRecord();
  work.verify(read);
  const old = read.state === 'unreadable' ? undefined : read;
  step('verify', {state: verdict.state, epoch: verdict.epoch});
  const from = verdict.epoch ?? old?.epoch ?? 0;
  config.tell({event: 'handing-over', from, forced: work.forced});
  const mine = await handOver(work, old);
  const {epoch, owner} = mine;
  config.tell({event: 'handed-over', from, epoch, identity: owner.identity});
  const epochs = {before: from, after: epoch};
  step('handover', {epochs});
  const cleaned = await cleanAndClear(work, mine);
  return certify(work, cleaned, epochs);
}

async function certify(
  work: TakeBack,
  cleaned: Cleaned,
  epochs: Certificate['epochs'],
): Promise<Certificate> {
  const {config, verdict, forced, reason, drained, step} = work;
  const facts = {
    file: config.file,
    forced,
    reason,
    owner: verdict.owner,
    epochs,
    outcome: cleaned.outcome,
    sha256: cleaned.sha256,
    removedShadows: cleaned.removed,
    drained,
  };
  const {seq, hash, time}: AuditRecord = await recordAllClear(config, work.audit, facts);
  const {owner: _, ...shown} = facts;
  const by = {node: config.system.node, pid: process.pid, uid: config.system.uid};
  const certificate = {lock: config.name, ...shown, by, at: time, verdict, audit: {seq, hash}};
  config.tell({event: 'all-clear', epoch: epochs.after});
  const took = step('all-clear', {certificate});
  return {...certificate, took};
}
