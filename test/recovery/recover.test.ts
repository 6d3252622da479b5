/** Is a lock taken back from the dead, and from nobody else? In every case the file is whole and nothing is half done. */
import {existsSync, readdirSync, readFileSync, writeFileSync} from 'node:fs';
import {dirname, join} from 'node:path';
import test from 'ava';
import type {LockError} from '../../lib/errors.js';
import {LockFile} from '../../lib/os/lock-file.js';
import {readSystem} from '../../lib/os/system.js';
import {auditRecords, verifyAudit} from '../../lib/recovery/audit.js';
import {type Certificate, effectsOf, type Step} from '../../lib/recovery/take-back.js';
import {openConfigLock} from '../../lib/recovery/guarded-config.js';
import type {Verdict} from '../../lib/recovery/verdict.js';
import {type Actor, actor} from '../helpers/actor.js';
import {orphan, STEPS} from '../helpers/orphan.js';
import {NEW, OLD, openScratch, type Scratch, scratch} from '../helpers/scratch.js';

async function audit({roots}: Scratch): Promise<string[]> {
  const events: string[] = [];
  for await (const {event} of auditRecords(roots.state)) events.push(event);
  return events;
}

test('a ghost is recovered: steps, certificate, audit, and a clean file', async t => {
  const {place, config, owner, shadow} = await orphan(t);
  t.true(existsSync(shadow));
  const before = config.bit.epoch();
  const steps: Step[] = [];
  const certificate = await config.recover({onStep: step => steps.push(step)});
  t.deepEqual(
    steps.map(({step}) => step),
    STEPS,
  );
  t.is(certificate.outcome, 'rolled-back');
  t.deepEqual(certificate.removedShadows, [shadow]);
  t.is(certificate.verdict.owner?.pid, owner.pid);
  t.is(certificate.epochs.before, before);
  t.true(certificate.epochs.after > before);
  t.is(readFileSync(place.file, 'utf8'), OLD);
  t.deepEqual(readdirSync(dirname(place.file)), ['aim_lock_config.conf']);
  t.is((await config.examine()).state, 'FREE');
  t.deepEqual(await audit(place), ['recover.intent', 'all-clear']);
  t.true((await verifyAudit(place.roots.state)).ok);
  t.is((await config.update(() => NEW)).epoch, certificate.epochs.after + 1);
});

test('what would have come into effect after the hold is removed before anybody enters', async t => {
  const {config} = await orphan(t);
  const staged = effectsOf(config);
  t.true(staged.length > 1);
  // As a recoverer leaves it that is stopped between its look and its rename, until its hold is over.
  const validate = async () => {
    for (const path of staged) writeFileSync(path, 'what comes too late');
    t.is(await config.tryEnter(), undefined, 'the hold is still in force');
    using _cycle = await config.enter();
    t.deepEqual(staged.filter(existsSync), []);
  };
  await t.throwsAsync(config.recover({hold: 10_000, validate}), {code: 'ERR_HOLD_EXPIRED'});
  t.is(config.bit.read(), 1);
  await config.recover();
});

test('the bit is set from the first step to the last', async t => {
  const {config} = await orphan(t);
  const values: [string, number][] = [];
  await config.recover({onStep: ({step}) => values.push([step, config.bit.read()])});
  for (const [step, value] of values) t.is(value, step === 'clear' || step === 'all-clear' ? 0 : 1, step);
});

test('a free lock has nothing to recover', async t => {
  const config = await openScratch(scratch(t));
  const error = await t.throwsAsync<LockError>(config.recover(), {code: 'ERR_NOT_DEAD'});
  t.is((error.verdict as Verdict).state, 'FREE');
});

for (const [state, prepare] of [
  ['ALIVE', () => undefined],
  ['FROZEN', (owner: Actor) => owner.stop()],
] as const) {
  test(`an owner that is ${state} keeps its lock, and nothing is changed`, async t => {
    const place = scratch(t);
    const config = await openScratch(place);
    const owner = await actor(t, place);
    await owner.do('begin-update', {content: NEW});
    prepare(owner);
    const record = readFileSync(config.paths.owner, 'utf8');
    const error = await t.throwsAsync<LockError>(config.recover(), {code: 'ERR_NOT_DEAD'});
    t.is((error.verdict as Verdict).state, state);
    t.is(readFileSync(config.paths.owner, 'utf8'), record);
    t.deepEqual(await audit(place), []);
    owner.continue();
    await owner.do('finish-update');
    t.is(readFileSync(place.file, 'utf8'), NEW);
  });
}

test('an UNKNOWN owner keeps its lock', async t => {
  const {place, config} = await orphan(t);
  writeFileSync(config.paths.owner, '');
  const error = await t.throwsAsync<LockError>(config.recover(), {code: 'ERR_NOT_DEAD'});
  t.is((error.verdict as Verdict).state, 'UNKNOWN');
  t.is(config.bit.read(), 1);
  t.deepEqual(await audit(place), []);
});

test('an owner that died after its rename is rolled forward', async t => {
  const {place, config} = await orphan(t);
  writeFileSync(place.file, NEW);
  t.is((await config.recover()).outcome, 'rolled-forward');
  t.is(readFileSync(place.file, 'utf8'), NEW);
});

test('a file that somebody else changed meanwhile is left as it is, and the certificate says so', async t => {
  const {place, config} = await orphan(t);
  writeFileSync(place.file, 'edited by hand\n');
  t.is((await config.recover()).outcome, 'changed-by-others');
  t.is(readFileSync(place.file, 'utf8'), 'edited by hand\n');
});

test('a process that has the file open for writing is waited for, until it closes', async t => {
  const {place, config} = await orphan(t);
  const writer = await actor(t, place);
  await writer.do('open-for-writing');
  const certificate = await config.recover({
    onStep: ({step, contenders}) => {
      if (step === 'contenders' && (contenders as unknown[]).length > 0) writer.start('close-file');
    },
  });
  t.deepEqual(certificate.drained, [{pid: writer.pid, doing: 'has the file open for writing'}]);
});

test('a writer that dies is no contender any more', async t => {
  const {place, config} = await orphan(t);
  const writer = await actor(t, place);
  await writer.do('open-for-writing');
  const certificate = await config.recover({
    onStep: ({step, contenders}) => {
      if (step === 'contenders' && (contenders as unknown[]).length > 0) void writer.kill();
    },
  });
  t.is(certificate.drained.length, 1);
});

test('a contender that remains until the deadline is named, and nothing is changed', async t => {
  const {place, config} = await orphan(t);
  const writer = await actor(t, place);
  await writer.do('open-for-writing');
  const epoch = config.bit.epoch();
  const error = await t.throwsAsync<LockError>(config.recover({hold: 500}), {code: 'ERR_CONTENDED'});
  t.deepEqual(error.pids, [writer.pid]);
  t.is(config.bit.epoch(), epoch);
  t.is((await config.examine()).state, 'DEAD');
});

test('waiters of the dead owner park before the gate, and get in afterwards', async t => {
  const place = scratch(t);
  const config = await openScratch(place);
  const owner = await actor(t, place);
  await owner.do('acquire');
  const waiters = await Promise.all([actor(t, place), actor(t, place), actor(t, place)]);
  for (const waiter of waiters) waiter.start('acquire', {onOrphan: 'wait'});
  await owner.kill();
  const {epochs} = await config.recover();
  const first = await Promise.race(waiters.map(waiter => waiter.answer('acquire')));
  t.true(Number(first['epoch']) > epochs.after);
});

test('a deaf orchestrator refuses the hold, and nothing is changed', async t => {
  const {place, config} = await orphan(t);
  const deaf = await actor(t, place);
  await deaf.do('enter');
  const error = await t.throwsAsync<LockError>(config.recover({hold: 300}), {code: 'ERR_HOLD_REFUSED'});
  t.deepEqual(error.pids, [deaf.pid]);
  t.is((await config.examine()).state, 'DEAD');
});

test('one recoverer at a time: the second is told who', async t => {
  const {config} = await orphan(t);
  using other = LockFile.open(config.paths.recovery);
  t.true(other.try('exclusive'));
  const error = await t.throwsAsync<LockError>(config.recover(), {code: 'ERR_RECOVERY_BUSY'});
  t.true(error.pids?.includes(process.pid));
});

test('a recoverer that is gone by the time that it is looked for is in nobody’s way', async t => {
  const {place} = await orphan(t);
  const surroundings = readSystem();
  let look = () => {};
  const system = {
    ...surroundings,
    get procRoot() {
      look();
      return surroundings.procRoot;
    },
  };
  const config = await openConfigLock(place.file, {...place.roots, system});
  using other = LockFile.open(config.paths.recovery);
  t.true(other.try('exclusive'));
  look = () => other.close();
  t.is((await config.recover()).outcome, 'rolled-back');
});

test('a validator that refuses keeps the bit set; the next recovery finishes', async t => {
  const {config} = await orphan(t);
  const refuse = () => {
    throw new Error('gain is too high');
  };
  await t.throwsAsync(config.recover({validate: refuse}), {
    code: 'ERR_NOT_CLEAN',
    message: /gain is too high/,
  });
  t.is(config.bit.read(), 1);
  t.is((await config.examine()).state, 'DEAD', 'the recoverer lives, but has given up');
  const {outcome} = await config.recover();
  t.is(outcome, 'rolled-back');
});

test('a recoverer that is killed after the handover is recovered itself', async t => {
  const {place, config} = await orphan(t);
  const recoverer = await actor(t, place);
  const writer = await actor(t, place);
  await writer.do('open-for-writing');
  recoverer.start('recover');
  let record = config.readRecord();
  await writer.do('close-file');
  while (record.state === 'owned' && record.owner.pid !== recoverer.pid) record = config.readRecord();
  await recoverer.kill();
  const {state} = await config.examine();
  t.true(state === 'DEAD' || state === 'FREE');
  if (state === 'DEAD') await config.recover();
  t.is((await config.examine()).state, 'FREE');
  t.is(readFileSync(place.file, 'utf8'), OLD);
});

test('an acquirer may recover by itself', async t => {
  const {config, place} = await orphan(t);
  await t.throwsAsync(config.acquire(), {code: 'ERR_ORPHANED'});
  const owned = await config.acquire({onOrphan: 'recover'});
  await owned.release();
  t.deepEqual(await audit(place), ['recover.intent', 'all-clear']);
});

test('without an audit record nothing happens', async t => {
  const {place, config} = await orphan(t);
  writeFileSync(`${place.roots.state}/audit.jsonl`, 'not a record\n');
  await t.throwsAsync(config.recover(), {code: 'ERR_AUDIT_BROKEN'});
  t.is((await config.examine()).state, 'DEAD');
});

test('an owner that could not give its lock back has given up, although it lives: others may recover', async t => {
  const place = scratch(t);
  const config = await openScratch(place);
  const owned = await config.acquire();
  const epoch = join(config.bit.directory, 'epoch');
  writeFileSync(epoch, 'no number\n');
  await t.throwsAsync(owned.release(), {code: 'EBADMSG'});
  writeFileSync(epoch, `${owned.epoch}\n`);
  t.is((await config.examine()).state, 'DEAD');
  await t.throwsAsync(config.acquire(), {code: 'ERR_ORPHANED', message: /has given up/});
  t.is((await config.recover()).outcome, 'untouched');
});

test('the certificate names its audit record', async t => {
  const {place, config} = await orphan(t);
  const certificate: Certificate = await config.recover({reason: 'incident 42'});
  const records = [];
  for await (const record of auditRecords(place.roots.state)) records.push(record);
  t.is(records.at(-1)?.hash, certificate.audit.hash);
  t.is(records.at(-1)?.['reason'], 'incident 42');
});
