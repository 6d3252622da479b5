/** Is a document signed by as many as nodes demand before it is used, and by whom it should be? */
import test from 'ava';
import {approve, gatherApprovals, listProposals} from '../../lib/fleet/approval.js';
import type {Command, FleetHold} from '../../lib/fleet/documents.js';
import {holdFleet} from '../../lib/fleet/hold.js';
import {KEYS} from '../../lib/fleet/keys.js';
import {cosign, seal} from '../../lib/fleet/signing.js';
import {sha256} from '../../lib/lock/update.js';
import {alice, bob, HeldFleet, LOCK, operator} from '../helpers/held-fleet.js';
import {signingKey} from '../helpers/hold-agent.js';
import {command} from '../helpers/rollout.js';

const carol = operator('carol');

const HOLD: FleetHold = {
  v: 1,
  kind: 'hold',
  id: 'h1',
  fleet: 'test',
  lock: LOCK,
  where: {},
  for: 60_000,
  within: 20_000,
  reason: 'because',
  by: {node: 'n', uid: 0, pid: 1},
  at: '2026-01-01T00:00:00.000Z',
};

/** Resolves with the id that is to be approved. */
function waiting(): {
  onWaiting: (id: string, signers: readonly string[]) => void;
  id: Promise<string>;
  told: string[];
} {
  const told: string[] = [];
  let resolve: (id: string) => void;
  const id = new Promise<string>(found => (resolve = found));
  const onWaiting = (found: string, signers: readonly string[]) => {
    told.push(signers.join());
    resolve(found);
  };
  return {onWaiting, id, told};
}

test('a hold that needs a second operator holds nothing before, and all after', async t => {
  const fleet = await HeldFleet.start(t, [alice, bob], 2);
  const node = await fleet.node('n1');
  const {onWaiting, id} = waiting();
  const access = await fleet.access(alice);
  const asked = holdFleet(access, {lock: LOCK, where: {}, for: 60_000, reason: 'test'}, {onWaiting});
  const proposal = await id;
  t.deepEqual((await access.etcd.list('now/')).items, []);
  const cycle = await node.locks.tryEnter();
  t.not(cycle, undefined);
  cycle?.leave();

  const second = await fleet.access(bob);
  const {proposals, problems} = await listProposals(second);
  t.deepEqual(problems, []);
  t.like(proposals[0], {
    id: proposal,
    signers: ['alice'],
    needed: 2,
    document: {kind: 'hold', reason: 'test'},
  });
  t.deepEqual((await approve(second, proposal)).signers, ['alice', 'bob']);
  const held = await asked;
  t.is(await node.locks.tryEnter(), undefined);
  t.deepEqual((await access.etcd.list(KEYS.proposals)).items, [], 'nothing waits any more');
  await held.release();
});

test('the same operator twice is refused, and so is who is not trusted or has no key', async t => {
  const fleet = await HeldFleet.start(t, [alice, bob], 2);
  const access = await fleet.access(alice);
  const {onWaiting, id} = waiting();
  const done = new AbortController();
  const asked = gatherApprovals(access, seal(HOLD, [signingKey(alice)]), 'hold', {
    onWaiting,
    signal: done.signal,
  });
  const proposal = await id;
  const same = await t.throwsAsync(approve(access, proposal), {code: 'ERR_SIGNATURE'});
  t.regex(String(same), /alice has signed/);
  await t.throwsAsync(approve(await fleet.access(carol), proposal), {code: 'ERR_SIGNATURE'});
  const disguised = {...carol, name: 'bob'};
  await t.throwsAsync(approve(await fleet.access(disguised), proposal), {code: 'ERR_SIGNATURE'});
  const {config} = access;
  await t.throwsAsync(approve({...access, config: {...config, sign: undefined}}, proposal), {
    code: 'ERR_FLEET_CONFIG',
  });
  await t.throwsAsync(approve(access, 'nothing'), {code: 'ERR_ARGUMENT'});
  done.abort(new Error('enough'));
  await t.throwsAsync(asked, {message: 'enough'});
  t.deepEqual((await access.etcd.list(KEYS.proposals)).items, []);
});

test('three of three are waited for, and each is told', async t => {
  const fleet = await HeldFleet.start(t, [alice, bob, carol], 3);
  const access = await fleet.access(alice);
  const {onWaiting, id, told} = waiting();
  const asked = gatherApprovals(access, seal(HOLD, [signingKey(alice)]), 'hold', {onWaiting});
  await approve(await fleet.access(bob), await id);
  while (told.length < 2) await new Promise(resolve => setImmediate(resolve));
  await approve(await fleet.access(carol), await id);
  t.is((await asked).signatures.length, 3);
  t.deepEqual(told, ['alice', 'alice,bob']);
});

test('nothing waits where enough have signed, or nobody has to', async t => {
  const fleet = await HeldFleet.start(t, [alice, bob], 2);
  const access = await fleet.access(alice);
  const both = seal(HOLD, [signingKey(alice), signingKey(bob)]);
  t.is(await gatherApprovals(access, both, 'hold'), both);
  const unsigned = seal(HOLD, []);
  await t.throwsAsync(gatherApprovals(access, unsigned, 'hold'), {code: 'ERR_SIGNATURE'});
  const open = {...access, config: {...access.config, operators: {keys: [], atLeast: 1}}};
  t.is(await gatherApprovals(open, unsigned, 'hold'), unsigned);
});

test('a proposal goes with whoever asks, and what is none is said', async t => {
  const fleet = await HeldFleet.start(t, [alice, bob], 2);
  const access = await fleet.access(alice);
  const second = await fleet.access(bob);
  const {onWaiting, id} = waiting();
  const asked = gatherApprovals(access, seal(HOLD, [signingKey(alice)]), 'hold', {onWaiting});
  const refused = t.throwsAsync(asked);
  const proposal = await id;
  const another: FleetHold = {...HOLD, id: 'h2'};
  const envelope = JSON.stringify(seal(another, [signingKey(alice)]));
  const unsigned = JSON.stringify(seal(HOLD, [signingKey(carol)]));
  // Needs no approval.
  const document: Command = {...command('abort'), fleet: 'test'};
  const abort = seal(document, [signingKey(alice)]);
  const abortId = sha256(Buffer.from(abort.document)).slice(0, 32);
  await second.session.transact({
    when: [],
    then: [
      {put: KEYS.proposal('elsewhere'), value: envelope},
      {put: KEYS.proposal('nonsense'), value: '{'},
      {put: KEYS.proposal(abortId), value: JSON.stringify(abort)},
    ],
  });
  t.is((await listProposals(second)).problems.length, 3);
  for (const wrong of ['elsewhere', 'nonsense', abortId])
    await t.throwsAsync(approve(second, wrong), {code: 'ERR_STORE_ANSWER'});
  await access.session.close();
  await refused;
  t.deepEqual((await listProposals(second)).proposals, []);
  await second.session.transact({when: [], then: [{put: KEYS.proposal(proposal), value: unsigned}]});
  await t.throwsAsync(
    approve(second, proposal),
    {code: 'ERR_SIGNATURE'},
    'nobody who is trusted asks for it',
  );
});

test('a signature of another document, or of another kind, is none of this one', async t => {
  const fleet = await HeldFleet.start(t, [alice, bob], 2);
  const access = await fleet.access(alice);
  const {onWaiting, id, told} = waiting();
  const sealed = seal(HOLD, [signingKey(alice)]);
  const asked = gatherApprovals(access, sealed, 'hold', {onWaiting});
  const key = KEYS.proposal(await id);
  const longer: FleetHold = {...HOLD, for: 120_000};
  const other = seal(longer, [signingKey(alice), signingKey(bob)]);
  for (const wrong of [other, cosign(sealed, 'plan', signingKey(bob))])
    await access.session.transact({when: [], then: [{put: key, value: JSON.stringify(wrong)}]});
  await access.session.transact({when: [], then: [{put: key, value: JSON.stringify(sealed)}]});
  await approve(await fleet.access(bob), await id);
  t.is((await asked).document, sealed.document);
  t.false(told.some(signers => signers.includes('bob')));
});
