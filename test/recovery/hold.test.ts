/** Does a hold stop everything, say so, and end by itself whatever happens to its holder? */
import {existsSync, readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import test from 'ava';
import type {LockError} from '../../lib/errors.js';
import {isClosed} from '../../lib/lock/gate.js';
import {LockFile} from '../../lib/os/lock-file.js';
import {actor} from '../helpers/actor.js';
import {openScratch, scratch} from '../helpers/scratch.js';

test('a hold is granted at once when nobody is inside, and nobody enters while it lasts', async t => {
  const place = scratch(t);
  const config = await openScratch(place);
  const hold = await config.hold({for: 60_000});
  t.true(hold.inForce());
  t.true(hold.remaining() > 50_000);
  t.is(await config.tryEnter(), undefined);
  t.is(await config.tryAcquire(), undefined);
  await hold.release();
  t.false(hold.inForce());
  const cycle = await config.tryEnter();
  t.not(cycle, undefined);
  cycle?.leave();
});

test('a hold waits for a cycle, and its grant is the acknowledgement', async t => {
  const place = scratch(t);
  const config = await openScratch(place);
  const orchestrator = await actor(t, place);
  await orchestrator.do('enter');
  const asked = config.hold({for: 60_000});
  using gate = LockFile.open(config.paths.gate, {flags: 0});
  while (!isClosed(gate)) await new Promise(resolve => setImmediate(resolve));
  t.is(await config.tryEnter(), undefined, 'nobody enters once it is announced');
  await orchestrator.do('leave');
  await using hold = await asked;
  t.true(hold.inForce());
});

test('cycles that overlap all the time do not keep a hold out', async t => {
  const place = scratch(t);
  const config = await openScratch(place);
  const stop = new AbortController();
  const cycles = Array.from({length: 3}, async () => {
    while (!stop.signal.aborted) {
      using _cycle = await config.enter();
      await new Promise(resolve => setImmediate(resolve));
    }
  });
  const hold = await config.hold({for: 30_000});
  t.true(hold.inForce());
  stop.abort();
  await hold.release();
  await Promise.all(cycles);
});

test('a refusal names the pids that did not come to the hold point, and lets everybody in again', async t => {
  const place = scratch(t);
  const config = await openScratch(place);
  const deaf = await actor(t, place);
  await deaf.do('enter');
  const error = await t.throwsAsync<LockError>(config.hold({for: 300}), {code: 'ERR_HOLD_REFUSED'});
  t.deepEqual(error.pids, [deaf.pid]);
  const cycle = await config.tryEnter();
  t.not(cycle, undefined);
  cycle?.leave();
});

test('an owner is inside: its release is what a hold waits for', async t => {
  const place = scratch(t);
  const config = await openScratch(place);
  const owner = await actor(t, place);
  await owner.do('acquire');
  const error = await t.throwsAsync<LockError>(config.hold({for: 300}), {code: 'ERR_HOLD_REFUSED'});
  t.deepEqual(error.pids, [owner.pid]);
});

test('a hold ends at its deadline even when its holder is stopped, and the holder finds out when it wakes', async t => {
  const place = scratch(t);
  const config = await openScratch(place);
  const holder = await actor(t, place);
  await holder.do('hold', {for: 500});
  holder.stop();
  using _cycle = await config.enter();
  t.pass('entered while the holder is stopped');
});

test('inForce is false from the deadline on', async t => {
  const config = await openScratch(scratch(t));
  const hold = await config.hold({for: 200});
  await new Promise<void>(resolve => hold.signal.addEventListener('abort', () => resolve(), {once: true}));
  t.false(hold.inForce());
  t.throws(() => hold.assertInForce(), {code: 'ERR_HOLD_EXPIRED'});
  await hold.release();
});

test('a hold ends with its holder', async t => {
  const place = scratch(t);
  const config = await openScratch(place);
  const holder = await actor(t, place);
  await holder.do('hold', {for: 60_000});
  const entered = config.enter();
  await holder.kill();
  (await entered).leave();
  t.pass();
});

test('a holder who checked, was stopped, and wakes too late changes nothing: its scratch file went before the gate opened', async t => {
  const place = scratch(t);
  const config = await openScratch(place);
  const path = join(place.directory, 'effect');
  const holder = await actor(t, place);
  await holder.do('hold', {for: 2000, fences: [`${path}.scratch`]});
  t.is(
    (await holder.do('prepare-effect', {path})).error,
    undefined,
    'the hold was in force after the file was written',
  );
  holder.stop();
  using _cycle = await config.enter();
  t.false(existsSync(`${path}.scratch`));
  holder.continue();
  t.is((await holder.do('take-effect', {path})).error, 'ENOENT');
  t.false(existsSync(path));
});

test('the fences of a dead holder go before the gate opens, and those of one who let go stay', async t => {
  const place = scratch(t);
  const config = await openScratch(place);
  const path = join(place.directory, 'effect');
  const fences = [`${path}.scratch`];
  writeFileSync(`${path}.scratch`, '');
  await (await config.hold({for: 60_000, fences})).release();
  t.true(existsSync(`${path}.scratch`));
  const holder = await actor(t, place);
  await holder.do('hold', {for: 60_000, fences});
  await holder.kill();
  (await config.enter()).leave();
  t.false(existsSync(`${path}.scratch`));
  await t.throwsAsync(config.hold({fences: ['scratch']}), {code: 'ERR_ARGUMENT'});
});

test('a second hold waits for the first', async t => {
  const config = await openScratch(scratch(t));
  const first = await config.hold({for: 60_000});
  await t.throwsAsync(config.hold({for: 200}), {code: 'ERR_HOLD_REFUSED'});
  const second = config.hold({for: 60_000});
  await first.release();
  await (await second).release();
});

test.serial('no process is left behind by a hold', async t => {
  const config = await openScratch(scratch(t));
  const hold = await config.hold({for: 60_000});
  const children = () => readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').trim();
  t.not(children(), '');
  await hold.release();
  t.is(children(), '');
});

for (const bound of [0, -1, 1.5, Number.NaN, 86_400_001]) {
  test(`a bound of ${bound} ms is refused`, async t => {
    await t.throwsAsync((await openScratch(scratch(t))).hold({for: bound}), {code: 'ERR_ARGUMENT'});
  });
}
