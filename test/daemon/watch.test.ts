/** Does the daemon see each owner's death, and nothing but deaths, and does about an orphan what the policy says? Real owners, real signals. */
import {renameSync, rmSync} from 'node:fs';
import {dirname} from 'node:path';
import test from 'ava';
import {Deaths} from '../../lib/daemon/deaths.js';
import {WatchedLock} from '../../lib/daemon/watched-lock.js';
import {actor} from '../helpers/actor.js';
import {makeLocks, Owners} from '../helpers/daemon-runs.js';
import {AUTOMATIC, daemon, MANUAL, startDaemon, writePolicy} from '../helpers/daemon.js';
import {stopProcess} from '../helpers/proc-state.js';
import {NEW, OLD, openScratch, scratch} from '../helpers/scratch.js';

const NAME = 'aim_lock_config';

test('an owner that is killed is seen, and its lock recovered by policy, with a certificate', async t => {
  const place = scratch(t);
  const config = await openScratch(place);
  const made = await daemon(t, place, {policy: AUTOMATIC});
  const owner = await actor(t, place);
  await owner.do('begin-update', {content: NEW});
  const events = await made.listen();
  await owner.kill();
  const death = await events.until('owner-died', NAME);
  t.like(death['owner'], {pid: owner.pid});
  t.deepEqual(death['ending'], {signal: 'SIGKILL', coreDumped: false});
  const {certificate} = (await events.until('recovered', NAME)) as {certificate: Record<string, unknown>};
  t.like(certificate, {lock: NAME, forced: false, by: {pid: made.pid}});
  t.is((await config.read()).toString(), OLD);
  t.like(await made.client.examine(NAME), {state: 'FREE', hot: false});
  const audit = await made.client.audit();
  t.deepEqual(
    audit.map(({event}) => event),
    ['recover.intent', 'all-clear'],
  );
  t.is(audit.at(-1)?.hash, (certificate['audit'] as {hash: string}).hash);
});

test('an orphan that the policy leaves to people is reported once, and stays until somebody recovers it', async t => {
  const place = scratch(t);
  await openScratch(place);
  const made = await daemon(t, place, {policy: MANUAL, options: ['--sweep', '50ms']});
  const owner = await actor(t, place);
  await owner.do('acquire');
  const events = await made.listen();
  await owner.kill();
  t.like(await events.until('orphan', NAME), {lock: NAME});
  for (let sweep = 0; sweep < 3; sweep++) await events.until('swept');
  for (const once of ['orphan', 'owner-died'])
    t.is(events.seen.filter(({event}) => event === once).length, 1, once);
  t.is(events.seen.filter(({event}) => event === 'recovering').length, 0);
  t.like(await made.client.examine(NAME), {state: 'DEAD'});
  const certificate = await made.client.recover(NAME, {reason: 'by hand'});
  t.regex(certificate.reason, /^by hand \(asked for by uid \d+, pid \d+\)$/);
  t.like(await made.client.examine(NAME), {state: 'FREE'});
});

test('who gave the lock back, is stopped, or has another name now, is not taken for dead', async t => {
  const place = scratch(t);
  await openScratch(place);
  const made = await daemon(t, place, {policy: AUTOMATIC, options: ['--sweep', '50ms']});
  const events = await made.listen();
  const owner = await actor(t, place);
  await owner.do('acquire');
  await owner.do('rename');
  owner.stop();
  for (let sweep = 0; sweep < 3; sweep++) await events.until('swept');
  t.like(await made.client.examine(NAME), {state: 'FROZEN', owner: {pid: owner.pid}});
  owner.continue();
  await owner.do('release');
  await owner.kill();
  for (let sweep = 0; sweep < 3; sweep++) await events.until('swept');
  t.deepEqual(
    events.seen.filter(({event}) => event === 'owner-died' || event === 'recovering'),
    [],
  );
  t.like(await made.client.examine(NAME), {state: 'FREE'});
});

test('what happened while no daemon ran is found before the next one says that it is ready', async t => {
  const place = scratch(t);
  const config = await openScratch(place);
  const first = await daemon(t, place, {policy: AUTOMATIC});
  const owner = await actor(t, place);
  await owner.do('acquire');
  await first.kill();
  await owner.kill();
  t.is(config.bit.read(), 1);
  const second = await daemon(t, place, {policy: AUTOMATIC});
  t.is(config.bit.read(), 0);
  t.like(await second.client.status(), {locks: 1, hot: 0, recovering: 0});
});

test('a ghost that must wait for a contender keeps no other one, and the daemon gets ready', async t => {
  const place = scratch(t);
  const [first, last] = await makeLocks(place, 2);
  t.truthy(first && last);
  const owners = new Owners(t, place);
  for (const config of [first, last]) if (config) await owners.kill((await owners.own(config)).pid);
  const writer = await actor(t, {...place, file: first?.file ?? ''});
  await writer.do('open-for-writing');
  const it = await daemon(t, place, {policy: 'locks:\n  "*":\n    recover: automatic\n    hold: 5s\n'});
  t.deepEqual(
    (await it.client.locks()).map(({state}) => state),
    ['DEAD', 'FREE'],
  );
});

test('a daemon that comes later sees the death of an owner that it finds', async t => {
  const place = scratch(t);
  await openScratch(place);
  const owner = await actor(t, place);
  await owner.do('acquire');
  await (await daemon(t, place, {policy: AUTOMATIC})).kill();
  const made = await daemon(t, place, {policy: AUTOMATIC});
  const events = await made.listen();
  await owner.kill();
  t.like((await events.until('owner-died', NAME))['owner'], {pid: owner.pid});
  await events.until('recovered', NAME);
});

test('locks that come, go, and are made anew are watched', async t => {
  const place = scratch(t);
  const made = await daemon(t, place, {policy: AUTOMATIC});
  t.deepEqual(await made.client.locks(), []);
  const events = await made.listen();
  const config = await openScratch(place);
  t.like(await events.until('appeared', NAME), {file: place.file});
  const {directory} = config.paths;
  renameSync(directory, `${dirname(dirname(directory))}/gone`);
  await events.until('disappeared', NAME);
  t.deepEqual(await made.client.locks(), []);
  rmSync(`${place.roots.bits}/${NAME}`, {recursive: true});
  await openScratch(place);
  await events.until('appeared', NAME);
  const owner = await actor(t, place);
  await owner.do('acquire');
  await owner.kill();
  await events.until('recovered', NAME);
});

test('a lock that was removed and made anew while nobody looked is another one', async t => {
  const place = scratch(t);
  const {directory} = (await openScratch(place)).paths;
  const made = await daemon(t, place, {policy: AUTOMATIC});
  const events = await made.listen();
  stopProcess(made.pid);
  renameSync(directory, `${dirname(dirname(directory))}/gone`);
  rmSync(`${place.roots.bits}/${NAME}`, {recursive: true});
  await openScratch(place);
  made.started.child.kill('SIGCONT');
  t.like(await events.until('appeared', NAME), {file: place.file});
  const owner = await actor(t, place);
  await owner.do('acquire');
  await owner.kill();
  await events.until('recovered', NAME);
  t.like(await made.client.examine(NAME), {state: 'FREE'});
});

test('a lock whose bit was gone for a while is watched again when it is back', async t => {
  const place = scratch(t);
  const config = await openScratch(place);
  const bit = config.bit.directory;
  renameSync(bit, `${bit}.away`);
  const made = await daemon(t, place, {policy: AUTOMATIC, options: ['--sweep', '50ms']});
  const events = await made.listen();
  t.like(await made.client.examine(NAME), {state: 'UNKNOWN', bit: {value: null}});
  for (let sweep = 0; sweep < 3; sweep++) await events.until('swept');
  renameSync(`${bit}.away`, bit);
  while ((await made.client.examine(NAME)).state !== 'FREE');
  const troubles = /^locksmith_troubles_total (\d+)$/m.exec(await made.client.metrics())?.[1];
  t.is(troubles, '1', 'told once');
  const owner = await actor(t, place);
  await owner.do('acquire');
  await owner.kill();
  t.like(await events.until('owner-died', NAME), {lock: NAME});
  await events.until('recovered', NAME);
});

test('a policy that is changed is read at SIGHUP; one with a fault leaves the old one in force', async t => {
  const place = scratch(t);
  await openScratch(place);
  const made = await daemon(t, place, {policy: MANUAL});
  const owner = await actor(t, place);
  await owner.do('acquire');
  const events = await made.listen();
  await owner.kill();
  await events.until('orphan', NAME);
  writePolicy(place, 'locks: [');
  made.started.child.kill('SIGHUP');
  t.regex(String((await events.until('policy'))['problem']), /all\.yaml/);
  t.regex(String((await made.client.status()).policy.problem), /all\.yaml/);
  t.like(await made.client.examine(NAME), {state: 'DEAD'});
  writePolicy(place, AUTOMATIC);
  made.started.child.kill('SIGHUP');
  t.is((await events.until('policy'))['problem'], null);
  await events.until('recovered', NAME);
  t.is((await made.client.status()).policy.problem, null);
});

test('a policy with a fault at the start, and a second daemon, are refused', async t => {
  const place = scratch(t);
  const broken = await startDaemon(t, place, {policy: 'locks: ['}).ended;
  t.is(broken.code, 2);
  t.regex(broken.stderr, /all\.yaml/);
  const first = await daemon(t, place);
  const second = await startDaemon(t, place).ended;
  t.is(second.code, 75);
  t.regex(second.stderr, new RegExp(`pid ${first.pid} .*is the daemon of`));
  t.like(await first.client.status(), {pid: first.pid});
});

test('a recovery that is refused is tried again with the next sweep', async t => {
  const place = scratch(t);
  await openScratch(place);
  const made = await daemon(t, place, {
    policy: 'locks:\n  "*":\n    recover: automatic\n    hold: 2s\n',
    options: ['--sweep', '100ms'],
  });
  const writer = await actor(t, place);
  await writer.do('open-for-writing');
  const owner = await actor(t, place);
  await owner.do('acquire');
  const events = await made.listen();
  await owner.kill();
  const {error} = (await events.until('recovery-refused', NAME)) as {error: {code: string}};
  t.is(error.code, 'ERR_CONTENDED');
  await writer.do('close-file');
  await events.until('recovered', NAME);
});

test('of a recovery that is refused half the way it is known how far it came, also when nobody listens', async t => {
  const place = scratch(t);
  const config = await openScratch(place);
  const owner = await actor(t, place);
  await owner.do('acquire');
  const epoch = config.bit.epoch() + 1;
  await owner.kill();
  const policy = 'locks:\n  "*":\n    recover: automatic\n    validate: "false"\n';
  const made = await daemon(t, place, {policy});
  t.like((await made.client.locks())[0], {state: 'DEAD', epoch, hot: true});
});

test('what ends while it looks watches nobody afterwards: nothing would let the process end', async t => {
  const place = scratch(t);
  const config = await openScratch(place);
  const owner = await actor(t, place);
  await owner.do('acquire');
  const heard: string[] = [];
  const hear = (what: string) => () => void heard.push(what);
  const listener = {
    changed: hear('changed'),
    ownerDied: hear('died'),
    abandoned: hear('abandoned'),
    examined: hear('examined'),
    failed: hear('failed'),
  };
  const deaths = new Deaths(config.system, error => t.fail(String(error)));
  const lock = new WatchedLock(config, deaths, listener);
  t.is(deaths.size, 1);
  const looking = lock.examine();
  lock[Symbol.dispose]();
  t.is((await looking).state, 'ALIVE');
  lock.look();
  t.is(deaths.size, 0);
  t.deepEqual(heard, ['changed']);
});

test('a daemon that is told to end in the middle of a sweep ends', async t => {
  const place = scratch(t);
  const owners = new Owners(t, place);
  for (const config of await makeLocks(place, 20)) await owners.own(config);
  const it = await daemon(t, place, {options: ['--sweep', '1ms']});
  t.is((await it.end()).code, 0);
});
