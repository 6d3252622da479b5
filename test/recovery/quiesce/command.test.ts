/** Are orchestrators stopped by their own commands, in order, and do they go on when anything fails? */
import {execFileSync} from 'node:child_process';
import {existsSync, readFileSync, writeFileSync} from 'node:fs';
import {readFile, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import type {LockError} from '../../../lib/errors.js';
import {native} from '../../../lib/os/native.js';
import {errnoOf} from '../../../lib/os/system-error.js';
import {type GuardedConfig, openConfigLock} from '../../../lib/recovery/guarded-config.js';
import type {QuiesceSpec} from '../../../lib/recovery/quiesce/spec.js';
import {actor} from '../../helpers/actor.js';
import {openScratch, scratch} from '../../helpers/scratch.js';

const LONG = 60_000;
const ESRCH = -errnoOf('ESRCH');

/** Commands that write what they do to a log. */
function logged(t: ExecutionContext) {
  const place = scratch(t);
  const log = join(place.directory, 'log');
  writeFileSync(log, '');
  return {
    place,
    /** What was done until now. */
    done: () => readFileSync(log, 'utf8').trim().split('\n'),
    command: (name: string, stop = 'true', resume = 'true', within = LONG): QuiesceSpec => ({
      kind: 'command',
      stop: `echo stop ${name} >> ${log}; ${stop}`,
      resume: `echo resume ${name} >> ${log}; ${resume}`,
      within,
    }),
  };
}

/** Enters its gate and leaves again. */
async function isOpen(config: GuardedConfig): Promise<boolean> {
  using cycle = await config.tryEnter();
  return cycle !== undefined;
}

function fifo(directory: string, name: string): string {
  const path = join(directory, name);
  execFileSync('mkfifo', [path]);
  return path;
}

test('several are stopped in the order given, each acknowledged, and go on in reverse order', async t => {
  const {place, done, command} = logged(t);
  const config = await openScratch(place);
  const hold = await config.hold({for: LONG, quiesce: [command('a'), command('b'), command('c')]});
  t.deepEqual(done(), ['stop a', 'stop b', 'stop c']);
  t.deepEqual(
    hold.acknowledgements.map(({what}) => what),
    Array<string>(3).fill('it exited with status 0'),
  );
  await hold.release();
  t.deepEqual(done().slice(3), ['resume c', 'resume b', 'resume a']);
});

test('they know the lock and its file', async t => {
  const {place, done, command} = logged(t);
  const tell = `echo "$LOCKSMITH_NAME $LOCKSMITH_FILE" >> ${join(place.directory, 'log')}`;
  await using _ = await (await openScratch(place)).hold({for: LONG, quiesce: [command('a', tell)]});
  t.is(done()[1], `aim_lock_config ${place.file}`);
});

test('nobody is stopped before the room is empty: one that is stopped inside would never leave', async t => {
  const {place, done, command} = logged(t);
  const config = await openScratch(place);
  using _cycle = await config.enter();
  await t.throwsAsync(config.hold({for: 1000, quiesce: [command('a')]}), {code: 'ERR_HOLD_REFUSED'});
  t.deepEqual(done(), ['']);
});

test('one that refuses is resumed, for it may have stopped by half; so are those before it', async t => {
  const {place, done, command} = logged(t);
  const config = await openScratch(place);
  const quiesce = [command('a'), command('b', 'exit 3'), command('c')];
  const error = await t.throwsAsync<LockError>(config.hold({for: LONG, quiesce}), {
    code: 'ERR_QUIESCE_REFUSED',
    message: /could not be stopped: it exited with code 3/,
  });
  t.regex(error.message, /^command "echo stop b/);
  t.deepEqual(done(), ['stop a', 'stop b', 'resume b', 'resume a']);
  t.true(await isOpen(config));
});

test('one that takes longer than its time is killed and resumed', async t => {
  const {place, done, command} = logged(t);
  const quiesce = [command('a', 'sleep 1000', 'true', 300)];
  await t.throwsAsync((await openScratch(place)).hold({for: LONG, quiesce}), {
    code: 'ERR_QUIESCE_REFUSED',
    message: /it took longer than 300 ms and was killed/,
  });
  t.is(done().at(-1), 'resume a');
});

test('the bound of the hold is one for all', async t => {
  const {place, done, command} = logged(t);
  const quiesce = [command('a'), command('b', 'sleep 1000')];
  await t.throwsAsync((await openScratch(place)).hold({for: 2000, quiesce}), {
    code: 'ERR_QUIESCE_REFUSED',
    message: /did not stop before the hold had to end/,
  });
  t.deepEqual(done().toSorted(), ['resume a', 'resume b', 'stop a', 'stop b']);
});

test('a stop that is interrupted by the caller is killed and undone', async t => {
  const {place, done, command} = logged(t);
  const stopping = fifo(place.directory, 'stopping');
  const controller = new AbortController();
  const config = await openScratch(place);
  const asked = config.hold({
    for: LONG,
    signal: controller.signal,
    quiesce: [command('a', `echo $$ > ${stopping}; sleep 1000`)],
  });
  const stop = Number(await readFile(stopping, 'utf8'));
  controller.abort(new Error('enough'));
  await t.throwsAsync(asked, {message: 'enough'});
  t.deepEqual(done(), ['stop a', 'resume a']);
  t.is(native.pidfdOpen(stop), ESRCH);
  t.true(await isOpen(config));
});

test('what does not go on is told, with what to do by hand; the others go on, and the gate opens', async t => {
  const {place, done, command} = logged(t);
  const config = await openScratch(place);
  const quiesce = [
    command('a'),
    command('b', 'true', 'exit 4'),
    command('c', 'true', 'sleep 1000', 300),
    command('d'),
  ];
  const hold = await config.hold({for: LONG, quiesce});
  const error = await t.throwsAsync<LockError>(hold.release(), {code: 'ERR_RESTORE_FAILED'});
  t.like((error as unknown as {failed: object[]}).failed, {
    0: {why: 'it took longer than 300 ms and was killed'},
    1: {why: 'it exited with code 4', byHand: (quiesce[1] as {resume: string}).resume},
    length: 2,
  });
  t.regex(error.message, /by hand: echo resume b/);
  t.deepEqual(done().slice(4), ['resume d', 'resume c', 'resume b', 'resume a']);
  t.true(await isOpen(config));
  await t.notThrowsAsync(hold.release(), 'it is told once');
});

test('refused, and then not restored: the louder of the two, with the other as its cause', async t => {
  const {place, command} = logged(t);
  const error = await t.throwsAsync<LockError>(
    (await openScratch(place)).hold({for: LONG, quiesce: [command('a', 'exit 1', 'exit 2')]}),
    {code: 'ERR_RESTORE_FAILED'},
  );
  t.is((error.cause as LockError).code, 'ERR_QUIESCE_REFUSED');
});

test('its holder is killed while a command stops something: that is ended, and undone', async t => {
  const {place, done, command} = logged(t);
  const stopping = fifo(place.directory, 'stopping');
  const holder = await actor(t, place);
  const quiesce = [command('a'), command('b', `echo > ${stopping}; sleep 1000`)];
  holder.start('hold', {for: LONG, quiesce});
  await readFile(stopping);
  await holder.kill();
  (await (await openScratch(place)).enter()).leave();
  t.deepEqual(done().toSorted(), ['resume a', 'resume b', 'stop a', 'stop b']);
});

test('its holder is killed in the hold: nobody enters before all go on', async t => {
  const {place, done, command} = logged(t);
  const holder = await actor(t, place);
  await holder.do('hold', {for: LONG, quiesce: [command('a'), command('b')]});
  await holder.kill();
  (await (await openScratch(place)).enter()).leave();
  t.deepEqual(done().slice(2).toSorted(), ['resume a', 'resume b']);
});

test('its holder is stopped: all go on at the deadline, once', async t => {
  const {place, done, command} = logged(t);
  const holder = await actor(t, place);
  const resumed = fifo(place.directory, 'resumed');
  const quiesce = [command('a', 'true', `echo > ${resumed}`)];
  t.is((await holder.do('hold', {for: 2000, quiesce})).error, undefined);
  holder.stop();
  await readFile(resumed);
  (await (await openScratch(place)).enter()).leave();
  holder.continue();
  t.is((await holder.do('end-hold')).error, undefined);
  t.deepEqual(done(), ['stop a', 'resume a']);
});

test('two holds never stop orchestrators at once: each would take for stopped what the other lets go on', async t => {
  const {place, done, command} = logged(t);
  const config = await openScratch(place);
  const otherFile = join(place.directory, 'etc', 'other.conf');
  writeFileSync(otherFile, '');
  const other = await openConfigLock(otherFile, place.roots);
  const first = await config.hold({for: LONG, quiesce: [command('a')]});
  const error = await t.throwsAsync<LockError>(other.hold({for: 300, quiesce: [command('b')]}), {
    code: 'ERR_HOLD_REFUSED',
  });
  t.regex(error.message, /has orchestrators stopped for another hold/);
  t.true(await isOpen(other), 'whoever waits for its turn keeps nobody out');
  await (await other.hold({for: LONG})).release();
  const second = other.hold({for: LONG, quiesce: [command('b')]});
  await first.release();
  await (await second).release();
  t.deepEqual(done(), ['stop a', 'resume a', 'stop b', 'resume b']);
});

test('the turn lasts until the last restore has ended, though the gate is open before', async t => {
  const {place, command} = logged(t);
  const config = await openScratch(place);
  const holder = await actor(t, place);
  const go = fifo(place.directory, 'go');
  const quiesce = [command('a', 'true', `read line < ${go}`)];
  t.is((await holder.do('hold', {for: 2000, quiesce})).error, undefined);
  holder.stop();
  (await config.enter()).leave();
  await t.throwsAsync(config.hold({for: 300, quiesce: [command('b')]}), {code: 'ERR_HOLD_REFUSED'});
  await writeFile(go, 'go\n');
  const hold = await config.hold({for: LONG, quiesce: [command('b')]});
  await hold.release();
  holder.continue();
});

test('what can not be an adapter is refused before anything is done', async t => {
  const {place, done, command} = logged(t);
  const config = await openScratch(place);
  for (const within of [0, -1, 1.5, Number.NaN, 86_400_001])
    await t.throwsAsync(config.hold({quiesce: [command('a', 'true', 'true', within)]}), {
      code: 'ERR_ARGUMENT',
    });
  t.deepEqual(done(), ['']);
  t.false(existsSync(join(place.roots.run, 'quiesce')));
});
