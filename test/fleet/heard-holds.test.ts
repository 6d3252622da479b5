/** Is each hold held once, for no longer than when it was first heard of? */
import {writeFileSync} from 'node:fs';
import {join} from 'node:path';
import test from 'ava';
import type {FleetHold} from '../../lib/fleet/documents.js';
import {HeardHolds} from '../../lib/fleet/heard-holds.js';
import {readSystem} from '../../lib/os/system.js';
import {type Ends, scratch} from '../helpers/scratch.js';

const DAY = 86_400_000;

function holdOf(id: string, at = Date.now()): FleetHold {
  return {
    v: 1,
    kind: 'hold',
    id,
    fleet: 'test',
    lock: 'l',
    where: {},
    for: 60_000,
    within: 1000,
    reason: '',
    by: {node: 'n', uid: 0, pid: 1},
    at: new Date(at).toISOString(),
  };
}

function fileOf(t: Ends): string {
  return join(scratch(t).directory, 'fleet', 'holds.json');
}

test('a hold that is heard of again, also by the next process, lasts no longer than at first', async t => {
  const path = fileOf(t);
  const first = await new HeardHolds(path, readSystem()).hear(holdOf('a'), 60_000);
  t.true(first > 0 && first <= 60_000);
  const again = await new HeardHolds(path, readSystem()).hear(holdOf('a'), 120_000);
  t.true(again > 0 && again < first);
  const shorter = await new HeardHolds(path, readSystem()).hear(holdOf('a'), 10_000);
  t.true(shorter <= 10_000);
});

test('one whose time is over, that was ended, or that was heard of before the machine was started, is refused', async t => {
  const path = fileOf(t);
  const heard = new HeardHolds(path, readSystem());
  await heard.hear(holdOf('a'), 0);
  await heard.hear(holdOf('c'), 60_000);
  await heard.end('c');
  await t.throwsAsync(new HeardHolds(path, readSystem()).hear(holdOf('c'), 60_000), {code: 'ERR_REPLAY'});
  await t.throwsAsync(new HeardHolds(path, readSystem()).hear(holdOf('a'), 60_000), {code: 'ERR_REPLAY'});
  await new HeardHolds(path, readSystem()).hear(holdOf('b'), 60_000);
  const rebooted = new HeardHolds(path, readSystem({bootId: 'another'}));
  await t.throwsAsync(rebooted.hear(holdOf('b'), 60_000), {code: 'ERR_REPLAY'});
});

test('one that was asked for more than a day before its end is refused, and one of a clock that is ahead is not', async t => {
  const heard = new HeardHolds(fileOf(t), readSystem());
  await t.throwsAsync(heard.hear(holdOf('a', Date.now() - DAY - 61_000), 60_000), {code: 'ERR_REPLAY'});
  t.true((await heard.hear(holdOf('b', Date.now() - DAY + 60_000), 60_000)) > 0);
  t.true((await heard.hear(holdOf('c', Date.now() + 10 * DAY), 60_000)) > 0);
});

test('what is no longer remembered is refused by its age', async t => {
  const path = fileOf(t);
  const {bootId} = readSystem();
  const now = Date.now();
  await new HeardHolds(path, readSystem()).hear(holdOf('a', now - 5000), 1);
  const holds = Array.from({length: 1000}, (_, index) => ({
    id: `h${index}`,
    at: new Date(now - 4000 + index).toISOString(),
    bootId,
    until: 0,
  }));
  writeFileSync(path, JSON.stringify({v: 1, forgotten: null, holds}));
  const heard = new HeardHolds(path, readSystem());
  t.true((await heard.hear(holdOf('new', now), 60_000)) > 0);
  await t.throwsAsync(heard.hear(holdOf('h0', now - 4000), 60_000), {code: 'ERR_REPLAY'});
  await t.throwsAsync(heard.hear(holdOf('a', now - 5000), 60_000), {code: 'ERR_REPLAY'});
  t.true((await heard.hear(holdOf('newer', now + 1), 60_000)) > 0);
});

test('a memory that can not be read holds nothing', async t => {
  const path = fileOf(t);
  await new HeardHolds(path, readSystem()).hear(holdOf('a'), 60_000);
  writeFileSync(path, '{');
  const refused = await t.throwsAsync(new HeardHolds(path, readSystem()).hear(holdOf('b'), 60_000), {
    code: 'ERR_REPLAY',
  });
  t.regex(String(refused), /holds\.json can not be read/);
});
