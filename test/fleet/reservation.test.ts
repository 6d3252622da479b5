/** Is nothing renamed after a reservation is over, whatever stopped the process in between? */
import {spawnSync} from 'node:child_process';
import {existsSync, mkdirSync, readFileSync, renameSync, writeFileSync} from 'node:fs';
import {dirname, join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {type Fence, Reservation} from '../../lib/fleet/reservation.js';
import {shadowPath} from '../../lib/lock/shadow.js';
import {NEW, OLD, openScratch, scratch} from '../helpers/scratch.js';
import {fixture} from '../helpers/native.js';
import {awaitStopped} from '../helpers/proc-state.js';
import {startProgram} from '../helpers/program.js';
import {lateThen} from '../helpers/late.js';

const AMPLE = 600_000;

function place(t: ExecutionContext) {
  const {directory} = scratch(t);
  const paths = {file: join(directory, 'file'), shadow: join(directory, 'shadow'), gate: join(directory, 'gate')};
  writeFileSync(paths.file, OLD);
  return paths;
}

for (const fence of ['supervisor', 'clock'] as const satisfies Fence[]) {
  test(`within its reservation a node renames what it has confirmed: ${fence}`, async t => {
    const {file, shadow, gate} = place(t);
    const reservation = new Reservation('r1', 'aim', AMPLE);
    t.true(reservation.remaining() > 0);
    await reservation.fenced(fence, {shadow, gate}, async confirm => {
      writeFileSync(shadow, NEW);
      confirm();
      renameSync(shadow, file);
    });
    t.is(readFileSync(file, 'utf8'), NEW);
  });

  test(`a reservation that is over confirms nothing: ${fence}`, async t => {
    const {file, shadow, gate} = place(t);
    const reservation = new Reservation('r1', 'aim', 300);
    const late = reservation.fenced(fence, {shadow, gate}, async confirm => {
      writeFileSync(shadow, NEW);
      await lateThen(() => reservation.remaining() === 0);
      confirm();
      renameSync(shadow, file);
    });
    await t.throwsAsync(late, {code: 'ERR_RESERVATION_OVER', message: /300 ms to apply r1 to aim/});
    t.is(readFileSync(file, 'utf8'), OLD);
    await t.throwsAsync(reservation.fenced(fence, {shadow, gate}, async () => t.fail('it is over')), {
      code: 'ERR_RESERVATION_OVER',
    });
  });
}

test('a rename that comes after the confirmation and after the time finds no source', async t => {
  const {file, shadow, gate} = place(t);
  const reservation = new Reservation('r1', 'aim', 500);
  const late = reservation.fenced('supervisor', {shadow, gate}, async confirm => {
    writeFileSync(shadow, NEW);
    confirm();
    await lateThen(() => !existsSync(shadow));
    renameSync(shadow, file);
  });
  await t.throwsAsync(late, {code: 'ERR_RESERVATION_OVER'});
  t.is(readFileSync(file, 'utf8'), OLD);
});

test('what fails for another reason within the time is told as it is', async t => {
  const {shadow, gate} = place(t);
  const reservation = new Reservation('r1', 'aim', AMPLE);
  const reason = new Error('the disk is full');
  const failing = reservation.fenced('supervisor', {shadow, gate}, async () => {
    throw reason;
  });
  t.is(await t.throwsAsync(failing), reason);
});

test('what failed after its rename is not taken for one that never happened, however late it is', async t => {
  const {file, shadow, gate} = place(t);
  const reservation = new Reservation('r1', 'aim', 300);
  const reason = new Error('the directory could not be synced');
  const failing = reservation.fenced('supervisor', {shadow, gate}, async confirm => {
    writeFileSync(shadow, NEW);
    confirm();
    renameSync(shadow, file);
    await lateThen(() => reservation.remaining() === 0);
    throw reason;
  });
  t.is(await t.throwsAsync(failing), reason);
  t.is(readFileSync(file, 'utf8'), NEW);
});

test('an owner that is stopped right before its rename, over its reservation, renames nothing', async t => {
  const spot = scratch(t);
  const config = await openScratch(spot);
  mkdirSync(spot.roots.state, {recursive: true});
  const gate = join(spot.directory, 'gate');
  const facts = {...spot, content: NEW, gate, milliseconds: 1500};
  const program = startProgram(t, process.execPath, fixture('reserved-update'), JSON.stringify(facts));
  const epoch = Number(await program.line());
  // It stops itself once it has confirmed.
  await awaitStopped(program.pid);
  const shadow = shadowPath(spot.file, epoch);
  await lateThen(() => !existsSync(shadow));
  t.is(readFileSync(spot.file, 'utf8'), OLD);
  t.is((await config.examine()).state, 'FROZEN');
  program.child.kill('SIGCONT');
  t.is(await program.line(), 'ERR_RESERVATION_OVER');
  await program.ended;
  t.is(readFileSync(spot.file, 'utf8'), OLD);
  t.is((await config.examine()).state, 'FREE');
  t.is(spawnSync('ls', ['-A', dirname(spot.file)], {encoding: 'utf8'}).stdout, 'aim_lock_config.conf\n');
});

test('the same owner renames when it goes on in time', async t => {
  const spot = scratch(t);
  await openScratch(spot);
  const facts = {...spot, content: NEW, gate: join(spot.directory, 'gate'), milliseconds: AMPLE};
  const program = startProgram(t, process.execPath, fixture('reserved-update'), JSON.stringify(facts));
  await program.line();
  await awaitStopped(program.pid);
  program.child.kill('SIGCONT');
  t.is(await program.line(), 'updated');
  t.is(readFileSync(spot.file, 'utf8'), NEW);
});
