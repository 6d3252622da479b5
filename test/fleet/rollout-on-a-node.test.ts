/** Does a node do what the order in force asks of it, and nothing else? Real agents, a real store, real locks. */
import {mkdirSync, readFileSync, statSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import test from 'ava';
import type {Plan} from '../../lib/fleet/documents.js';
import {KEYS} from '../../lib/fleet/keys.js';
import {readStamped} from '../../lib/fleet/stamp.js';
import {sha256, STAMP} from '../../lib/lock/update.js';
import {system} from '../../lib/os/system.js';
import {openConfigLock} from '../../lib/recovery/guarded-config.js';
import {actor} from '../helpers/actor.js';
import {testAsRoot} from '../helpers/here.js';
import {tinyFileSystem} from '../helpers/tiny-fs.js';
import {orphan} from '../helpers/orphan.js';
import {NEW, OLD, openScratch, scratch} from '../helpers/scratch.js';
import {
  APPLY,
  fleetEvents,
  fleetRecords,
  LOCK,
  NODE,
  planOf,
  PREPARE,
  ROLL_BACK,
  storeFor,
  TestFleet,
} from '../helpers/fleet.js';

const store = storeFor(test);
const hash = (text: string) => sha256(Buffer.from(text));

test('a node prepares, applies and rolls back, and reports and records each step', async t => {
  const fleet = await TestFleet.start(t, store());
  const {place} = await fleet.node();
  const plan = await fleet.announce(planOf());
  await fleet.order(plan, PREPARE);
  const prepared = await fleet.reported('PREPARED');
  t.like(prepared, {v: 1, node: NODE, rollout: 'r1', turn: 1, epoch: 0, sha256: hash(OLD)});
  t.is(readFileSync(place.file, 'utf8'), OLD);

  await fleet.order(plan, {...APPLY, turn: 2});
  const applied = await fleet.applied();
  t.like(applied, {turn: 2, epoch: 1, sha256: hash(NEW), health: 'passed'});
  t.is(readFileSync(place.file, 'utf8'), NEW);
  t.deepEqual(readStamped(place.file), {sha256: hash(NEW), origin: {rollout: 'r1', epoch: 1}}, STAMP);

  await fleet.order(plan, {...ROLL_BACK, turn: 3});
  const back = await fleet.reported('ROLLED_BACK');
  t.like(back, {turn: 3, epoch: 2, sha256: hash(OLD)});
  t.is(readFileSync(place.file, 'utf8'), OLD);
  t.deepEqual(await fleetEvents(place), [
    'prepared',
    'applying',
    'applied',
    'health',
    'rolling-back',
    'rolled-back',
  ]);
  for (const record of await fleetRecords(place))
    t.like(record, {lock: LOCK, rollout: 'r1', sha256: hash(NEW)}, record.event);
  t.is((await (await openScratch(place)).examine()).state, 'FREE');
});

test('a node that no cohort reaches yet, or that lacks a label, does nothing and says nothing', async t => {
  const fleet = await TestFleet.start(t, store());
  const {place, events} = await fleet.node({}, {labels: {zone: 'a'}});
  const elsewhere = await fleet.announce(planOf({id: 'r1', where: {zone: 'b'}}));
  await fleet.order(elsewhere, APPLY);
  const later = await fleet.announce(planOf({id: 'r2', epoch: 3, where: {zone: 'a'}}));
  await fleet.order(later, {prepareUpTo: '0000000000000000'});
  const last = await fleet.announce(planOf({id: 'r3', epoch: 5, where: {zone: 'a'}}));
  await fleet.order(last, PREPARE);
  await fleet.reported('PREPARED', 'r3');
  t.is(fleet.report('r1'), undefined);
  t.is(fleet.report('r2'), undefined);
  t.deepEqual(await fleetEvents(place), ['prepared']);
  t.deepEqual(
    events.filter(({event}) => event === 'fleet-taken-up').map(({rollout}) => rollout),
    ['r3'],
  );
});

test('a lock that is HOT refuses to prepare, names its owner, and prepares as soon as it is free', async t => {
  const fleet = await TestFleet.start(t, store());
  const {place} = await fleet.node();
  const config = await openScratch(place);
  const owned = await config.acquire({purpose: 'nightly'});
  const plan = await fleet.announce(planOf());
  await fleet.order(plan, PREPARE);
  const refused = await fleet.reported('REFUSED_HOT');
  t.regex(refused.reason ?? '', /^lock mismatch: aim_lock_config HOT \(ALIVE: pid \d+ on .*nightly/);
  t.like(refused.owner, {pid: process.pid, purpose: 'nightly'});
  await fleet.order(plan, {...PREPARE, turn: 2});
  await fleet.reported('REFUSED_HOT', 'r1', ({turn}) => turn === 2);
  await owned.release();
  t.is((await fleet.reported('PREPARED')).turn, 2);
  t.deepEqual(await fleetEvents(place), ['refused', 'prepared']);
});

test('a ghost refuses, is never recovered by the agent, and does not matter any more once a person has', async t => {
  const fleet = await TestFleet.start(t, store());
  const {place, config, owner} = await orphan(t);
  await fleet.node({}, {}, place);
  const plan = await fleet.announce(planOf());
  await fleet.order(plan, APPLY);
  const {reason, owner: shown} = await fleet.reported('REFUSED_HOT');
  t.regex(reason ?? '', new RegExp(`^lock mismatch: aim_lock_config HOT \\(DEAD: pid ${owner.pid} on `));
  t.is(shown?.pid, owner.pid);
  t.is((await config.examine()).state, 'DEAD');
  t.is(readFileSync(place.file, 'utf8'), OLD);
  await config.recover();
  await fleet.applied();
  t.is(readFileSync(place.file, 'utf8'), NEW);
});

test('an owner that dies turns the refusal into one of the dead', async t => {
  const fleet = await TestFleet.start(t, store());
  const {place} = await fleet.node();
  const owner = await actor(t, place);
  await owner.do('begin-update', {content: NEW});
  await fleet.order(await fleet.announce(planOf()), PREPARE);
  await fleet.reported('REFUSED_HOT', 'r1', ({reason}) => /\(ALIVE/.test(reason ?? ''));
  await owner.kill();
  await fleet.reported('REFUSED_HOT', 'r1', ({reason}) => /\(DEAD/.test(reason ?? ''));
  t.pass();
});

test('a lock that is taken after the node has prepared refuses to apply, and applies once it is free', async t => {
  const fleet = await TestFleet.start(t, store());
  const {place} = await fleet.node();
  const plan = await fleet.announce(planOf());
  await fleet.order(plan, PREPARE);
  await fleet.reported('PREPARED');
  const owned = await (await openScratch(place)).acquire({purpose: 'in between'});
  await fleet.order(plan, {...APPLY, turn: 2});
  const refused = await fleet.reported('REFUSED_HOT');
  t.regex(refused.reason ?? '', /HOT \(ALIVE: .*in between/);
  t.is(readFileSync(place.file, 'utf8'), OLD);
  await owned.release();
  await fleet.applied();
  t.is(readFileSync(place.file, 'utf8'), NEW);
});

test('a node whose lock is on hold refuses to apply, and applies when the hold ends', async t => {
  const fleet = await TestFleet.start(t, store());
  const {place} = await fleet.node();
  const plan = await fleet.announce(planOf());
  const hold = await (await openScratch(place)).hold({for: 600_000});
  await fleet.order(plan, APPLY);
  t.regex((await fleet.reported('REFUSED_HOT')).reason ?? '', /a hold is in force/);
  await hold.release();
  t.is((await fleet.applied()).sha256, hash(NEW));
});

test('a node without that lock fails and says so', async t => {
  const fleet = await TestFleet.start(t, store());
  await fleet.node();
  const plan = await fleet.announce(planOf({lock: 'other'}));
  await fleet.order(plan, PREPARE);
  t.like(await fleet.reported('FAILED'), {
    reason: 'no lock is called other on node-7',
    sha256: null,
    epoch: 0,
  });
});

test('a content that is missing, other than its hash, or too large fails, and changes nothing', async t => {
  const fleet = await TestFleet.start(t, store());
  const {place} = await fleet.node({}, {largest: 100});
  const cases: [Partial<Plan>, string | null, RegExp][] = [
    [{}, null, /blobs\/\w{64} is not in etcd: the content is missing/],
    [{}, 'gain = 6\n', /is another content: 9 bytes/],
    [{bytes: 8}, NEW, /is another content: 9 bytes/],
    [{bytes: 101}, NEW, /has 101 bytes; node-7 takes 100 at most/],
  ];
  for (const [index, [changes, content, why]] of cases.entries()) {
    const plan = await fleet.announce(planOf({id: `r${index}`, epoch: 2 * index + 1, ...changes}), {content});
    await fleet.order(plan, APPLY);
    t.regex((await fleet.reported('FAILED', plan.id)).reason ?? '', why);
  }
  t.is(readFileSync(place.file, 'utf8'), OLD);
  t.deepEqual(new Set(await fleetEvents(place)), new Set(['failed']));
});

test('the validator of the policy refuses a content before anybody owns the lock', async t => {
  const fleet = await TestFleet.start(t, store());
  const place = scratch(t);
  const policy = join(place.directory, 'policy');
  mkdirSync(policy, {mode: 0o755});
  writeFileSync(join(policy, 'aim.yaml'), `locks:\n  ${LOCK}:\n    validate: 'grep -q "gain = 7" "$1"'\n`, {
    mode: 0o644,
  });
  const here = {...system(), env: {...process.env, LOCKSMITH_POLICY: policy}};
  await fleet.node({system: here}, {}, place);
  await fleet.order(await fleet.announce(planOf()), APPLY);
  t.regex(
    (await fleet.reported('FAILED')).reason ?? '',
    /the validator refused the content of r1: .*exit status 1/,
  );
  t.is(readFileSync(place.file, 'utf8'), OLD);
  t.is((await openScratch(place)).readRecord().state, 'free');
});

test('a roll-back of a node that never applied changes nothing', async t => {
  const fleet = await TestFleet.start(t, store());
  const {place} = await fleet.node();
  const plan = await fleet.announce(planOf());
  const before = statSync(place.file).ino;
  await fleet.order(plan, ROLL_BACK);
  t.like(await fleet.reported('ROLLED_BACK'), {sha256: hash(OLD)});
  t.is(statSync(place.file).ino, before);
});

test('a content that somebody else has changed since is not overwritten by a roll-back', async t => {
  const fleet = await TestFleet.start(t, store());
  const {place} = await fleet.node();
  const plan = await fleet.announce(planOf());
  await fleet.order(plan, APPLY);
  await fleet.applied();
  await (await openScratch(place)).update(() => 'gain = 11\n');
  await fleet.order(plan, {...ROLL_BACK, turn: 2});
  t.regex((await fleet.reported('FAILED')).reason ?? '', /somebody else has changed .* It was left as it is/);
  t.is(readFileSync(place.file, 'utf8'), 'gain = 11\n');
  // Put right by hand, and ordered once more.
  await (await openScratch(place)).update(() => NEW);
  await fleet.order(plan, {...ROLL_BACK, turn: 3});
  t.is((await fleet.reported('ROLLED_BACK')).sha256, hash(OLD));
});

test('an agent that begins anew finds what is applied, and renames nothing again', async t => {
  const fleet = await TestFleet.start(t, store());
  const first = await fleet.node();
  const plan = await fleet.announce(planOf());
  await fleet.order(plan, APPLY);
  await fleet.applied();
  await first.agent.end();
  const {ino} = statSync(first.place.file);
  await fleet.delete(KEYS.report('r1', NODE));
  const again = await fleet.node({}, {}, first.place);
  t.like(await fleet.applied(), {sha256: hash(NEW), epoch: 1});
  t.is(statSync(first.place.file).ino, ino);
  await fleet.order(plan, {...ROLL_BACK, turn: 2});
  await fleet.reported('ROLLED_BACK');
  await again.agent.end();
  await fleet.delete(KEYS.report('r1', NODE));
  await fleet.node({}, {}, first.place);
  t.like(await fleet.reported('ROLLED_BACK'), {sha256: hash(OLD), epoch: 2});
  t.is((await fleetEvents(first.place)).filter(event => event === 'rolled-back').length, 1);
});

test('a node that comes late does what the order in force says', async t => {
  const fleet = await TestFleet.start(t, store());
  const plan = await fleet.announce(planOf());
  await fleet.order(plan, {...APPLY, turn: 4});
  const {agent, place} = await fleet.node();
  await fleet.applied();
  await agent.end();
  await fleet.order(plan, {...ROLL_BACK, turn: 5});
  await fleet.node({}, {}, place);
  t.is((await fleet.reported('ROLLED_BACK')).sha256, hash(OLD));
});

test('another order cuts a soak short; one that asks the same lets it go on', async t => {
  const fleet = await TestFleet.start(t, store());
  const {place, events} = await fleet.node();
  const plan = await fleet.announce(planOf({soak: 600_000}));
  await fleet.order(plan, APPLY);
  await fleet.reported('APPLIED', 'r1', ({health}) => health === 'soaking');
  await fleet.order(plan, {...APPLY, turn: 2});
  await fleet.order(plan, {...ROLL_BACK, turn: 3});
  await fleet.reported('ROLLED_BACK');
  t.is(readFileSync(place.file, 'utf8'), OLD);
  t.is(events.filter(({event}) => event === 'fleet-taken-up').length, 2);
});

test('the next roll-out replaces the one before, and its roll-back brings back what that one brought', async t => {
  const fleet = await TestFleet.start(t, store());
  const {place} = await fleet.node();
  await fleet.order(await fleet.announce(planOf()), APPLY);
  await fleet.applied();
  const NEWER = 'gain = 11\n';
  const second = await fleet.announce(planOf({id: 'r2', epoch: 3}, NEWER), {content: NEWER});
  await fleet.order(second, APPLY);
  t.is((await fleet.applied('r2')).sha256, hash(NEWER));
  await fleet.order(second, {...ROLL_BACK, turn: 2});
  t.like(await fleet.reported('ROLLED_BACK', 'r2'), {sha256: hash(NEW), epoch: 4});
  t.is(readFileSync(place.file, 'utf8'), NEW);
});

test('a node that is not well says why, and keeps the content until it is told otherwise', async t => {
  const fleet = await TestFleet.start(t, store());
  const {place} = await fleet.node();
  const ill = await fleet.announce(
    planOf({soak: 600_000, health: [{kind: 'command', command: 'echo dry >&2; false', within: 60_000}]}),
  );
  await fleet.order(ill, APPLY);
  t.like(await fleet.applied(), {health: 'failed', sha256: hash(NEW)});
  t.regex(fleet.report()?.reason ?? '', /dry/);
  t.is(readFileSync(place.file, 'utf8'), NEW);
  const unclear = await fleet.announce(
    planOf({id: 'r2', epoch: 3, health: [{kind: 'command', command: 'exit 127', within: 60_000}]}),
  );
  await fleet.order(unclear, APPLY);
  t.is((await fleet.applied('r2')).health, 'inconclusive');
});

testAsRoot('a node whose disk is full fails and says so, and its lock and file are as they were', async t => {
  const fleet = await TestFleet.start(t, store());
  const place = scratch(t);
  const state = tinyFileSystem.mount(t, '64k');
  await fleet.node({}, {}, {...place, roots: {...place.roots, state}});
  const content = 'x'.repeat(500_000);
  await fleet.order(await fleet.announce(planOf({}, content), {content}), APPLY);
  t.regex((await fleet.reported('FAILED')).reason ?? '', /ENOSPC/);
  t.is(readFileSync(place.file, 'utf8'), OLD);
  t.is((await openConfigLock(place.file, {...place.roots, state})).readRecord().state, 'free');
});
