/** Is a cgroup frozen by the kernel's word, and does it go on whatever happens to the one who froze it? */
import {execFileSync} from 'node:child_process';
import {existsSync, mkdirSync, readFileSync, readlinkSync, rmdirSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import type {LockError} from '../../../lib/errors.js';
import {LockFile} from '../../../lib/os/lock-file.js';
import {readMounts} from '../../../lib/os/mounts.js';
import {readSystem} from '../../../lib/os/system.js';
import type {QuiesceSpec} from '../../../lib/recovery/quiesce/spec.js';
import {actor} from '../../helpers/actor.js';
import {
  cgroup,
  freeze,
  goesOn,
  inside,
  isFrozen,
  noCgroups,
  read,
  startOrchestrator,
  until,
} from '../../helpers/cgroup.js';
import {testWith} from '../../helpers/here.js';
import {openScratch, type Scratch, scratch} from '../../helpers/scratch.js';

const LONG = 60_000;
const freezer = (directory: string): QuiesceSpec => ({kind: 'freezer', cgroup: directory});
const title = (directory: string) => `freezer ${directory}`;

const v1 = [...readMounts(readSystem()).values()].find(
  ({type, options}) => type === 'cgroup' && options.includes('freezer'),
)?.point;

/** Puts a process where the freezer of version 2 doesn't reach it: into a frozen cgroup of version 1. */
function withhold(t: ExecutionContext, pid: number): {yield(): void} {
  const directory = join(v1 ?? '', `locksmith-quiesce-${pid}`);
  mkdirSync(directory);
  const set = (state: 'FROZEN' | 'THAWED') => writeFileSync(join(directory, 'freezer.state'), state);
  writeFileSync(join(directory, 'cgroup.procs'), String(pid));
  set('FROZEN');
  t.teardown(() => {
    set('THAWED');
    if (existsSync(`/proc/${pid}`)) writeFileSync(join(v1 ?? '', 'cgroup.procs'), String(pid));
    rmdirSync(directory);
  });
  return {yield: () => set('THAWED')};
}

/** The supervisor of a hold: the child of its holder that shares the gate. */
function supervisorOf(holder: number, {roots}: Scratch): number {
  const gate = join(roots.run, 'locks/aim_lock_config/gate');
  const children = readFileSync(`/proc/${holder}/task/${holder}/children`, 'utf8').trim().split(' ');
  // One that has just ended has no descriptors any more.
  const shares = (child: string) =>
    existsSync(`/proc/${child}/fd/0`) && readlinkSync(`/proc/${child}/fd/0`) === gate;
  return Number(children.find(shares));
}

/** A holder in a process of its own, and an orchestrator that never asks. */
async function scene(t: ExecutionContext): Promise<{
  place: Scratch;
  directory: string;
  orchestrator: Awaited<ReturnType<typeof startOrchestrator>>;
  holder: Awaited<ReturnType<typeof actor>>;
}> {
  const place = scratch(t);
  const directory = cgroup(t);
  const orchestrator = await startOrchestrator(t, directory);
  return {place, directory, orchestrator, holder: await actor(t, place)};
}

testWith(
  noCgroups,
  'it stands still while the hold lasts, by the word of the kernel, and runs afterwards',
  async t => {
    const directory = cgroup(t);
    const orchestrator = await startOrchestrator(t, directory);
    const config = await openScratch(scratch(t));
    const hold = await config.hold({for: LONG, quiesce: [freezer(directory)]});
    t.true(isFrozen(directory));
    t.like(hold.acknowledgements[0], {adapter: title(directory), what: 'cgroup.events says frozen 1'});
    t.true((hold.acknowledgements[0]?.after ?? -1) >= 0);
    t.true(hold.inForce());
    await hold.release();
    t.is(read(directory, 'cgroup.freeze'), '0');
    await goesOn(orchestrator);
  },
);

testWith(noCgroups, 'what was frozen before us stays frozen after us', async t => {
  const directory = cgroup(t);
  await startOrchestrator(t, directory);
  freeze(directory, '1');
  await until(directory, 'frozen 1');
  const config = await openScratch(scratch(t));
  const hold = await config.hold({for: LONG, quiesce: [freezer(directory)]});
  t.is(hold.acknowledgements[0]?.what, 'somebody else has stopped it, and it stays so');
  await hold.release();
  t.is(read(directory, 'cgroup.freeze'), '1');
  t.true(isFrozen(directory));
});

testWith(
  noCgroups,
  'frozen only by a parent, it is frozen itself as well, for the parent may thaw; and only that is undone',
  async t => {
    const parent = cgroup(t);
    const directory = cgroup(t, parent);
    await startOrchestrator(t, directory);
    freeze(parent, '1');
    await until(directory, 'frozen 1');
    const config = await openScratch(scratch(t));
    const hold = await config.hold({for: LONG, quiesce: [freezer(directory)]});
    freeze(parent, '0');
    await until(parent, 'frozen 0');
    t.true(isFrozen(directory));
    freeze(parent, '1');
    await hold.release();
    t.is(read(directory, 'cgroup.freeze'), '0');
    t.is(read(parent, 'cgroup.freeze'), '1');
    t.true(isFrozen(directory));
  },
);

testWith(
  noCgroups,
  'a cgroup that has us in it, or below it, is refused before anything is changed',
  async t => {
    const parent = cgroup(t);
    const directory = cgroup(t, parent);
    const place = scratch(t);
    const holder = await actor(t, place, inside(directory));
    for (const wanted of [parent, directory]) {
      const {error, message} = await holder.do('hold', {for: LONG, quiesce: [freezer(wanted)]});
      t.is(error, 'ERR_QUIESCE_REFUSED');
      t.regex(String(message), /this very process is in it/);
      t.is(read(wanted, 'cgroup.freeze'), '0');
    }
    const sibling = cgroup(t, parent);
    t.is((await holder.do('hold', {for: LONG, quiesce: [freezer(sibling)]})).error, undefined);
  },
);

testWith(noCgroups, 'what is no cgroup with a freezer is refused, and the gate is open again', async t => {
  const place = scratch(t);
  const config = await openScratch(place);
  const root = [...readMounts(config.system).values()].find(({type}) => type === 'cgroup2')?.point ?? '';
  const like = join(place.directory, 'like');
  mkdirSync(like);
  writeFileSync(join(like, 'cgroup.freeze'), '0\n');
  for (const directory of [like, place.directory, '/none', root])
    await t.throwsAsync(config.hold({for: LONG, quiesce: [freezer(directory)]}), {
      code: 'ERR_QUIESCE_REFUSED',
      message: /not the directory of a cgroup v2/,
    });
  t.is(readFileSync(join(like, 'cgroup.freeze'), 'utf8'), '0\n');
  (await config.enter()).leave();
  await t.throwsAsync(config.hold({quiesce: [freezer('')]}), {code: 'ERR_ARGUMENT'});
});

const noV1 = noCgroups ?? (v1 === undefined ? 'a freezer of cgroup v1' : undefined);

testWith(noV1, 'one that does not freeze is named, thawed, and the hold refused', async t => {
  const directory = cgroup(t);
  const orchestrator = await startOrchestrator(t, directory);
  const stuck = await startOrchestrator(t, directory);
  const deaf = withhold(t, stuck.pid);
  const config = await openScratch(scratch(t));
  const error = await t.throwsAsync<LockError>(config.hold({for: 2000, quiesce: [freezer(directory)]}), {
    code: 'ERR_QUIESCE_REFUSED',
  });
  t.deepEqual(error.pids, [stuck.pid]);
  t.is(read(directory, 'cgroup.freeze'), '0');
  await goesOn(orchestrator);
  (await config.enter()).leave();
  deaf.yield();
  await goesOn(stuck);
});

testWith(noV1, 'an acknowledgement that comes late is one', async t => {
  const directory = cgroup(t);
  const orchestrator = await startOrchestrator(t, directory);
  const late = withhold(t, orchestrator.pid);
  const config = await openScratch(scratch(t));
  const asked = config.hold({for: LONG, quiesce: [freezer(directory)]});
  await untilToldToFreeze(directory);
  t.false(isFrozen(directory));
  late.yield();
  const hold = await asked;
  t.true(isFrozen(directory));
  await hold.release();
  await goesOn(orchestrator);
});

/** The kernel announces when something stands still, not when it is told to. */
async function untilToldToFreeze(directory: string): Promise<void> {
  while (read(directory, 'cgroup.freeze') !== '1') await new Promise(resolve => setImmediate(resolve));
}

testWith(
  noCgroups,
  'an orchestrator that is killed in the hold, and its cgroup removed, is nothing to restore',
  async t => {
    const parent = cgroup(t);
    const directory = join(parent, 'aim');
    mkdirSync(directory);
    const orchestrator = await startOrchestrator(t, directory);
    const config = await openScratch(scratch(t));
    const hold = await config.hold({for: LONG, quiesce: [freezer(directory)]});
    await orchestrator.kill();
    await until(directory, 'populated 0');
    rmdirSync(directory);
    await t.notThrowsAsync(hold.release());
  },
);

// --- the dead man's switch ---

testWith(noCgroups, 'killed before it orders anything: nothing was frozen', async t => {
  const {place, directory, orchestrator, holder} = await scene(t);
  const config = await openScratch(place);
  const cycle = await config.enter();
  holder.start('hold', {for: LONG, quiesce: [freezer(directory)]});
  using gate = LockFile.open(config.paths.gate, {flags: 0});
  while (gate.test('shared', {start: 0, length: 1}) === undefined)
    await new Promise(resolve => setImmediate(resolve));
  await holder.kill();
  cycle.leave();
  (await config.enter()).leave();
  t.is(read(directory, 'cgroup.freeze'), '0');
  await goesOn(orchestrator);
});

testWith(noV1, 'killed after the effect, before the acknowledgement: thawed', async t => {
  const {place, directory, orchestrator, holder} = await scene(t);
  const other = await startOrchestrator(t, directory);
  const late = withhold(t, other.pid);
  holder.start('hold', {for: LONG, quiesce: [freezer(directory)]});
  await untilToldToFreeze(directory);
  await holder.kill();
  const config = await openScratch(place);
  (await config.enter()).leave();
  t.is(read(directory, 'cgroup.freeze'), '0');
  await goesOn(orchestrator);
  late.yield();
  await goesOn(other);
});

testWith(noCgroups, 'killed in the hold: it runs again before anybody enters', async t => {
  const {place, directory, orchestrator, holder} = await scene(t);
  t.is((await holder.do('hold', {for: LONG, quiesce: [freezer(directory)]})).error, undefined);
  t.true(isFrozen(directory));
  await holder.kill();
  const config = await openScratch(place);
  (await config.enter()).leave();
  t.is(read(directory, 'cgroup.freeze'), '0');
  await goesOn(orchestrator);
});

testWith(noCgroups, 'killed while it restores: the rest is restored too', async t => {
  const {place, directory, orchestrator, holder} = await scene(t);
  const fifo = join(place.directory, 'fifo');
  execFileSync('mkfifo', [fifo]);
  const slow = {kind: 'command', stop: 'true', resume: `echo resuming > ${fifo}`, within: LONG};
  await holder.do('hold', {for: LONG, quiesce: [freezer(directory), slow]});
  holder.start('end-hold');
  // The command can't go on before this reads, and restores go in reverse order: the freezer is yet to come.
  const supervisor = supervisorOf(holder.pid, place);
  while (readFileSync(`/proc/${supervisor}/task/${supervisor}/children`, 'utf8') === '')
    await new Promise(resolve => setImmediate(resolve));
  t.true(isFrozen(directory));
  await holder.kill();
  t.is(readFileSync(fifo, 'utf8'), 'resuming\n');
  const config = await openScratch(place);
  (await config.enter()).leave();
  t.is(read(directory, 'cgroup.freeze'), '0');
  await goesOn(orchestrator);
});

testWith(
  noCgroups,
  'its holder is stopped: it runs again at the deadline, and stays so when the holder wakes',
  async t => {
    const {place, directory, orchestrator, holder} = await scene(t);
    t.is((await holder.do('hold', {for: 1500, quiesce: [freezer(directory)]})).error, undefined);
    t.true(isFrozen(directory));
    holder.stop();
    const config = await openScratch(place);
    (await config.enter()).leave();
    t.is(read(directory, 'cgroup.freeze'), '0');
    await goesOn(orchestrator);
    // By now somebody else may have frozen it, and a holder who wakes late must not thaw that.
    freeze(directory, '1');
    holder.continue();
    t.is((await holder.do('end-hold')).error, undefined);
    t.is(read(directory, 'cgroup.freeze'), '1');
  },
);

testWith(
  noCgroups,
  'signals do not end the supervisor; killed, it is replaced by another that restores',
  async t => {
    const directory = cgroup(t);
    const orchestrator = await startOrchestrator(t, directory);
    const place = scratch(t);
    const config = await openScratch(place);
    const hold = await config.hold({for: LONG, quiesce: [freezer(directory)]});
    const supervisor = supervisorOf(process.pid, place);
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGPIPE'] as const)
      process.kill(supervisor, signal);
    t.true(hold.inForce());
    const noticed = new Promise(resolve => hold.signal.addEventListener('abort', resolve, {once: true}));
    process.kill(supervisor, 'SIGKILL');
    await noticed;
    t.false(hold.inForce());
    t.throws(() => hold.assertInForce(), {code: 'ERR_HOLD_EXPIRED'});
    t.true(isFrozen(directory));
    t.is(await config.tryEnter(), undefined, 'the gate is still shut by its holder');
    await hold.release();
    t.is(read(directory, 'cgroup.freeze'), '0');
    await goesOn(orchestrator);
    (await config.enter()).leave();
  },
);

test.after.always('no supervisor is left', t => {
  const children = readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').trim().split(' ');
  t.deepEqual(
    children.filter(pid => pid !== '' && readFileSync(`/proc/${pid}/comm`, 'utf8') === 'locksmith-hold\n'),
    [],
  );
});
