/** What if those who are to stop are deaf, late or dead, the holder sleeps through its hold, or two recover at once? */
import {readFileSync} from 'node:fs';
import test from 'ava';
import {isLockError, type LockError} from '../../lib/errors.js';
import {isClosed} from '../../lib/lock/gate.js';
import {monotonic} from '../../lib/os/deadline.js';
import {LockFile} from '../../lib/os/lock-file.js';
import {waitForExit} from '../../lib/os/process.js';
import type {GuardedConfig} from '../../lib/recovery/guarded-config.js';
import type {Verdict} from '../../lib/recovery/verdict.js';
import {actor} from '../helpers/actor.js';
import {fixture} from '../helpers/native.js';
import {orphan, STEPS} from '../helpers/orphan.js';
import {startProgram} from '../helpers/program.js';
import {awaitStopped} from '../helpers/proc-state.js';
import {OLD, openScratch, scratch} from '../helpers/scratch.js';

/** Resolves when a hold is announced: from then on nobody enters. */
async function untilClosed(config: GuardedConfig): Promise<void> {
  using gate = LockFile.open(config.paths.gate, {flags: 0});
  while (!isClosed(gate)) await new Promise(resolve => setImmediate(resolve));
}

test('a deaf orchestrator: the hold is refused and names it, and everybody else goes on', async t => {
  const {place, config} = await orphan(t);
  const [deaf, other] = await Promise.all([actor(t, place), actor(t, place)]);
  await deaf.do('enter');
  await other.do('cycle');
  const error = await t.throwsAsync<LockError>(config.recover({hold: 500}), {code: 'ERR_HOLD_REFUSED'});
  // At the deadline the gate opens: who has entered by then may be named as well.
  t.true(error.pids?.includes(deaf.pid));
  await other.do('another-cycle');
  await deaf.do('leave');
  t.is((await config.recover()).outcome, 'rolled-back');
});

test('a late acknowledgement: the hold is granted, with what is left of its bound', async t => {
  const bound = 8000;
  const place = scratch(t);
  const config = await openScratch(place);
  const late = await actor(t, place);
  await late.do('enter');
  const asked = monotonic();
  const granted = config.hold({for: bound});
  await untilClosed(config);
  setTimeout(() => late.start('leave'), bound / 2);
  await using hold = await granted;
  t.true(hold.acknowledgedAfter >= bound / 2 - 1, `${hold.acknowledgedAfter}`);
  t.true(hold.remaining() <= bound / 2 + 1, `${hold.remaining()}`);
  using _cycle = await config.enter();
  t.true(monotonic() - asked >= bound - 1, 'the acknowledgement took from the hold, not from its end');
});

test('too little time left after a late acknowledgement: the recovery ends where it is, and the next one finishes', async t => {
  const {place, config} = await orphan(t);
  const late = await actor(t, place);
  await late.do('enter');
  let cleanedAt = 0;
  const untilTheEnd = async () => {
    cleanedAt = config.bit.epoch();
    using _cycle = await config.enter();
  };
  const recovery = t.throwsAsync(config.recover({hold: 15_000, validate: untilTheEnd}), {
    code: 'ERR_HOLD_EXPIRED',
  });
  await untilClosed(config);
  await late.do('leave');
  await recovery;
  t.is(config.bit.read(), 1);
  t.is(config.bit.epoch(), cleanedAt);
  t.is((await config.examine()).state, 'DEAD');
  t.is((await config.recover()).outcome, 'rolled-back');
  t.is(readFileSync(place.file, 'utf8'), OLD);
});

test('an orchestrator that dies in its cycle has come to the hold point', async t => {
  const place = scratch(t);
  const config = await openScratch(place);
  const dying = await actor(t, place);
  await dying.do('enter');
  const granted = config.hold({for: 60_000});
  await untilClosed(config);
  await dying.kill();
  await using hold = await granted;
  t.true(hold.inForce());
});

test('an orchestrator that dies before the shut gate changes nothing', async t => {
  const {place, config} = await orphan(t);
  const dying = await actor(t, place);
  let waited = false;
  const certificate = await config.recover({
    async validate() {
      dying.start('enter');
      await dying.do('wait');
      await dying.kill();
      waited = true;
    },
  });
  t.true(waited);
  t.is(certificate.outcome, 'rolled-back');
  using _cycle = await config.enter();
  t.is((await config.examine()).state, 'FREE');
});

test('the 91st second: a holder that is stopped keeps everybody for 90 s, and no longer', async t => {
  const bound = 90_000;
  const place = scratch(t);
  const config = await openScratch(place);
  const [holder, ...others] = await Promise.all([1, 2, 3, 4].map(() => actor(t, place)));
  if (!holder) return;
  const asked = monotonic();
  await holder.do('hold', {for: bound});
  holder.stop();
  for (const other of others.slice(1)) other.start('enter');
  others[0]?.start('acquire');
  const wentOn = await Promise.all(
    others.map(async (other, index) => {
      await other.answer(index === 0 ? 'acquire' : 'enter');
      return monotonic() - asked;
    }),
  );
  t.log(`they went on after ${wentOn.map(Math.round).join(', ')} ms`);
  for (const after of wentOn) {
    t.true(after >= bound - 1, `not before: ${after} ms`);
    t.true(after < bound + 5000, `not much later: ${after} ms`);
  }
  t.is((await config.examine()).state, 'ALIVE');
});

/** What somebody who recovers now hears. */
async function recoverToo(config: GuardedConfig): Promise<string> {
  try {
    return (await config.recover()).outcome;
  } catch (error) {
    if (isLockError(error, 'ERR_NOT_DEAD')) return (error.verdict as Verdict).state;
    if (isLockError(error)) return error.code;
    throw error;
  }
}

for (const step of STEPS) {
  test(`two recoverers: while the first is at "${step}" the second is told so, and when it is killed there the second finishes`, async t => {
    const {place, config} = await orphan(t);
    const first = startProgram(
      t,
      process.execPath,
      fixture('stopping-recoverer'),
      JSON.stringify({...place, step, hold: 60_000}),
    );
    await awaitStopped(first.pid);
    t.is(await recoverToo(config), 'ERR_RECOVERY_BUSY');
    const gone = waitForExit(first.pid);
    first.child.kill('SIGKILL');
    await gone;
    t.is(await recoverToo(config), step === 'clear' || step === 'all-clear' ? 'FREE' : 'rolled-back');
    t.is((await config.examine()).state, 'FREE');
    t.is(readFileSync(place.file, 'utf8'), OLD);
  });
}

test('two recoverers at the same moment: one ALL CLEAR, and the other is told', async t => {
  const {place, config} = await orphan(t);
  const recoverers = await Promise.all([actor(t, place), actor(t, place)]);
  const came = await Promise.all(recoverers.map(recoverer => recoverer.do('recover')));
  const refusals = came.map(({error}) => error).filter(error => error !== undefined);
  t.is(refusals.length, 1);
  t.true(['ERR_RECOVERY_BUSY', 'ERR_NOT_DEAD'].includes(refusals[0] ?? ''), refusals[0]);
  t.is((await config.examine()).state, 'FREE');
});

/** The only child of a process. */
function childOf(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8'));
}

test('a recoverer that is stopped is named as such to the next', async t => {
  const {place, config} = await orphan(t);
  const task = JSON.stringify({...place, step: 'intent', hold: 60_000});
  const recoverer = startProgram(t, process.execPath, fixture('stopping-recoverer'), task);
  await awaitStopped(recoverer.pid);
  const {message} = await t.throwsAsync(config.recover(), {code: 'ERR_RECOVERY_BUSY'});
  t.regex(message, new RegExp(`pid ${recoverer.pid} .*, which can not run: .*stopped`));
});

for (const step of ['hold', 'guard', 'handover', 'clean'] as const) {
  test(`the hold's supervisor is killed at "${step}": the recovery goes no further, and the next one finishes`, async t => {
    const {place, config} = await orphan(t);
    const recoverer = startProgram(
      t,
      process.execPath,
      fixture('stopping-recoverer'),
      JSON.stringify({...place, step, hold: 60_000}),
    );
    await awaitStopped(recoverer.pid);
    const epoch = config.bit.epoch();
    const supervisor = childOf(recoverer.pid);
    const gone = waitForExit(supervisor);
    process.kill(supervisor, 'SIGKILL');
    await gone;
    recoverer.child.kill('SIGCONT');
    t.is(await recoverer.line(), 'ERR_HOLD_EXPIRED');
    t.is(config.bit.epoch(), epoch, 'nothing was done any more');
    t.is(config.bit.read(), 1);
    using _cycle = await config.tryEnter();
    t.not(_cycle, undefined);
    _cycle?.leave();
    t.is((await config.recover()).outcome, 'rolled-back');
  });
}

test("the hold's supervisor is killed while it waits for the acknowledgement: what follows is no hold", async t => {
  const place = scratch(t);
  const config = await openScratch(place);
  const slow = await actor(t, place);
  await slow.do('enter');
  const holder = await actor(t, place);
  holder.start('hold', {for: 60_000});
  await untilClosed(config);
  const supervisor = childOf(holder.pid);
  const gone = waitForExit(supervisor);
  process.kill(supervisor, 'SIGKILL');
  await gone;
  await slow.do('leave');
  const {error} = await holder.answer('hold');
  t.is(error, 'ERR_HOLD_EXPIRED');
  using _cycle = await config.enter();
  t.pass();
});
