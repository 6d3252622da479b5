/** What does the daemon do when the machine does not do as it should? Nothing is lost, nothing lasts too long, and it goes on afterwards. */
import {connect, type Socket} from 'node:net';
import {execFileSync} from 'node:child_process';
import {once} from 'node:events';
import {chmodSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import test from 'ava';
import {monotonic} from '../../lib/os/deadline.js';
import {actor} from '../helpers/actor.js';
import {AUTOMATIC, daemon} from '../helpers/daemon.js';
import {Owners} from '../helpers/daemon-runs.js';
import {testAsRoot} from '../helpers/here.js';
import {compileShared} from '../helpers/native.js';
import {stopProcess} from '../helpers/proc-state.js';
import {openScratch, scratch} from '../helpers/scratch.js';
import {tinyFileSystem} from '../helpers/tiny-fs.js';

const NAME = 'aim_lock_config';

test('a daemon that was stopped for a while misses nothing, and no hold of its outlives its bound', async t => {
  const place = scratch(t);
  const config = await openScratch(place);
  const it = await daemon(t, place, {policy: AUTOMATIC});
  const events = await it.listen();
  const owner = await actor(t, place);
  await owner.do('acquire');
  await events.until('changed', NAME);
  stopProcess(it.pid);
  await owner.kill();
  t.is(config.bit.read(), 1);
  it.started.child.kill('SIGCONT');
  await events.until('recovered', NAME);
  const bound = 500;
  const start = monotonic();
  await it.client.hold({lock: NAME, for: bound});
  stopProcess(it.pid);
  (await config.enter()).leave();
  // By its supervisor; it may ring a little early.
  t.true(monotonic() - start > bound - 50);
  it.started.child.kill('SIGCONT');
  t.like(await events.until('hold-ended', NAME), {why: 'deadline'});
  t.deepEqual(await it.client.holds(), []);
});

test('a clock that jumps by an hour, forwards and back, changes no verdict, no bound and no order of epochs', async t => {
  const place = scratch(t);
  const config = await openScratch(place);
  const offset = join(place.directory, 'offset');
  writeFileSync(offset, '0');
  const preload = [process.env['LD_PRELOAD'], compileShared(t, 'jumping-clock')].filter(Boolean).join(':');
  const it = await daemon(t, place, {
    policy: AUTOMATIC,
    options: ['--sweep', '100ms'],
    env: {LD_PRELOAD: preload, CLOCK_OFFSET: offset},
  });
  const events = await it.listen();
  let epoch = config.bit.epoch();
  for (const jump of [3600, -3600, 0]) {
    const owner = await actor(t, place);
    await owner.do('acquire');
    writeFileSync(offset, String(jump));
    await events.until('swept');
    await events.until('swept');
    t.like(await it.client.examine(NAME), {state: 'ALIVE', owner: {pid: owner.pid}});
    const told = Date.parse((await it.client.locks())[0]?.examined ?? '');
    t.true(Math.abs(told - Date.now() - jump * 1000) < 60_000, 'it does believe in that clock');
    await owner.kill();
    const {certificate} = (await events.until('recovered', NAME)) as {certificate: {epochs: {after: number}}};
    t.true(certificate.epochs.after > epoch);
    epoch = certificate.epochs.after;
    const start = monotonic();
    await it.client.hold({lock: NAME, for: 300});
    await events.until('hold-ended', NAME);
    t.true(monotonic() - start > 250);
  }
});

test('a daemon out of descriptors goes on when there are some again', async t => {
  const place = scratch(t);
  await openScratch(place);
  const it = await daemon(t, place, {policy: AUTOMATIC});
  execFileSync('prlimit', [`--pid=${it.pid}`, '--nofile=64:64']);
  const sockets = Array.from({length: 200}, () => connect(it.client.socket));
  t.teardown(() => sockets.forEach(socket => socket.destroy()));
  for (const socket of sockets) socket.on('error', () => undefined);
  await Promise.all(
    sockets.map((socket: Socket) => Promise.race([once(socket, 'connect'), once(socket, 'close')])),
  );
  const owner = await actor(t, place);
  await owner.do('acquire');
  await owner.kill();
  for (const socket of sockets) socket.destroy();
  const events = await it.listen();
  const state = () => it.client.examine(NAME).then(verdict => verdict.state);
  if ((await state()) !== 'FREE') {
    it.started.child.kill('SIGHUP');
    await events.until('recovered', NAME);
  }
  t.is(await state(), 'FREE');
  t.like(await it.client.status(), {pid: it.pid});
});

testAsRoot('with no room for the audit nothing is recovered, and it is when there is room again', async t => {
  const base = tinyFileSystem.mount(t, '512k');
  const made = scratch(t);
  const place = {...made, roots: {...made.roots, state: join(base, 'state')}};
  const config = await openScratch(place);
  const it = await daemon(t, place, {policy: AUTOMATIC, options: ['--sweep', '100ms']});
  const events = await it.listen();
  const owner = await actor(t, place);
  await owner.do('acquire');
  writeFileSync(join(base, 'filler'), Buffer.alloc(500 * 1024), {flag: 'w'});
  try {
    for (;;) writeFileSync(join(base, 'filler'), Buffer.alloc(4096), {flag: 'a'});
  } catch (error) {
    t.is((error as NodeJS.ErrnoException).code, 'ENOSPC');
  }
  await owner.kill();
  const {error} = (await events.until('recovery-refused', NAME)) as {error: {code: string}};
  t.is(error.code, 'ERR_AUDIT_REFUSED');
  t.is(config.bit.read(), 1);
  writeFileSync(join(base, 'filler'), '');
  await events.until('recovered', NAME);
  t.is(config.bit.read(), 0);
});

/** Another user, and a /proc that hides the processes of others from him. */
const BLINDFOLD = [
  'unshare',
  '--mount',
  'sh',
  '-c',
  'mount -t proc -o hidepid=2 locksmith-test /proc && exec setpriv --reuid 65534 --regid 65534 --clear-groups "$@"',
  'sh',
];

testAsRoot(
  'a daemon from which /proc hides the owner knows by its pidfd that it lives, and when it ends',
  async t => {
    const place = scratch(t);
    const config = await openScratch(place);
    const owners = new Owners(t, place);
    const {pid} = await owners.own(config);
    execFileSync('chown', ['-R', '65534:65534', place.directory]);
    chmodSync(place.directory, 0o755);
    const it = await daemon(t, place, {policy: AUTOMATIC, under: BLINDFOLD});
    const events = await it.listen();
    const {state, owner, complete} = await it.client.examine(NAME);
    t.deepEqual([state, owner?.pid, complete], ['ALIVE', pid, false]);
    t.is(config.bit.read(), 1);
    await owners.kill(pid);
    t.like(await events.until('owner-died', NAME), {owner: {pid}});
    const {certificate} = await events.until('recovered', NAME);
    t.like(certificate, {by: {uid: 65_534}, verdict: {state: 'DEAD'}});
    t.is(config.bit.read(), 0);
  },
);
