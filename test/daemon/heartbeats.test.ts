/** Is an owner that is late seen as such, and nothing taken from it for that? */
import test from 'ava';
import {DaemonClient} from '../../lib/daemon/client.js';
import {actor} from '../helpers/actor.js';
import {AUTOMATIC, daemon} from '../helpers/daemon.js';
import {openScratch, scratch} from '../helpers/scratch.js';

const NAME = 'aim_lock_config';

test('an owner that gets on is no suspect; one that does not, or is stopped, is, until it goes on; it keeps its lock', async t => {
  const place = scratch(t);
  await openScratch(place);
  const it = await daemon(t, place, {policy: AUTOMATIC});
  const {client} = it;
  const events = await it.listen();
  const owner = await actor(t, place);
  const {epoch} = await owner.do('acquire');
  await events.until('changed');
  t.is((await client.locks())[0]?.liveness, null);
  // It is late with its progress again and again, and each time no longer.
  const until = async (late: string | null) => {
    while ((await events.until('suspect', NAME))['late'] !== late);
  };
  await owner.do('beat', {socket: client.socket, every: 1000, progressEvery: 400});
  await until('progress');
  await owner.do('progress');
  await until(null);
  owner.stop();
  await until('heartbeat');
  t.is((await client.locks())[0]?.liveness?.suspect, 'heartbeat');
  t.like(await client.examine(NAME), {state: 'FROZEN', epoch});
  owner.continue();
  await owner.do('progress');
  await until(null);
  t.like(await client.examine(NAME), {state: 'ALIVE', epoch});
  t.deepEqual(
    events.seen.filter(({event}) => event === 'recovering'),
    [],
  );
  await owner.do('release');
  while ((await events.until('changed', NAME))['bit'] !== 0);
  t.is((await client.locks())[0]?.liveness, null);
});

test('a daemon that comes later knows who had registered, and misses the beats that do not come', async t => {
  const place = scratch(t);
  await openScratch(place);
  const first = await daemon(t, place);
  const owner = await actor(t, place);
  const events = await first.listen();
  await owner.do('acquire');
  await owner.do('beat', {socket: first.client.socket, every: 200});
  await events.until('suspect', NAME);
  owner.stop();
  await first.kill();
  const second = await daemon(t, place);
  t.not((await second.client.locks())[0]?.liveness, null);
  const later = await second.listen();
  const late = (await second.client.locks())[0]?.liveness?.suspect;
  t.is(late ?? (await later.until('suspect', NAME))['late'], 'heartbeat');
});

test('nobody beats for another, for another epoch, or for a lock that nobody owns', async t => {
  const place = scratch(t);
  const config = await openScratch(place);
  const {client} = await daemon(t, place);
  const beat = {every: 1000, progress: 1};
  await t.throwsAsync(client.beat(NAME, {...beat, epoch: config.bit.epoch()}), {code: 'ERR_OWNER_CHANGED'});
  const owner = await actor(t, place);
  const {epoch} = (await owner.do('acquire')) as unknown as {epoch: number};
  await client.examine(NAME);
  await t.throwsAsync(client.beat(NAME, {...beat, epoch}), {
    code: 'ERR_NOT_PERMITTED',
    message: /is not the owner/,
  });
  await t.throwsAsync(client.beat(NAME, {...beat, epoch: epoch - 1}), {code: 'ERR_OWNER_CHANGED'});
  await t.throwsAsync(new DaemonClient(`${client.socket}.none`).beat(NAME, {...beat, epoch}), {
    code: 'ERR_NO_DAEMON',
  });
});
