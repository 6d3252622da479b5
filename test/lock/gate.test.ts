/** Does the gate let a hold in that has shut the door, whoever waits at it? */
import test from 'ava';
import {LockFile} from '../../lib/os/lock-file.js';
import {emptyRoom, isClosed, shutDoor} from '../../lib/lock/gate.js';
import {openScratch, scratch} from '../helpers/scratch.js';

test('who waits at the door of the same process is not in the way of the hold that has shut it', async t => {
  const config = await openScratch(scratch(t));
  const inside = await config.enter();
  using gate = LockFile.open(config.paths.gate);
  await shutDoor(gate);
  const outside = Array.from({length: 3}, () => config.enter());
  const empty = emptyRoom(gate, AbortSignal.timeout(60_000));
  inside.leave();
  await empty;
  using look = LockFile.open(config.paths.gate);
  t.true(isClosed(look));
  gate.unlock();
  for (const cycle of outside) (await cycle).leave();
});
