/** Is everything told that is done to a lock, and before or after it happens? */
import {subscribe, unsubscribe} from 'node:diagnostics_channel';
import {readFileSync} from 'node:fs';
import test, {type ExecutionContext} from 'ava';
import {CHANNEL, type Told} from '../../lib/os/events.js';
import type {GuardedConfig} from '../../lib/recovery/guarded-config.js';
import {actor} from '../helpers/actor.js';
import {NEW, OLD, openScratch, scratch} from '../helpers/scratch.js';

/** What is told of one lock, with what `look` sees at that moment. */
function listen(t: ExecutionContext, config: GuardedConfig, look: () => unknown): [string, unknown][] {
  const heard: [string, unknown][] = [];
  const hear = (message: unknown) => {
    const {lock, event} = message as Told;
    if (lock === config.paths.directory) heard.push([event, look()]);
  };
  subscribe(CHANNEL, hear);
  t.teardown(() => unsubscribe(CHANNEL, hear));
  return heard;
}

test('an update: the bit and the file at each event', async t => {
  const place = scratch(t);
  const config = await openScratch(place);
  const heard = listen(t, config, () => `${config.bit.read()} ${readFileSync(place.file, 'utf8')}`);
  await config.update(() => NEW);
  t.deepEqual(heard, [
    ['entering', `0 ${OLD}`],
    ['entered', `0 ${OLD}`],
    ['acquiring', `0 ${OLD}`],
    ['acquired', `1 ${OLD}`],
    ['committing', `1 ${OLD}`],
    ['committed', `1 ${NEW}`],
    ['releasing', `1 ${NEW}`],
    ['released', `0 ${NEW}`],
    ['leaving', `0 ${NEW}`],
  ]);
});

test('a recovery: bit and epoch at each event', async t => {
  const place = scratch(t);
  const config = await openScratch(place);
  const owner = await actor(t, place);
  await owner.do('acquire');
  await owner.kill();
  const old = config.bit.epoch();
  const heard = listen(t, config, () => `${config.bit.read()} ${config.bit.epoch() - old}`);
  await config.recover();
  t.deepEqual(heard, [
    ['examining', '1 0'],
    ['verdict', '1 0'],
    ['intent', '1 0'],
    ['hold-asked', '1 0'],
    ['hold-acknowledged', '1 0'],
    ['handing-over', '1 0'],
    ['handed-over', '1 1'],
    ['cleaned', '1 1'],
    ['clearing', '1 1'],
    ['cleared', '0 1'],
    ['all-clear', '0 1'],
    ['hold-ending', '0 1'],
  ]);
});
