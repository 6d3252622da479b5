/** Does the library do with the kernel's bits what it does with plain files, and what only the kernel makes possible? */
import {execFileSync, spawn} from 'node:child_process';
import {once} from 'node:events';
import {existsSync, readdirSync, readFileSync, writeFileSync} from 'node:fs';
import {dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';
import test from 'ava';
import type {LockError} from '../../lib/errors.js';
import type {SystemError} from '../../lib/os/system-error.js';
import {auditRecords} from '../../lib/recovery/audit.js';
import {actor} from '../helpers/actor.js';
import {NEW, OLD, openScratch} from '../helpers/scratch.js';
import {kernelScratch, shown, Stranger} from './helpers/kernel-lock.js';

// Each test has a lock of its own; those that change the whole module are serial, and so run first.

const MODULE = '/vm/locksmith.ko';
const EPOCH_BASE = '/sys/module/locksmith/parameters/epoch_base';

test('an owner has the bit in the kernel, at an epoch that grows', async t => {
  const place = kernelScratch(t);
  const config = await openScratch(place);
  t.is(config.bit.path, `${place.bit}/conf_locked`);
  t.is((await config.examine()).state, 'FREE');
  const epochs: number[] = [];
  for (let round = 0; round < 3; round++) {
    await using owned = await config.acquire({purpose: 'test'});
    epochs.push(owned.epoch);
    t.is(shown(place, 'conf_locked'), '1');
    t.is(shown(place, 'owner'), `${process.pid} alive`);
    t.is(shown(place, 'epoch'), String(owned.epoch));
    t.is((await config.examine()).state, 'ALIVE');
  }
  t.is(shown(place, 'owner'), 'none');
  t.deepEqual(
    epochs,
    [...new Set(epochs)].sort((a, b) => a - b),
  );
  await config.update(() => NEW);
  t.is(readFileSync(place.file, 'utf8'), NEW);
});

test('an owner that dies in an update is proven dead by record and kernel, and is taken back', async t => {
  const place = kernelScratch(t);
  const config = await openScratch(place);
  const owner = await actor(t, place);
  await owner.do('begin-update', {content: NEW});
  const before = Number(shown(place, 'epoch'));
  await owner.kill();
  t.is(shown(place, 'owner'), `${owner.pid} dead`);
  const verdict = await config.examine();
  t.is(verdict.state, 'DEAD');
  t.is(verdict.owner?.pid, owner.pid);
  t.deepEqual(verdict.bit.owner, {pid: owner.pid, alive: false});
  t.true(verdict.evidence.some(({looked}) => looked === join(place.bit, 'owner')));
  await t.throwsAsync(config.acquire(), {code: 'ERR_ORPHANED'});
  const seen: string[] = [];
  const clear = await config.recover({
    onStep: ({step}) => seen.push(`${step} ${shown(place, 'conf_locked')}`),
  });
  t.is(clear.outcome, 'rolled-back');
  t.is(clear.epochs.before, before);
  t.is(clear.epochs.after, Number(shown(place, 'epoch')));
  t.true(clear.epochs.after > before);
  t.deepEqual(
    seen.filter(step => step.endsWith(' 0')),
    ['clear 0', 'all-clear 0'],
  );
  t.is(readFileSync(place.file, 'utf8'), OLD);
  t.deepEqual(readdirSync(dirname(place.file)), [`${place.name}.conf`]);
  t.is((await config.examine()).state, 'FREE');
});

test('a stranger’s bit whose shell has ended is a ghost that is explained and taken back', async t => {
  const place = kernelScratch(t);
  const config = await openScratch(place);
  const stranger = await Stranger.set(t, place);
  await stranger.kill();
  const verdict = await config.examine();
  t.is(verdict.state, 'DEAD');
  t.is(verdict.owner, null);
  t.deepEqual(verdict.bit.owner, {pid: stranger.pid, alive: false});
  t.deepEqual(verdict.next, [`locksmith recover ${place.name}`]);
  await t.throwsAsync(config.acquire(), {code: 'ERR_ORPHANED', message: new RegExp(`pid ${stranger.pid}`)});
  const clear = await config.recover();
  t.is(clear.outcome, 'untouched');
  t.is(shown(place, 'conf_locked'), '0');
  await config.update(() => NEW);
});

test('a stranger who lives is left in peace, waited for, and taken from when he dies', async t => {
  const place = kernelScratch(t);
  const config = await openScratch(place);
  const stranger = await Stranger.set(t, place);
  const verdict = await config.examine();
  t.is(verdict.state, 'ALIVE');
  t.deepEqual(verdict.bit.owner, {pid: stranger.pid, alive: true});
  const refusal = await t.throwsAsync<LockError>(config.recover(), {code: 'ERR_NOT_DEAD'});
  t.regex(refusal.message, new RegExp(`pid ${stranger.pid}`));
  t.is(await config.tryAcquire(), undefined);
  t.throws(() => writeFileSync(join(place.bit, 'conf_locked'), '0'), {code: 'EBUSY'});
  const impatient = config.acquire({signal: AbortSignal.timeout(100)});
  t.is(await impatient.catch((error: Error) => error.name), 'TimeoutError');

  const waiting = config.acquire();
  await stranger.tell(`echo 0 > ${place.bit}/conf_locked`);
  await (await waiting).release();

  await stranger.tell(`echo 1 > ${place.bit}/conf_locked`);
  const second = config.acquire({onOrphan: 'recover'});
  await stranger.kill();
  const owned = await second;
  t.is(shown(place, 'owner'), `${process.pid} alive`);
  await owned.release();
});

test('root clears the bit of the dead by hand, and the lock is free', async t => {
  const place = kernelScratch(t);
  const config = await openScratch(place);
  const owner = await actor(t, place);
  const {epoch} = await owner.do('acquire');
  t.throws(() => writeFileSync(join(place.bit, 'conf_locked'), '0'), {code: 'EBUSY'});
  await owner.kill();
  writeFileSync(join(place.bit, 'conf_locked'), '0');
  t.is((await config.examine()).state, 'FREE');
  await using owned = await config.acquire();
  t.true(owned.epoch > Number(epoch));
});

test('a waiter for the end of an orphan is woken when somebody has recovered it', async t => {
  const place = kernelScratch(t);
  const config = await openScratch(place);
  await (await Stranger.set(t, place)).kill();
  const waiting = config.acquire({onOrphan: 'wait'});
  await config.recover();
  await (await waiting).release();
  t.is(shown(place, 'owner'), 'none');
});

test('killed between the kernel’s handover and the record, the next recovery still knows the update', async t => {
  const place = kernelScratch(t);
  const config = await openScratch(place);
  const owner = await actor(t, place);
  await owner.do('begin-update', {content: NEW});
  await owner.kill();
  const epoch = shown(place, 'epoch');
  execFileSync('sh', ['-c', `echo ${epoch} > ${place.bit}/handover`]);
  const verdict = await config.examine();
  t.is(verdict.state, 'DEAD');
  t.is(verdict.owner, null, 'the one on record is not the one who has it');
  t.true((verdict.epoch ?? 0) > Number(epoch));
  t.is((await config.recover()).outcome, 'rolled-back');
  t.deepEqual(readdirSync(dirname(place.file)), [`${place.name}.conf`]);
});

for (const step of ['handover', 'clean'])
  test(`a recoverer that is killed behind "${step}" leaves a lock that the next one takes`, async t => {
    const place = kernelScratch(t);
    const config = await openScratch(place);
    const owner = await actor(t, place);
    await owner.do('begin-update', {content: NEW});
    await owner.kill();
    const program = fileURLToPath(new URL('../fixtures/dying-recoverer.js', import.meta.url));
    const recoverer = spawn(process.execPath, [program, JSON.stringify({...place, step})]);
    const {pid} = recoverer;
    t.deepEqual(await once(recoverer, 'exit'), [null, 'SIGKILL']);
    t.is(shown(place, 'owner'), `${pid} dead`);
    const {state, owner: named, epoch} = await config.examine();
    t.is(state, 'DEAD');
    t.is(named?.pid, pid);
    const clear = await config.recover();
    t.is(clear.outcome, 'rolled-back');
    t.is(clear.epochs.before, epoch ?? 0);
    t.is((await config.examine()).state, 'FREE');
  });

test('a frozen owner is taken from by force only, and is fenced when it wakes', async t => {
  const place = kernelScratch(t);
  const config = await openScratch(place);
  const owner = await actor(t, place);
  await owner.do('begin-update', {content: NEW});
  owner.stop();
  const {state, owner: named, epoch} = await config.examine();
  t.is(state, 'FROZEN');
  await t.throwsAsync(config.recover(), {code: 'ERR_NOT_DEAD'});
  const values: string[] = [];
  const clear = await config.breakGlass({
    owner: named?.pid ?? 0,
    epoch: epoch ?? 0,
    reason: 'it hangs',
    onStep: ({step}) => values.push(`${step} ${shown(place, 'conf_locked')}`),
  });
  t.is(clear.outcome, 'rolled-back');
  t.true(values.includes('handover 1'));
  owner.continue();
  t.is((await owner.do('finish-update')).error, 'ERR_FENCED');
  t.is(readFileSync(place.file, 'utf8'), OLD);
  t.is(shown(place, 'conf_locked'), '0');
});

test('a living stranger is named by his pid, and yields to force', async t => {
  const place = kernelScratch(t);
  const config = await openScratch(place);
  const stranger = await Stranger.set(t, place);
  const {epoch} = await config.examine();
  const given = {epoch: epoch ?? 0, reason: 'maintenance is over'};
  await t.throwsAsync(config.breakGlass({...given, owner: 'unknown'}), {code: 'ERR_OWNER_CHANGED'});
  await t.throwsAsync(config.breakGlass({...given, owner: stranger.pid, epoch: given.epoch - 1}), {
    code: 'ERR_OWNER_CHANGED',
  });
  await config.breakGlass({...given, owner: stranger.pid});
  t.is(shown(place, 'owner'), 'none');
});

test('a recovery that fails but lives on gives way to the next one', async t => {
  const place = kernelScratch(t);
  const config = await openScratch(place);
  await (await Stranger.set(t, place)).kill();
  const validate = () => {
    throw new Error('not like this');
  };
  await t.throwsAsync(config.recover({validate}), {code: 'ERR_NOT_CLEAN'});
  t.is(shown(place, 'owner'), `${process.pid} alive`);
  t.is((await config.examine()).state, 'DEAD', 'it has resigned');
  const other = await actor(t, place);
  t.is((await other.do('recover')).error, undefined);
  t.is((await config.examine()).state, 'FREE');
  const kinds: string[] = [];
  for await (const {event} of auditRecords(place.roots.state)) kinds.push(event);
  t.deepEqual(kinds, ['recover.intent', 'recover.intent', 'all-clear']);
});

test('an owner in a pid namespace that has gone is dead, by the word of the kernel', async t => {
  const place = kernelScratch(t);
  const config = await openScratch(place);
  const stranger = await Stranger.set(t, place, 'unshare', '-p', '-f');
  const {state, bit} = await config.examine();
  t.is(state, 'ALIVE');
  t.not(bit.owner?.pid, stranger.pid, 'the shell is a child of unshare');
  await stranger.leave();
  t.is((await config.examine()).state, 'DEAD');
  await config.recover();
  t.is((await config.examine()).state, 'FREE');
});

test.serial(
  'a module that was loaded anew goes on above the old epochs, also when the clock was set back',
  async t => {
    const place = kernelScratch(t);
    const config = await openScratch(place);
    const first = await config.acquire();
    await first.release();
    execFileSync('rmmod', ['locksmith']);
    t.false(existsSync(place.bit));
    await t.throwsAsync(openScratch(place), {code: 'ERR_MODULE_MISSING'});
    const unknown = await config.examine();
    t.is(unknown.state, 'UNKNOWN');
    const now = Math.floor(Date.now() / 1000);
    execFileSync('date', ['-s', `@${now - 86_400}`]);
    try {
      execFileSync('insmod', [MODULE]);
    } finally {
      execFileSync('date', ['-s', `@${now}`]);
    }
    t.true(Number(readFileSync(EPOCH_BASE, 'utf8')) < first.epoch);
    const again = await openScratch(place);
    await using owned = await again.acquire();
    t.true(owned.epoch > first.epoch);
    t.is(
      readFileSync(join(place.roots.state, 'epoch'), 'utf8').trim(),
      String(Math.floor(owned.epoch / 2 ** 20)),
    );
  },
);

test.serial('a limit of the kernel is told with the file that it is about', async t => {
  const parameter = '/sys/module/locksmith/parameters/max_locks';
  const limit = readFileSync(parameter, 'utf8');
  writeFileSync(parameter, '0');
  t.teardown(() => writeFileSync(parameter, limit));
  const place = kernelScratch(t);
  const error = await t.throwsAsync<SystemError>(openScratch(place), {code: 'ENOSPC'});
  t.is(error.path, '/sys/locks/create');
  t.false(existsSync(join(place.roots.run, 'locks', place.name)), 'nothing is left half made');
});
