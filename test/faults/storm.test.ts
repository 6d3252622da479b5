/** What if a thousand wait for a lock that is taken back? The recovery comes through, and all get in afterwards, in each process in the order in which they asked. */
import test, {type ExecutionContext} from 'ava';
import {isLockError} from '../../lib/errors.js';
import {listLocks} from '../../lib/os/lock-table.js';
import type {GuardedConfig} from '../../lib/recovery/guarded-config.js';
import type {Certificate, OnStep} from '../../lib/recovery/take-back.js';
import type {Verdict} from '../../lib/recovery/verdict.js';
import {actor} from '../helpers/actor.js';
import {fixture} from '../helpers/native.js';
import {Peer} from '../helpers/peer.js';
import {openScratch, type Scratch, scratch} from '../helpers/scratch.js';

const PROCESSES = 10;
const WAITERS = 100;
const IN_ORDER = `done ${Array.from({length: WAITERS}, (_, index) => index).join()}`;

async function gather(t: ExecutionContext, place: Scratch): Promise<Peer[]> {
  const peers = Array.from(
    {length: PROCESSES},
    () => new Peer(process.execPath, fixture('storm'), JSON.stringify(place)),
  );
  for (const peer of peers) t.teardown(() => peer.child.kill('SIGKILL'));
  for (const peer of peers) t.is(await peer.line(), 'ready');
  return peers;
}

async function askAll(t: ExecutionContext, peers: readonly Peer[]): Promise<void> {
  for (const peer of peers) peer.tell(`ask ${WAITERS}`);
  for (const peer of peers) t.is(await peer.line(), 'asked');
}

/** Again while others pass through the guard: then nobody can say that the owner is dead. */
async function recover(config: GuardedConfig, onStep: OnStep): Promise<Certificate> {
  for (;;) {
    try {
      return await config.recover({onStep});
    } catch (error) {
      const state = isLockError(error, 'ERR_NOT_DEAD') ? (error.verdict as Verdict).state : undefined;
      if (state !== 'ALIVE' && state !== 'UNKNOWN') throw error;
    }
  }
}

async function allGetIn(t: ExecutionContext, config: GuardedConfig, peers: readonly Peer[]): Promise<void> {
  for (const peer of peers) t.is(await peer.line(), IN_ORDER);
  t.is((await config.examine()).state, 'FREE');
}

test('1,000 who wait while the owner dies and is recovered', async t => {
  const place = scratch(t);
  const config = await openScratch(place);
  const owner = await actor(t, place);
  await owner.do('acquire');
  const peers = await gather(t, place);
  await askAll(t, peers);
  // One of each process stands before the guard.
  while (
    (await listLocks({path: config.paths.guard})).locks.flatMap(({waiters}) => waiters).length < PROCESSES
  );
  await owner.kill();
  const {drained, took} = await recover(config, () => undefined);
  t.log(`recovered in ${Math.round(took)} ms, ${drained.length} times somebody was in the way`);
  await allGetIn(t, config, peers);
});

test('1,000 who come in the middle of a recovery', async t => {
  const place = scratch(t);
  const config = await openScratch(place);
  const owner = await actor(t, place);
  await owner.do('acquire');
  await owner.kill();
  const peers = await gather(t, place);
  let asked: Promise<void> | undefined;
  await config.recover({
    onStep({step}) {
      if (step === 'hold') asked = askAll(t, peers);
    },
    // With the lock in our hands, until all have asked and nobody of them is before the guard.
    async validate() {
      await asked;
      t.deepEqual(
        peers.map(({answers}) => answers),
        peers.map(() => 0),
      );
    },
  });
  await allGetIn(t, config, peers);
});
