import test from 'ava';
import type {CertificateAnswer, VerdictAnswer} from '../../lib/daemon/api.js';
import {certificateFrom, refusalFrom, verdictFrom} from '../../lib/daemon/answers.js';
import {LockError} from '../../lib/errors.js';
import {toCertificate, toJson, toReport} from '../../lib/recovery/report.js';
import type {ShownCertificate} from '../../lib/recovery/take-back.js';
import type {ShownVerdict} from '../../lib/recovery/verdict.js';

/** Everything that may be unknown is, once. */
const VERDICT: ShownVerdict = {
  name: 'aim',
  file: '/etc/aim.conf',
  hot: true,
  state: 'UNKNOWN',
  epoch: null,
  owner: null,
  bit: {path: '/run/bits/aim', kind: 'soft', value: null, owner: null},
  holders: [
    {pid: 4711, kind: 'ofd', mode: 'exclusive', via: 'descriptor 3', identity: undefined},
    {pid: 4712, kind: 'ofd', mode: 'shared', via: 'descriptor 3', identity: 'pidfd:17'},
  ],
  suspects: [{pid: null, place: 'loop', because: 'a loop device'}],
  waiters: [
    {pid: undefined, kind: 'ofd', mode: 'exclusive', start: 0n, end: undefined, behind: undefined},
    {pid: 5, kind: 'flock', mode: 'shared', start: 2n ** 60n, end: 2n ** 62n, behind: 6},
  ],
  evidence: [{looked: 'bit', saw: '1', follows: 'hot'}],
  complete: false,
  missing: [{what: 'pid 1', why: 'EACCES', visibleTo: null}],
  next: ['locksmith explain aim'],
};

const CERTIFICATE: ShownCertificate = {
  lock: 'aim',
  file: '/etc/aim.conf',
  forced: false,
  reason: 'drill',
  by: {node: 'node-7', pid: 1, uid: 0},
  at: '2026-11-21T20:11:50.049Z',
  verdict: VERDICT,
  epochs: {before: 1, after: 2},
  outcome: 'untouched',
  sha256: null,
  removedShadows: [],
  drained: [{pid: undefined, doing: 'waits for the guard'}],
  took: 3,
  audit: {seq: 1, hash: 'aa'},
};

function overTheWire(value: unknown): unknown {
  return JSON.parse(toJson(value));
}

test('a verdict comes back as it was', t => {
  t.deepEqual(verdictFrom(overTheWire(toReport(VERDICT)) as VerdictAnswer), VERDICT);
});

test('so does a certificate', t => {
  t.deepEqual(certificateFrom(overTheWire(toCertificate(CERTIFICATE)) as CertificateAnswer), CERTIFICATE);
});

test('and the verdict of a refusal, with all else that it carries', t => {
  const facts = {lock: 'aim', epoch: 3, verdict: overTheWire(toReport(VERDICT))};
  const refusal = refusalFrom(new LockError('ERR_NOT_DEAD', 'it lives', facts));
  t.like(refusal, {code: 'ERR_NOT_DEAD', message: 'it lives', lock: 'aim', epoch: 3});
  t.deepEqual((refusal as LockError).verdict, VERDICT);
  const other = new LockError('ERR_NO_DAEMON', 'nobody');
  t.is(refusalFrom(other), other);
});
