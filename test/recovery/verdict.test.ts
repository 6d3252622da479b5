/** Is the verdict right? Real owners, killed, stopped, replaced; UNKNOWN wherever nothing is proven. */
import {readFileSync, writeFileSync} from 'node:fs';
import test, {type ExecutionContext} from 'ava';
import {encodeRecord, type OwnedRecord} from '../../lib/lock/owner-record.js';
import {ourselves, waitForExit} from '../../lib/os/process.js';
import {readSystem} from '../../lib/os/system.js';
import {openConfigLock} from '../../lib/recovery/guarded-config.js';
import {actor} from '../helpers/actor.js';
import {testAsRoot} from '../helpers/here.js';
import {stopProcess} from '../helpers/proc-state.js';
import {disturb} from '../helpers/history/disturb.js';
import {openScratch, type Scratch, scratch} from '../helpers/scratch.js';

test('a lock that nobody has is FREE, with evidence', async t => {
  const verdict = await (await openScratch(scratch(t))).examine();
  t.is(verdict.state, 'FREE');
  t.false(verdict.hot);
  t.is(verdict.owner, null);
  t.true(verdict.complete);
  t.true(verdict.evidence.length >= 3);
  for (const fact of verdict.evidence) t.true(fact.looked !== '' && fact.saw !== '' && fact.follows !== '');
});

test('a living owner is ALIVE, is named, and is shown as the holder', async t => {
  const place = scratch(t);
  const config = await openScratch(place);
  const owner = await actor(t, place);
  const {epoch} = await owner.do('acquire', {purpose: 'nightly tuning'});
  const verdict = await config.examine();
  t.is(verdict.state, 'ALIVE');
  t.true(verdict.hot);
  t.is(verdict.epoch, epoch as number);
  t.is(verdict.owner?.pid, owner.pid);
  t.is(verdict.owner?.purpose, 'nightly tuning');
  t.deepEqual(
    verdict.holders.map(({pid}) => pid),
    [owner.pid],
  );
});

test('an owner that was killed is DEAD', async t => {
  const place = scratch(t);
  const config = await openScratch(place);
  const owner = await actor(t, place);
  await owner.do('acquire');
  await owner.kill();
  const verdict = await config.examine();
  t.is(verdict.state, 'DEAD');
  t.is(verdict.owner?.pid, owner.pid);
  t.deepEqual(verdict.next, ['locksmith recover aim_lock_config']);
});

test('an owner that is stopped is FROZEN, and ALIVE again when it goes on', async t => {
  const place = scratch(t);
  const config = await openScratch(place);
  const owner = await actor(t, place);
  await owner.do('acquire');
  owner.stop();
  t.is((await config.examine()).state, 'FROZEN');
  owner.continue();
  await owner.do('wait');
  t.is((await config.examine()).state, 'ALIVE');
});

test('a dead owner whose child inherited the guard is not DEAD: the child is the holder', async t => {
  const place = scratch(t);
  const config = await openScratch(place);
  const owner = await actor(t, place);
  await owner.do('acquire');
  const child = (await owner.do('give-to-child'))['child'] as number;
  process.kill(child, 'SIGSTOP');
  await owner.kill();
  const verdict = await config.examine();
  process.kill(child, 'SIGKILL');
  t.true(verdict.state === 'FROZEN' || verdict.state === 'ALIVE');
  t.is(verdict.owner?.pid, owner.pid);
  t.deepEqual(
    verdict.holders.map(({pid}) => pid),
    [child],
  );
});

test('a waiter is listed while it waits', async t => {
  const place = scratch(t);
  const config = await openScratch(place);
  await using _own = await config.acquire();
  const waiter = await actor(t, place);
  waiter.start('acquire');
  let verdict = await config.examine();
  while (verdict.waiters.length === 0) verdict = await config.examine();
  t.is(verdict.waiters.length, 1);
  t.like(verdict.waiters[0], {pid: waiter.pid, kind: 'ofd', mode: 'exclusive', behind: undefined});
});

/** A lock whose owner is dead, with its record changed as the test wants it. */
async function withRecord(
  t: ExecutionContext,
  change: (record: OwnedRecord) => OwnedRecord | string,
): Promise<Scratch> {
  const place = scratch(t);
  const config = await openScratch(place);
  const owner = await actor(t, place);
  await owner.do('acquire');
  await owner.kill();
  const changed = change(config.readRecord() as OwnedRecord);
  disturb(config);
  writeFileSync(config.paths.owner, typeof changed === 'string' ? changed : encodeRecord(changed));
  return place;
}

/** The owner on record is this process, which lives. */
function asOurselves(record: OwnedRecord): OwnedRecord {
  const {pid, identity} = ourselves(readSystem());
  return {...record, owner: {...record.owner, pid, identity}};
}

const RECORDS: [string, string, (record: OwnedRecord) => OwnedRecord | string][] = [
  ['is empty', 'UNKNOWN', () => ''],
  ['is torn', 'UNKNOWN', record => encodeRecord(record).slice(0, 100)],
  ['is garbage', 'UNKNOWN', () => 'lock me\n'],
  ['is of a future version', 'UNKNOWN', record => encodeRecord({...record, v: 2} as unknown as OwnedRecord)],
  [
    'names another boot of this machine',
    'DEAD',
    record => ({...record, owner: {...record.owner, bootId: 'another-boot'}}),
  ],
  [
    'names another machine',
    'UNKNOWN',
    record => ({...record, owner: {...record.owner, bootId: 'another-boot', machineId: 'another-machine'}}),
  ],
  [
    'names another boot and no machine',
    'UNKNOWN',
    record => ({...record, owner: {...record.owner, bootId: 'another-boot', machineId: undefined}}),
  ],
  [
    'names another pid namespace',
    'UNKNOWN',
    record => ({...record, owner: {...record.owner, pidNamespace: 'pid:[1]'}}),
  ],
  [
    'names a pid that another process has now',
    'DEAD',
    record => ({...record, owner: {...record.owner, pid: process.pid}}),
  ],
  ['names a process that lives', 'ALIVE', asOurselves],
  ['is of an older epoch than the bit', 'UNKNOWN', record => ({...record, epoch: record.epoch - 1})],
  ['says that its owner has given up', 'DEAD', record => ({...asOurselves(record), resigned: true})],
];

for (const [what, state, change] of RECORDS) {
  test(`a lock whose owner record ${what} is ${state}`, async t => {
    const place = await withRecord(t, change);
    const verdict = await (await openConfigLock(place.file, place.roots)).examine();
    t.is(verdict.state, state as typeof verdict.state);
    t.true(verdict.hot);
  });
}

test('a bit that a stranger set is UNKNOWN: nobody vouches for an owner', async t => {
  const config = await openScratch(scratch(t));
  writeFileSync(config.bit.path, '1\n');
  const verdict = await config.examine();
  t.is(verdict.state, 'UNKNOWN');
  t.is(verdict.owner, null);
  t.regex(verdict.next.join(), /--owner unknown/);
});

test('a bit that holds neither 0 nor 1 is UNKNOWN', async t => {
  const config = await openScratch(scratch(t));
  writeFileSync(config.bit.path, 'maybe\n');
  t.is((await config.examine()).state, 'UNKNOWN');
});

const inContainer = ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc'];
testAsRoot('an owner in a container is known by its pidfd, and UNKNOWN once it has ended', async t => {
  const place = scratch(t);
  const config = await openScratch(place);
  const owner = await actor(t, place, inContainer);
  await owner.do('acquire');
  const verdict = await config.examine();
  t.is(verdict.state, 'ALIVE');
  t.is(verdict.owner?.pid, 1, 'its pid in the container');
  const [here = 0] = verdict.holders.map(({pid}) => pid);
  t.is(verdict.holders[0]?.identity, verdict.owner?.identity);
  stopProcess(here);
  t.is((await config.examine()).state, 'FROZEN');
  await owner.kill();
  await waitForExit(here);
  const {state, evidence} = await config.examine();
  t.is(state, 'UNKNOWN', 'that nobody has the guard proves no death');
  t.true(evidence.some(({looked}) => looked === 'pid namespace of the owner record'));
});

test('looking changes nothing', async t => {
  const place = await withRecord(t, record => record);
  const config = await openConfigLock(place.file, place.roots);
  const paths = [config.paths.owner, config.bit.path, place.file];
  const before = paths.map(path => readFileSync(path, 'utf8'));
  await config.examine();
  t.deepEqual(
    paths.map(path => readFileSync(path, 'utf8')),
    before,
  );
});
