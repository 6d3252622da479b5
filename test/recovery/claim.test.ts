/** Who claims a set bit, when record and kernel say the same, say different things, or one of them says nothing? */
import test from 'ava';
import type {OwnedRecord, Owner, ReadRecord} from '../../lib/lock/owner-record.js';
import {ownerFor} from '../../lib/lock/owner-record.js';
import type {BitOwner} from '../../lib/os/lock-bit.js';
import {system} from '../../lib/os/system.js';
import {examineClaim, ownerOnRecord, type SetBit} from '../../lib/recovery/claim.js';
import type {Existence} from '../../lib/recovery/incarnation.js';

const living = ownerFor(system(), 'test');
const gone: Owner = {...living, bootId: 'another boot'};
const elsewhere: Owner = {...living, pidNamespace: 'pid:[1]'};

function bit(epoch: number, owner?: BitOwner): SetBit {
  return {kind: owner ? 'kernel' : 'soft', path: '/sys/locks/x/conf_locked', epoch, owner};
}

function owned(owner: Owner, epoch = 5, more: Partial<OwnedRecord> = {}): OwnedRecord {
  return {v: 1, state: 'owned', lock: 'x', epoch, owner, ...more};
}

const free: ReadRecord = {v: 1, state: 'free', lock: 'x', epoch: 4};
const alive: BitOwner = {pid: process.pid, alive: true};
const dead: BitOwner = {pid: 4711, alive: false};

const CLAIMS: [string, SetBit, ReadRecord, Existence][] = [
  ['soft bit, nobody on record', bit(5), free, 'unknown'],
  ['soft bit, a record of an older epoch', bit(5), owned(gone, 4), 'unknown'],
  ['soft bit, its owner lives', bit(5), owned(living), 'running'],
  ['soft bit, its owner is gone', bit(5), owned(gone), 'gone'],
  ['soft bit, a record that is ahead of it', bit(5), owned(gone, 6), 'gone'],
  ['kernel: dead, nobody on record', bit(5, dead), free, 'gone'],
  ['kernel: alive, nobody on record', bit(5, alive), free, 'running'],
  ['kernel: dead, a living owner of an older epoch on record', bit(5, dead), owned(living, 4), 'gone'],
  ['kernel: alive, a dead owner of an older epoch on record', bit(5, alive), owned(gone, 4), 'running'],
  ['kernel: dead, the record is of a later epoch', bit(5, dead), owned(living, 6), 'gone'],
  ['kernel: dead, and gone on record', bit(5, dead), owned(gone), 'gone'],
  ['kernel: dead, but the owner on record lives', bit(5, dead), owned(living), 'running'],
  ['kernel: alive, but gone on record', bit(5, alive), owned(gone), 'running'],
  ['kernel: dead, and not to be judged by the record', bit(5, dead), owned(elsewhere), 'gone'],
  ['kernel: alive without a pid here', bit(5, {pid: 0, alive: true}), free, 'running'],
];

for (const [title, set, record, existence] of CLAIMS)
  test(`${title}: ${existence}`, t => {
    t.is(examineClaim(system(), set, record).existence, existence);
  });

test('whoever has resigned has done so for his own epoch only', t => {
  t.true(examineClaim(system(), bit(5, alive), owned(living, 5, {resigned: true})).resigned);
  t.false(examineClaim(system(), bit(5, alive), owned(living, 4, {resigned: true})).resigned);
});

test('each who was heard is in the evidence', t => {
  const {evidence} = examineClaim(system(), bit(5, dead), owned(elsewhere));
  t.deepEqual(
    evidence.map(({looked}) => looked),
    ['/sys/locks/x/owner', 'pid namespace of the owner record'],
  );
  t.is(evidence[0]?.saw, '4711 dead');
  t.is(examineClaim(system(), bit(5, dead), free).evidence[0]?.looked, 'bit and owner record together');
});

test('an owner on record is one only at the epoch of a set bit', t => {
  t.is(ownerOnRecord(1, bit(5, dead), owned(gone, 4)), null);
  t.is(ownerOnRecord(1, bit(5, dead), owned(gone, 5)), gone);
  t.is(ownerOnRecord(0, bit(5), owned(gone, 4)), gone);
  t.is(ownerOnRecord(1, bit(5), free), null);
});
