/** Does force take a lock from anyone, but only from whom it was meant for, and is the old owner fenced? */
import {spawnSync} from 'node:child_process';
import {chmodSync, chownSync, readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import test, {type ExecutionContext} from 'ava';
import type {LockError} from '../../lib/errors.js';
import {sha256} from '../../lib/lock/update.js';
import type {OpenBit} from '../../lib/os/lock-bit.js';
import {LockFile} from '../../lib/os/lock-file.js';
import {errnoOf, SystemError} from '../../lib/os/system-error.js';
import {examineProcess, waitForExit} from '../../lib/os/process.js';
import {auditRecords} from '../../lib/recovery/audit.js';
import type {Step} from '../../lib/recovery/take-back.js';
import {FREEZER_V1, lacksFreezer, nestedGroups, setFrozen} from '../helpers/freezer.js';
import {testAsRoot, testWith} from '../helpers/here.js';
import {actor} from '../helpers/actor.js';
import {fixture} from '../helpers/native.js';
import {awaitStopped, stopProcess} from '../helpers/proc-state.js';
import {startProgram} from '../helpers/program.js';
import {NEW, OLD, openScratch, type Scratch, scratch} from '../helpers/scratch.js';
import {cast} from '../situations/stage.js';

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

test('nor is one that has got the guard of an orphan: it would go on when the lock is clear, as if it had the guard', async t => {
  const place = scratch(t);
  const config = await openScratch(place);
  const owner = await actor(t, place);
  const epoch = Number((await owner.do('acquire'))['epoch']);
  await owner.kill();
  using guard = LockFile.open(config.paths.guard);
  t.true(guard.try('exclusive'));
  const error = await t.throwsAsync<LockError>(config.breakGlass({owner: owner.pid, epoch, reason}), {
    code: 'ERR_TAKEOVER_REFUSED',
    message: /not its owner/,
  });
  t.true(error.pids?.includes(process.pid));
  t.is(config.bit.epoch(), epoch, 'nothing was changed');
  guard.unlock();
  await config.breakGlass({owner: owner.pid, epoch, reason});
});

test('nor is one whose acquisition failed in the middle and who comes again: it is on record, but no owner', async t => {
  const config = await openScratch(scratch(t));
  const {bit} = config;
  const failing = {
    ...bit,
    open(): OpenBit {
      const open = bit.open();
      const set = (expected: number, next: number): number => {
        open.set(expected, next);
        throw new SystemError(errnoOf('EIO'), 'write', bit.path);
      };
      return {
        set,
        read: () => open.read(),
        epoch: () => open.epoch(),
        clear: epoch => open.clear(epoch),
        close: () => open.close(),
        [Symbol.dispose]: () => open.close(),
      };
    },
  };
  Object.defineProperty(config, 'bit', {value: failing, configurable: true});
  await t.throwsAsync(config.acquire(), {code: 'EIO'});
  Object.defineProperty(config, 'bit', {value: bit});
  t.is(bit.read(), 1, 'that a disk says so need not mean that it was not done');
  t.is((await config.examine()).state, 'DEAD', 'it lives, but is no owner');
  using guard = LockFile.open(config.paths.guard);
  t.true(guard.try('exclusive'));
  const {pid} = process;
  await t.throwsAsync(config.breakGlass({owner: pid, epoch: bit.epoch(), reason}), {
    code: 'ERR_TAKEOVER_REFUSED',
    message: /not its owner/,
  });
  guard.unlock();
  await config.recover();
  await (await config.acquire()).release();
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

test('an owner from whom nothing was taken after all has its share of the gate again', async t => {
  const place = scratch(t);
  const config = await openScratch(place);
  const owner = await actor(t, place);
  await owner.do('begin-update', {content: NEW});
  const writer = await actor(t, place);
  await writer.do('open-for-writing');
  const {epoch} = await config.examine();
  // Aborted while it waits for the writer, behind the hold.
  const contended = new AbortController();
  const onStep = ({step, contenders}: {step: string; contenders?: unknown}) => {
    if (step === 'contenders' && Array.isArray(contenders)) contended.abort(new Error('enough'));
  };
  const {signal} = contended;
  await t.throwsAsync(config.breakGlass({owner: owner.pid, epoch: epoch ?? 0, reason, onStep, signal}), {
    message: 'enough',
  });
  const refused = await t.throwsAsync<LockError>(config.hold({for: 300}), {code: 'ERR_HOLD_REFUSED'});
  t.true(refused.pids?.includes(owner.pid));
  t.is((await owner.do('finish-update')).error, undefined);
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
  t.is(records[0]?.['kill'], false);
  t.is(records[0]?.['realUid'], process.getuid?.());
  t.like(records[0]?.['before'], {
    epoch,
    bit: {value: 1},
    record: {state: 'owned', epoch},
    sha256: sha256(Buffer.from(OLD)),
    shadows: [],
  });
  t.like(records[0]?.['owner'], {pid: owner.pid});
  t.true(JSON.stringify(records[0]?.['evidence']).includes('looked'));
});

test('a child that inherited the guard of a dead owner becomes nobody’s owner: it is taken over from', async t => {
  const place = scratch(t);
  const config = await openScratch(place);
  const owner = await actor(t, place);
  const epoch = Number((await owner.do('acquire'))['epoch']);
  const child = Number((await owner.do('give-to-child'))['child']);
  t.teardown(() => process.kill(child, 'SIGKILL'));
  // Else it would leave with the owner, who has the other end of its input.
  stopProcess(child);
  await owner.kill();
  const from: unknown[] = [];
  const onStep = (step: Step) => step.step === 'takeover' && from.push(...(step['from'] as number[]));
  const {forced} = await config.breakGlass({owner: owner.pid, epoch, reason, onStep});
  t.true(forced);
  t.true(from.includes(child));
  t.is((await config.examine()).state, 'FREE');
});

test('one who was fenced has the guard of an owner still, when the recoverer dies behind the handover: it is taken over again', async t => {
  const place = scratch(t);
  const config = await openScratch(place);
  const owner = await actor(t, place);
  const epoch = Number((await owner.do('acquire'))['epoch']);
  owner.stop();
  const task = JSON.stringify({
    ...place,
    step: 'handover',
    hold: 60_000,
    force: {owner: owner.pid, epoch, reason},
  });
  const recoverer = startProgram(t, process.execPath, fixture('stopping-recoverer'), task);
  await awaitStopped(recoverer.pid);
  const end = waitForExit(recoverer.pid);
  recoverer.child.kill('SIGKILL');
  await end;
  const left = await config.examine();
  t.is(left.owner?.pid, recoverer.pid);
  const again = {owner: recoverer.pid, epoch: left.epoch ?? 0, reason};
  const certificate = await config.breakGlass(again);
  t.true(certificate.epochs.after > (left.epoch ?? 0));
  t.is((await config.examine()).state, 'FREE');
  await config.update(() => NEWER);
});

/** Breaks the glass in another process, with a command before it that changes what it may do. Gives what it printed. */
function breakElsewhere(place: Scratch, options: object, ...before: readonly string[]): string {
  const program = fileURLToPath(new URL('../fixtures/break-glass.js', import.meta.url));
  const [command, ...rest] = [
    ...before,
    process.execPath,
    program,
    JSON.stringify({name: 'aim_lock_config', roots: place.roots, reason, ...options}),
  ];
  return spawnSync(command, rest, {encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit']}).stdout.trim();
}

testAsRoot('another user may not break the glass', async t => {
  const place = scratch(t);
  const config = await openScratch(place);
  const owner = await actor(t, place);
  const epoch = Number((await owner.do('acquire'))['epoch']);
  chmodSync(place.directory, 0o755);
  chownSync(config.paths.recovery, 65534, 65534);
  t.regex(breakElsewhere(place, {owner: owner.pid, epoch, uid: 65534}), /^ERR_NOT_PERMITTED/);
});

testAsRoot('without the right to trace it says so, says what remains, and changes nothing', async t => {
  const place = scratch(t);
  const config = await openScratch(place);
  const owner = await actor(t, place);
  const epoch = Number((await owner.do('acquire'))['epoch']);
  const record = readFileSync(config.paths.owner, 'utf8');
  const untraced = ['setpriv', '--bounding-set=-sys_ptrace', '--inh-caps=-sys_ptrace'];
  const said = breakElsewhere(place, {owner: owner.pid, epoch, kill: true}, ...untraced);
  t.regex(said, /^ERR_TAKEOVER_REFUSED: .*may not be looked into\. What remains: .*CAP_SYS_PTRACE/);
  t.is(readFileSync(config.paths.owner, 'utf8'), record);
  t.is((await owner.do('release')).error, undefined, 'and its owner lives, although --kill was given');
});

/** An orphan whose guard a program in C holds in its own way. */
async function orphanHeldBy(t: ExecutionContext, program: string, ...args: readonly string[]) {
  const place = scratch(t);
  const config = await openScratch(place);
  const owner = await actor(t, place);
  const epoch = Number((await owner.do('acquire'))['epoch']);
  await owner.kill();
  const stage = {
    directory: place.directory,
    onEnd: (cleanup: () => unknown) => t.teardown(() => void cleanup()),
  };
  const [pid] = await cast(stage, program, config.paths.guard, ...args);
  return {config, owner: owner.pid, epoch, pid};
}

for (const [title, program, args, why] of [
  ['a POSIX lock', 'lock', ['posix', 'exclusive'], /POSIX kind/],
  [
    'a table of descriptors of one thread',
    'thread',
    ['ofd', 'exclusive', 'private'],
    /table that one thread/,
  ],
] as const) {
  test(`a guard held by ${title} can not be taken over: the refusal names the holder, why, and what remains`, async t => {
    const {config, owner, epoch, pid} = await orphanHeldBy(t, program, ...args);
    const error = await t.throwsAsync<LockError>(config.breakGlass({owner, epoch, reason}), {
      code: 'ERR_TAKEOVER_REFUSED',
      message: why,
    });
    t.true(error.pids?.includes(pid));
    t.regex(error.message, /What remains: end that process/);
    t.is(config.bit.read(), 1);
    t.is(config.bit.epoch(), epoch);
  });
}

for (const state of ['living', 'frozen'] as const) {
  test(`kill ends a ${state} owner only once its guard is ours: a contender blocked on it comes last`, async t => {
    const place = scratch(t);
    const config = await openScratch(place);
    const owner = await actor(t, place);
    const epoch = Number((await owner.do('acquire'))['epoch']);
    // A contender of the worst kind: it asks the kernel for the guard, and knows of no gate.
    using own = LockFile.open(config.paths.guard);
    let got = false;
    const contender = own.wait('exclusive').then(() => (got = true));
    while ((await config.examine()).waiters.length === 0);
    if (state === 'frozen') owner.stop();
    const steps: string[] = [];
    const onStep = ({step}: {step: string}) => {
      steps.push(step);
      t.false(got, `not before ${step}`);
      if (step === 'takeover') t.false(owner.ended);
      if (step === 'kill') t.is(examineProcess(config.system, owner.pid).kind === 'running', false);
    };
    const certificate = await config.breakGlass({owner: owner.pid, epoch, reason, kill: true, onStep});
    t.deepEqual(steps.slice(1, 6), ['verdict', 'intent', 'takeover', 'kill', 'hold']);
    t.is(certificate.verdict.state, state === 'frozen' ? 'FROZEN' : 'ALIVE');
    t.true(await contender);
  });
}

test('kill needs an owner that is known', async t => {
  const config = await openScratch(scratch(t));
  writeFileSync(config.bit.path, '1\n');
  const {epoch} = await config.examine();
  await t.throwsAsync(config.breakGlass({owner: 'unknown', epoch: epoch ?? 0, reason, kill: true}), {
    code: 'ERR_ARGUMENT',
    message: /nobody can be ended/,
  });
  t.is(config.bit.read(), 1);
});

const endless = 'an owner that does not end in time keeps nobody out: the lock is an orphan when it does';
testWith(lacksFreezer(FREEZER_V1), endless, async t => {
  const place = scratch(t);
  const config = await openScratch(place);
  const owner = await actor(t, place);
  const epoch = Number((await owner.do('acquire'))['epoch']);
  // A frozen cgroup of version 1 keeps even SIGKILL waiting.
  const {inner} = nestedGroups(t, FREEZER_V1);
  writeFileSync(join(inner, 'cgroup.procs'), String(owner.pid));
  setFrozen(inner, FREEZER_V1, true);
  const refused = config.breakGlass({owner: owner.pid, epoch, reason, kill: true, hold: 300});
  await t.throwsAsync(refused, {
    code: 'ERR_CONTENDED',
    message: /was sent SIGKILL and did not end within 300 ms/,
  });
  t.is(config.bit.epoch(), epoch);
  setFrozen(inner, FREEZER_V1, false);
  await waitForExit(owner.pid);
  t.is((await config.examine()).state, 'DEAD');
  await config.recover();
});
