/** Is a document signed by as many as nodes demand before it is used, and by whom it should be? */
import test from 'ava';
import {approve, gatherApprovals, listProposals} from '../../lib/fleet/approval.js';
import type {Command} from '../../lib/fleet/documents.js';
import {holdFleet} from '../../lib/fleet/hold.js';
import {KEYS} from '../../lib/fleet/keys.js';
import {cosign, seal} from '../../lib/fleet/signing.js';
import {alice, bob, HeldFleet, LOCK, operator} from '../helpers/held-fleet.js';
import {signingKey} from '../helpers/hold-agent.js';

const carol = operator('carol');

const COMMAND: Command = {
  v: 1,
  kind: 'command',
  fleet: 'test',
  rollout: 'r1',
  seq: 1,
  command: 'abort',
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
  const asked = gatherApprovals(access, seal(COMMAND, [signingKey(alice)]), 'command', {
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
  const asked = gatherApprovals(access, seal(COMMAND, [signingKey(alice)]), 'command', {onWaiting});
  await approve(await fleet.access(bob), await id);
  while (told.length < 2) await new Promise(resolve => setImmediate(resolve));
  await approve(await fleet.access(carol), await id);
  t.is((await asked).signatures.length, 3);
  t.deepEqual(told, ['alice', 'alice,bob']);
});

test('nothing waits where enough have signed, or nobody has to', async t => {
  const fleet = await HeldFleet.start(t, [alice, bob], 2);
  const access = await fleet.access(alice);
  const both = seal(COMMAND, [signingKey(alice), signingKey(bob)]);
  t.is(await gatherApprovals(access, both, 'command'), both);
  const unsigned = seal(COMMAND, []);
  await t.throwsAsync(gatherApprovals(access, unsigned, 'command'), {code: 'ERR_SIGNATURE'});
  const open = {...access, config: {...access.config, operators: {keys: [], atLeast: 1}}};
  t.is(await gatherApprovals(open, unsigned, 'command'), unsigned);
});

test('a proposal goes with whoever asks, and what is none is said', async t => {
  const fleet = await HeldFleet.start(t, [alice, bob], 2);
  const access = await fleet.access(alice);
  const second = await fleet.access(bob);
  const {onWaiting, id} = waiting();
  const asked = gatherApprovals(access, seal(COMMAND, [signingKey(alice)]), 'command', {onWaiting});
  const refused = t.throwsAsync(asked);
  const proposal = await id;
  const another: Command = {...COMMAND, seq: 2};
  const envelope = JSON.stringify(seal(another, [signingKey(alice)]));
  const unsigned = JSON.stringify(seal(COMMAND, [signingKey(carol)]));
  await second.session.transact({
    when: [],
    then: [
      {put: KEYS.proposal('elsewhere'), value: envelope},
      {put: KEYS.proposal('nonsense'), value: '{'},
    ],
  });
  t.is((await listProposals(second)).problems.length, 2);
  for (const wrong of ['elsewhere', 'nonsense'])
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
  const sealed = seal(COMMAND, [signingKey(alice)]);
  const asked = gatherApprovals(access, sealed, 'command', {onWaiting});
  const key = KEYS.proposal(await id);
  const pausing: Command = {...COMMAND, command: 'pause'};
  const other = seal(pausing, [signingKey(alice), signingKey(bob)]);
  for (const wrong of [other, cosign(sealed, 'plan', signingKey(bob))])
    await access.session.transact({when: [], then: [{put: key, value: JSON.stringify(wrong)}]});
  await access.session.transact({when: [], then: [{put: key, value: JSON.stringify(sealed)}]});
  await approve(await fleet.access(bob), await id);
  t.is((await asked).document, sealed.document);
  t.false(told.some(signers => signers.includes('bob')));
});
