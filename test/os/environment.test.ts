/** Does what belongs to a JavaScript environment end with it, and nothing else? */
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {join} from 'node:path';
import {text} from 'node:stream/consumers';
import {Worker} from 'node:worker_threads';
import test, {type ExecutionContext} from 'ava';
import {native} from '../../lib/os/native.js';
import type {Ending} from '../fixtures/lock-wait-worker.js';
import {ERRNO, exclusive, fixture, ofd, open, openTimes, scratch, unlock} from '../helpers/native.js';

/** Starts a worker that holds one lock and waits for another, which we hold. */
async function startWorker(t: ExecutionContext, ending: Ending) {
  const directory = scratch(t);
  const held = join(directory, 'held');
  const taken = join(directory, 'taken');
  const holder = open(t, taken);
  const other = open(t, held);
  t.is(native.setLock(holder, ofd, exclusive, 0, 0), 0);
  const worker = new Worker(fixture('lock-wait-worker'), {workerData: {held, taken, ending}});
  const ended = new Promise(resolve => worker.once('exit', resolve));
  worker.on('error', () => undefined);
  // Not once(): it rejects when the worker throws.
  t.is(await new Promise(resolve => worker.once('message', resolve)), 'waits');
  return {worker, ended, other, holder};
}

for (const ending of ['stay', 'exit', 'throw', 'spin'] as const)
  test(`a worker that ends by ${ending === 'stay' ? 'terminate()' : ending} gives back its locks, its wait ends`, async t => {
    const {worker, ended, other, holder} = await startWorker(t, ending);
    if (ending === 'stay') t.is(native.setLock(other, ofd, exclusive, 0, 0), -ERRNO.EAGAIN);
    if (ending === 'spin') t.is((await once(worker, 'message'))[0], -ERRNO.ECANCELED);
    if (ending === 'stay' || ending === 'spin') await worker.terminate();
    await ended;
    t.is(native.setLock(other, ofd, exclusive, 0, 0), 0);
    t.is(native.setLock(holder, ofd, unlock, 0, 0), 0);
    t.is(native.setLock(holder, ofd, exclusive, 0, 0), 0, 'nobody waits for it any more');
  });

test('the addon may be loaded by one worker after another, and by the main thread never', async t => {
  const directory = scratch(t);
  const script = `
    const {once} = require('node:events');
    const {Worker} = require('node:worker_threads');
    (async () => {
      for (let round = 0; round < 5; round++) {
        const workerData = {held: 'held', taken: 'taken', ending: 'stay'};
        const worker = new Worker(${JSON.stringify(fixture('lock-wait-worker'))}, {workerData});
        // All at once: the last message and the exit come in one turn of the loop.
        const messages = [];
        worker.on('message', message => messages.push(message));
        await once(worker, 'exit');
        console.log(messages.join());
      }
    })();`;
  const child = spawn(process.execPath, ['-e', script], {
    cwd: directory,
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: 30_000,
  });
  t.is(await text(child.stdout), 'waits,0\n'.repeat(5), 'each got the lock, and ended when its wait had');
  if (child.exitCode === null) await once(child, 'exit');
  t.is(child.exitCode, 0);
});

test('only descriptors that this environment opened are closed', t => {
  const [fd] = openTimes(t, 1);
  t.is(native.close(0), -ERRNO.EBADF);
  t.is(native.close(fd), 0);
  t.is(native.close(fd), -ERRNO.EBADF);
});
