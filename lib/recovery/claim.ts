/** Who set the bit, and does that process still exist? The owner record and the kernel are both heard. */
import {dirname, join} from 'node:path';
import type {Owner, OwnedRecord, ReadRecord} from '../lock/owner-record.js';
import type {BitKind, BitOwner, LockBit} from '../os/lock-bit.js';
import {describeProcess, examineProcess} from '../os/process.js';
import type {System} from '../os/system.js';
import {type Evidence, examineOwner, type Existence, type Incarnation} from './incarnation.js';

/** A bit that is set, as it was read. */
export interface SetBit {
  readonly kind: BitKind;
  readonly path: string;
  readonly epoch: number;
  /** As LockBit.owner. */
  readonly owner: BitOwner | null | undefined;
}

/** Who claims a bit that is set. */
export interface Claim {
  /** The record that vouches for this epoch; undefined when whoever set the bit left none. */
  readonly record: OwnedRecord | undefined;
  readonly existence: Existence;
  /** The owner lives, but has given up in the middle and will never act under this epoch again. */
  readonly resigned: boolean;
  readonly evidence: readonly Evidence[];
}

/** The bit as it is now. */
export function readSetBit(bit: LockBit): SetBit {
  return {kind: bit.kind, path: bit.path, epoch: bit.epoch(), owner: bit.owner()};
}

/** The record of this very acquisition. A soft bit's record is written before its bit, so it may be ahead. */
function vouching(
  {kind, epoch}: Pick<SetBit, 'kind' | 'epoch'>,
  record: ReadRecord,
): OwnedRecord | undefined {
  if (record.state !== 'owned') return undefined;
  return (kind === 'soft' ? record.epoch >= epoch : record.epoch === epoch) ? record : undefined;
}

/** The owner on record; while the bit is set, only the one who set it. */
export function ownerOnRecord(
  value: 0 | 1 | undefined,
  bit: Pick<SetBit, 'kind' | 'epoch'>,
  record: ReadRecord,
): Owner | null {
  const vouched = value === 1 ? vouching(bit, record) : record;
  return vouched?.state === 'owned' ? vouched.owner : null;
}

function strangerEvidence({epoch}: SetBit): Evidence {
  return {
    looked: 'bit and owner record together',
    saw: `the bit is set, and the record knows no owner of epoch ${epoch}`,
    follows: 'somebody set the bit who left no record: nobody vouches for an owner',
  };
}

/** What the kernel says of the process that set the bit. */
function examineSetter(system: System, path: string, {pid, alive}: BitOwner): Incarnation {
  const looked = join(dirname(path), 'owner');
  if (!alive) {
    const follows =
      'the process that set the bit is gone: the kernel remembers the process, not its number, so nobody is taken for it';
    return {existence: 'gone', evidence: {looked, saw: `${pid} dead`, follows}};
  }
  if (pid === 0) {
    const follows = 'the process that set the bit lives, in a pid namespace that can not be seen from here';
    return {existence: 'running', evidence: {looked, saw: '0 alive', follows}};
  }
  const presence = examineProcess(system, pid);
  const frozen = presence.kind === 'running' ? presence.facts.frozen : undefined;
  return {
    existence: frozen === undefined ? 'running' : 'frozen',
    evidence: {
      looked,
      saw: `${pid} alive${frozen === undefined ? '' : `, and ${frozen}`}`,
      follows: `${describeProcess(system, pid)} set the bit, and lives`,
    },
  };
}

/** Death counts only where nobody says otherwise. */
function agree(heard: readonly Incarnation[]): Existence {
  const order: readonly Existence[] = ['running', 'frozen', 'gone'];
  return order.find(each => heard.some(({existence}) => existence === each)) ?? 'unknown';
}

/** Judges who set a bit. Where the kernel keeps the owner, that settles it also for those who left no record, and across pid namespaces. */
export function examineClaim(system: System, bit: SetBit, read: ReadRecord): Claim {
  const record = vouching(bit, read);
  const heard = [
    ...(bit.owner ? [examineSetter(system, bit.path, bit.owner)] : []),
    ...(record ? [examineOwner(system, record.owner)] : []),
  ];
  return {
    record,
    existence: agree(heard),
    resigned: record?.resigned === true,
    evidence: [...(record ? [] : [strangerEvidence(bit)]), ...heard.map(({evidence}) => evidence)],
  };
}
