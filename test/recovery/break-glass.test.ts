/** Does force take a lock from anyone, but only from whom it was meant for, and is the old owner fenced? */
import {spawnSync} from 'node:child_process';
import {chmodSync, chownSync, readFileSync, writeFileSync} from 'node:fs';
import {fileURLToPath} from 'node:url';
import test from 'ava';
import type {LockError} from '../../lib/errors.js';
import {LockFile} from '../../lib/os/lock-file.js';
import {auditRecords} from '../../lib/recovery/audit.js';
import {testAsRoot} from '../helpers/here.js';
import {actor} from '../helpers/actor.js';
import {NEW, OLD, openScratch, scratch} from '../helpers/scratch.js';

const NEWER = 'gain = 11\n';
const reason = 'the owner hangs, incident 42';

test('a frozen owner is fenced: after SIGCONT its update fails, and the file keeps the newer content', async t => {
  const place = scratch(t);
  const config = await openScratch(place);
  const owner = await actor(t, place);
  await owner.do('begin-update', {content: NEW});
  owner.stop();
  const {owner: named, epoch} = await config.examine();
  const certificate = await config.breakGlass({owner: named?.pid ?? 0, epoch: epoch ?? 0, reason});
  t.true(certificate.forced);
  t.is(certificate.verdict.state, 'FROZEN');
  t.is(certificate.outcome, 'rolled-back');
  t.is((await config.examine()).state, 'FREE');
  await config.update(() => NEWER);
  owner.continue();
  const {error} = await owner.do('finish-update');
  t.is(error, 'ERR_FENCED');
  t.is(readFileSync(place.file, 'utf8'), NEWER);
  t.is((await config.examine()).state, 'FREE');
});

test('a living owner is fenced as well', async t => {
  const place = scratch(t);
  const config = await openScratch(place);
  const owner = await actor(t, place);
  await owner.do('begin-update', {content: NEW});
  const {owner: named, epoch} = await config.examine();
  await config.breakGlass({owner: named?.identity ?? '', epoch: epoch ?? 0, reason});
  t.is((await owner.do('finish-update')).error, 'ERR_FENCED');
  t.is(readFileSync(place.file, 'utf8'), OLD);
});

test('the lock never goes free in between: a waiter gets it only afterwards', async t => {
  const place = scratch(t);
  const config = await openScratch(place);
  const owner = await actor(t, place);
  const {epoch} = await owner.do('acquire');
  const waiter = await actor(t, place);
  waiter.start('acquire');
  while ((await config.examine()).waiters.length === 0);
  owner.stop();
  const bits: number[] = [];
  const {epochs} = await config.breakGlass({
    owner: owner.pid,
    epoch: Number(epoch),
    reason,
    onStep: ({step}) => step !== 'clear' && step !== 'all-clear' && bits.push(config.bit.read()),
  });
  t.true(bits.every(bit => bit === 1));
  t.true(Number((await waiter.answer('acquire'))['epoch']) > epochs.after);
});

test('a record that nobody can read is forced with the owner named unknown', async t => {
  const place = scratch(t);
  const config = await openScratch(place);
  const owner = await actor(t, place);
  const {epoch} = await owner.do('acquire');
  await owner.kill();
  writeFileSync(config.paths.owner, 'torn');
  await t.throwsAsync(config.breakGlass({owner: owner.pid, epoch: Number(epoch), reason}), {
    code: 'ERR_OWNER_CHANGED',
  });
  const certificate = await config.breakGlass({owner: 'unknown', epoch: Number(epoch), reason});
  t.is(certificate.verdict.state, 'UNKNOWN');
  t.is((await config.examine()).state, 'FREE');
});

test('a bit that a stranger set is forced with the owner named unknown', async t => {
  const config = await openScratch(scratch(t));
  writeFileSync(config.bit.path, '1\n');
  const {epoch} = await config.examine();
  await config.breakGlass({owner: 'unknown', epoch: epoch ?? 0, reason});
  t.is((await config.examine()).state, 'FREE');
});

test('another owner, another epoch or no reason is refused, and nothing is changed', async t => {
  const place = scratch(t);
  const config = await openScratch(place);
  const owner = await actor(t, place);
  const epoch = Number((await owner.do('acquire'))['epoch']);
  const record = readFileSync(config.paths.owner, 'utf8');
  await t.throwsAsync(config.breakGlass({owner: owner.pid + 1, epoch, reason}), {code: 'ERR_OWNER_CHANGED'});
  await t.throwsAsync(config.breakGlass({owner: owner.pid, epoch: epoch - 1, reason}), {
    code: 'ERR_OWNER_CHANGED',
  });
  await t.throwsAsync(config.breakGlass({owner: owner.pid, epoch, reason: ' '}), {code: 'ERR_ARGUMENT'});
  t.is(readFileSync(config.paths.owner, 'utf8'), record);
  t.is((await owner.do('release')).error, undefined);
});

test('a free lock has nothing to break', async t => {
  const config = await openScratch(scratch(t));
  await t.throwsAsync(config.breakGlass({owner: 'unknown', epoch: config.bit.epoch(), reason}), {
    code: 'ERR_NOT_DEAD',
  });
});

test('a process that holds the guard but owns nothing yet is not robbed', async t => {
  const config = await openScratch(scratch(t));
  using guard = LockFile.open(config.paths.guard);
  guard.try('exclusive');
  const error = await t.throwsAsync<LockError>(
    config.breakGlass({owner: 'unknown', epoch: config.bit.epoch(), reason}),
    {code: 'ERR_TAKEOVER_REFUSED'},
  );
  // A child that another test forks holds it as well, until it has executed its program.
  t.true(error.pids?.includes(process.pid));
});

test('others who do not come to the hold point keep the owner in possession', async t => {
  const place = scratch(t);
  const config = await openScratch(place);
  const owner = await actor(t, place);
  await owner.do('begin-update', {content: NEW});
  const deaf = await actor(t, place);
  await deaf.do('enter');
  const {epoch} = await config.examine();
  const error = await t.throwsAsync<LockError>(
    config.breakGlass({owner: owner.pid, epoch: epoch ?? 0, reason, hold: 300}),
    {code: 'ERR_HOLD_REFUSED'},
  );
  t.deepEqual(error.pids, [deaf.pid]);
  const refused = await t.throwsAsync<LockError>(config.hold({for: 300}), {code: 'ERR_HOLD_REFUSED'});
  t.deepEqual(
    [...(refused.pids ?? [])].toSorted((a, b) => a - b),
    [deaf.pid, owner.pid].toSorted((a, b) => a - b),
    'the owner has its share of the gate again',
  );
  t.is((await owner.do('finish-update')).error, undefined);
  t.is(readFileSync(place.file, 'utf8'), NEW);
});

test('the audit has the evidence, the reason and the owner before it happens', async t => {
  const place = scratch(t);
  const config = await openScratch(place);
  const owner = await actor(t, place);
  const epoch = Number((await owner.do('acquire'))['epoch']);
  await config.breakGlass({owner: owner.pid, epoch, reason});
  const records = [];
  for await (const record of auditRecords(place.roots.state)) records.push(record);
  t.deepEqual(
    records.map(({event}) => event),
    ['break-glass.intent', 'all-clear'],
  );
  t.is(records[0]?.['reason'], reason);
  t.like(records[0]?.['owner'], {pid: owner.pid});
  t.true(JSON.stringify(records[0]?.['evidence']).includes('looked'));
});

testAsRoot('another user may not break the glass', async t => {
  const place = scratch(t);
  const config = await openScratch(place);
  const owner = await actor(t, place);
  const epoch = Number((await owner.do('acquire'))['epoch']);
  chmodSync(place.directory, 0o755);
  chownSync(config.paths.recovery, 65534, 65534);
  const program = fileURLToPath(new URL('../fixtures/break-glass-as-nobody.js', import.meta.url));
  const {stdout, stderr} = spawnSync(
    process.execPath,
    [program, JSON.stringify({...place, owner: owner.pid, epoch})],
    {encoding: 'utf8'},
  );
  t.is(stdout.trim(), 'ERR_NOT_PERMITTED', stderr);
});
