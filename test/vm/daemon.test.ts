/** Does the daemon see by the kernel's word alone what no record tells? Bits that strangers set, and their deaths. */
import test from 'ava';
import {AUTOMATIC, daemon} from '../helpers/daemon.js';
import {actor} from '../helpers/actor.js';
import {openScratch} from '../helpers/scratch.js';
import {kernelScratch, shown, Stranger} from './helpers/kernel-lock.js';

test('a bit of a stranger who lives is let be; when he has ended it is recovered at once', async t => {
  const place = kernelScratch(t);
  await openScratch(place);
  const it = await daemon(t, place, {policy: AUTOMATIC});
  const events = await it.listen();
  const stranger = await Stranger.set(t, place);
  for (let bit: unknown; bit !== 1; ) bit = (await events.until('changed', place.name))['bit'];
  t.like(await it.client.examine(place.name), {state: 'ALIVE', owner: null, bit: {owner: {alive: true}}});
  await stranger.kill();
  await events.until('recovered', place.name);
  t.is(shown(place, 'conf_locked'), '0');
  await it.end();
});

test('an owner with a bit in the kernel is seen to die, and its lock recovered', async t => {
  const place = kernelScratch(t);
  await openScratch(place);
  const it = await daemon(t, place, {policy: AUTOMATIC});
  const events = await it.listen();
  const owner = await actor(t, place);
  await owner.do('acquire');
  await owner.kill();
  t.like((await events.until('owner-died', place.name))['owner'], {pid: owner.pid});
  await events.until('recovered', place.name);
  t.is(shown(place, 'conf_locked'), '0');
  await it.end();
});
