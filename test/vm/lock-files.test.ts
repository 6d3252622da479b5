/** What do the files of /sys/locks take, from whom, and what do they refuse? */
import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  existsSync,
  openSync,
  readdirSync,
  statSync,
} from 'node:fs';
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {errnoOf} from '../../lib/os/system-error.js';
import {Actor} from './helpers/actor.js';
import {
  create,
  discard,
  get,
  getAgain,
  Lock,
  LOCKS,
  makeLock,
  outcomeOf,
  put,
  remove,
  write,
} from './helpers/locks.js';
import {runProgram} from './helpers/program.js';

const MAX_LOCKS = '/sys/module/locksmith/parameters/max_locks';
const ALICE = [1000, 1000] as const;
const BOB = [1001, 1001] as const;
const NOBODY = [65_534, 65_534] as const;
const LOCKSMITH = 990;

/** Mode, user and group. */
function rights(path: string): string {
  const {mode, uid, gid} = statSync(path);
  return `${(mode & 0o7777).toString(8)} ${uid}:${gid}`;
}

const show = (content: string | Buffer) => JSON.stringify(String(content).slice(0, 40));

const NOT_A_BIT = [
  ['\n', '2', '01', '00', '10', '1 ', ' 1', '\t1', '+1', '-1', '-0', '0x1', 'y', 'on', 'true', 'N', 'one'],
  ['1\n1', '1\n0\n', '0\n\n', '1\n\n', '\n1', '1\r\n', '1\0', '0\0\n', '1\n\0', '\0', '0'.repeat(4096)],
  ['1'.padEnd(4096, '\n'), '18446744073709551617', '٠', '١'],
].flat();

const NOT_A_NUMBER = [
  ['\n', 'x', ' 0', '0 ', '\t0', '-0', '-1', '+0', '+1', '0x0', '0b0', '0.0', '0e0', '0,', 'NaN', '٠'],
  ['0\n0', '0\n\n', '\n0', '0\r\n', '0\0', '0\n\0', '\0', '0'.padEnd(4096, '\n'), '0'.padEnd(4096, 'x')],
].flat();

const OVERFLOWING = ['18446744073709551616', '99999999999999999999', `1${'0'.repeat(4095)}`];

const NOT_A_NAME = [
  ['\n', '.', '..', '.hidden', '_a', '-a', 'a..b', 'a..', '/', 'a/b', '/a', '../a', 'a/', './a', ' a', 'a '],
  [
    'a b',
    'a\tb',
    'a\nb',
    'a\n\n',
    '\na',
    'a\r\n',
    'a\0',
    'a\0b',
    '\0',
    'a*',
    'a\u007F',
    'ä',
    'aä',
    'a:b',
    'a%sb',
  ],
].flat();

test.serial('a new lock is clear, has no owner and epoch 0', t => {
  const lock = makeLock(t);
  t.deepEqual(lock.state, {bit: '0', owner: 'none', epoch: 0});
  t.deepEqual(readdirSync(lock.directory).toSorted(), [
    'conf_locked',
    'epoch',
    'force',
    'handover',
    'owner',
    'release',
  ]);
});

test.serial('a bit is 0 or 1, with or without a newline, and nothing else', t => {
  const lock = makeLock(t);
  for (const one of ['1', '1\n']) {
    t.is(lock.put('conf_locked', one), 'ok');
    t.is(lock.get('conf_locked'), '1');
    t.is(lock.put('conf_locked', one.replace('1', '0')), 'ok');
    t.is(lock.get('conf_locked'), '0');
  }
  for (const held of [false, true]) {
    if (held) t.is(lock.put('conf_locked', '1'), 'ok');
    const before = lock.state;
    for (const content of NOT_A_BIT) t.is(lock.put('conf_locked', content), 'EINVAL', show(content));
    t.deepEqual(lock.state, before);
  }
});

for (const file of ['release', 'handover', 'force'])
  test.serial(`${file} takes the epoch as a decimal number, and nothing else`, t => {
    const lock = makeLock(t);
    for (const held of [false, true]) {
      if (held) t.is(lock.put('conf_locked', '1'), 'ok');
      const before = lock.state;
      for (const content of NOT_A_NUMBER) t.is(lock.put(file, content), 'EINVAL', show(content));
      // Behind the right number as well.
      for (const more of [' ', '\n\n', '\0', '\n1', 'x', '.'])
        t.is(lock.put(file, `${before.epoch}${more}`), 'EINVAL', show(more));
      for (const content of OVERFLOWING) t.is(lock.put(file, content), 'ERANGE', show(content));
      // The largest that fits is a number like others: another epoch.
      t.is(lock.put(file, '18446744073709551615'), 'ESTALE');
      t.deepEqual(lock.state, before);
    }
    t.is(lock.put(file, `${lock.epoch}\n`), 'ok');
  });

for (const name of ['a', '7', 'Z', 'a.b_c-d', 'a.', 'a-', 'A.1.', 'x'.repeat(63), 'aim_lock_config.conf'])
  test.serial(`"${name}" is a name, with or without a newline`, t => {
    for (const written of [name, `${name}\n`]) {
      t.is(create(written), 'ok');
      t.true(existsSync(join(LOCKS, name, 'conf_locked')));
      t.is(create(written), 'EEXIST');
      t.is(remove(written), 'ok');
      t.false(existsSync(join(LOCKS, name)));
      t.is(remove(written), 'ENOENT');
    }
  });

test.serial('what is no name makes no lock and removes none', t => {
  makeLock(t, 'a');
  const before = readdirSync(LOCKS);
  for (const act of [create, remove]) {
    for (const name of [...NOT_A_NAME, Buffer.from([0x61, 0xff]), Buffer.from([0xe4])])
      t.is(act(name), 'EINVAL', show(name));
    for (const name of ['x'.repeat(64), `${'x'.repeat(64)}\n`, 'x'.repeat(4096), '.'.repeat(64)])
      t.is(act(name), 'ENAMETOOLONG', show(name));
  }
  t.deepEqual(readdirSync(LOCKS), before);
});

test.serial('"create" and "remove" are no locks and can be none', t => {
  for (const name of ['create', 'remove', 'create\n', 'remove\n']) {
    t.is(create(name), 'EEXIST');
    t.is(remove(name), 'ENOENT');
  }
  t.true(statSync(join(LOCKS, 'create')).isFile());
});

test.serial('a directory in /sys/locks is made by "create" only', t => {
  const lock = makeLock(t);
  t.not(
    outcomeOf(() => openSync(join(LOCKS, 'file'), 'w')),
    'ok',
  );
  t.is(put(join(LOCKS, 'no-lock', 'conf_locked'), '1'), 'ENOENT');
  t.is(put(lock.at('epoch'), '1'), 'EACCES', 'not by root either');
});

test.serial('there are max_locks locks at most, and 4096 if nothing else is said', async t => {
  const before = get(MAX_LOCKS);
  t.is(before, '4096');
  t.teardown(async () => {
    put(MAX_LOCKS, before);
    await runProgram('many', 'remove', 4097);
  });
  const there = readdirSync(LOCKS, {withFileTypes: true}).filter(entry => entry.isDirectory()).length;
  t.like(await runProgram('many', 'create', 4097), {done: 4096 - there, errno: errnoOf('ENOSPC')});
  t.is(create('one-more'), 'ENOSPC');
  t.is(create('many-0'), 'EEXIST');
  t.is(put(MAX_LOCKS, '4097'), 'ok');
  t.is(create(`many-${4096 - there}`), 'ok');
  t.is(create('one-more'), 'ENOSPC');
  t.is(put(MAX_LOCKS, '3'), 'ok');
  t.is(create('one-more'), 'ENOSPC');
  t.is(new Lock('many-4000').put('conf_locked', '1'), 'ok', 'those that are there stay');
  t.is(new Lock('many-4000').put('conf_locked', '0'), 'ok');
  t.is(remove('many-0'), 'ok');
  t.is(create('one-more'), 'ENOSPC');
  t.is(put(MAX_LOCKS, '4097'), 'ok');
  t.is(create('many-0'), 'ok');
  for (const bad of ['x', '-1', '', '4294967296']) t.not(put(MAX_LOCKS, `${bad}\n`), 'ok', bad);
  t.is(get(MAX_LOCKS), '4097');
});

test.serial('a lock is removed when its bit is clear, not before', async t => {
  const lock = makeLock(t);
  const owner = await Actor.start(t);
  t.is(await owner.put(lock.at('conf_locked'), '1'), 'ok');
  t.is(remove(lock.name), 'EBUSY');
  t.is(await owner.put(join(LOCKS, 'remove'), lock.name), 'EBUSY', 'by its owner');
  await owner.kill();
  const before = lock.state;
  t.is(remove(lock.name), 'EBUSY', 'held by the dead');
  t.deepEqual(lock.state, before);
  t.is(lock.put('conf_locked', '0'), 'ok');
  t.is(remove(lock.name), 'ok');
});

test.serial(
  'what is open of a lock that is removed answers ENODEV, also when there is one of that name again',
  t => {
    const lock = makeLock(t);
    const readable = ['conf_locked', 'owner', 'epoch'].map(file => openSync(lock.at(file), 'r'));
    const writable = ['conf_locked', 'release', 'handover', 'force'].map(file =>
      openSync(lock.at(file), constants.O_WRONLY),
    );
    t.teardown(() => [...readable, ...writable].forEach(fd => closeSync(fd)));
    for (const again of [false, true]) {
      t.is((again ? create : remove)(lock.name), 'ok');
      for (const fd of readable)
        t.is(
          outcomeOf(() => getAgain(fd)),
          'ENODEV',
        );
      for (const fd of writable)
        t.is(
          outcomeOf(() => write(fd, '1')),
          'ENODEV',
        );
    }
    t.deepEqual(lock.state, {bit: '0', owner: 'none', epoch: 0});
  },
);

test.serial('the files have the modes that say who may do what', t => {
  const lock = makeLock(t);
  const modes = (path: string, files: readonly string[]) =>
    Object.fromEntries(files.map(file => [file, rights(join(path, file))]));
  t.deepEqual(modes(LOCKS, ['.', 'create', 'remove']), {
    '.': '755 0:0',
    create: '200 0:0',
    remove: '200 0:0',
  });
  t.deepEqual(modes(lock.directory, ['.', 'conf_locked', 'owner', 'epoch', 'release', 'handover', 'force']), {
    '.': '755 0:0',
    conf_locked: '644 0:0',
    owner: '444 0:0',
    epoch: '444 0:0',
    release: '200 0:0',
    handover: '200 0:0',
    force: '200 0:0',
  });
});

test.serial('a user without rights can look, and do nothing', async t => {
  const lock = makeLock(t);
  t.is(lock.put('conf_locked', '1'), 'ok');
  const nobody = await Actor.start(t);
  await nobody.become(...NOBODY);
  t.is(await nobody.put(join(LOCKS, 'create'), 'mine'), 'EACCES');
  t.is(await nobody.put(join(LOCKS, 'remove'), lock.name), 'EACCES');
  for (const file of ['conf_locked', 'release', 'handover', 'force'])
    t.is(await nobody.put(lock.at(file), '0'), 'EACCES', file);
  t.is(await nobody.get(lock.at('conf_locked')), '1');
  t.is(await nobody.get(lock.at('owner')), `${process.pid} alive`);
  t.is(await nobody.get(lock.at('epoch')), String(lock.epoch));
  t.is(lock.put('conf_locked', '0'), 'ok');
});

/** For the time of a test, the group may create and remove. */
function openToGroup(t: ExecutionContext): void {
  for (const file of ['create', 'remove']) {
    const path = join(LOCKS, file);
    t.teardown(() => {
      chmodSync(path, 0o200);
      chownSync(path, 0, 0);
    });
    chownSync(path, 0, LOCKSMITH);
    chmodSync(path, 0o220);
  }
}

test.serial('who may create has locks of their own, which others can neither use nor remove', async t => {
  openToGroup(t);
  const [alice, bob] = await Promise.all([Actor.start(t), Actor.start(t)]);
  await alice.become(...ALICE, LOCKSMITH);
  await bob.become(...BOB, LOCKSMITH);
  const hers = new Lock('alices');
  t.teardown(() => discard(hers));
  t.is(await alice.put(join(LOCKS, 'create'), hers.name), 'ok');
  for (const file of ['.', ...readdirSync(hers.directory)])
    t.regex(rights(hers.at(file)), / 1000:1000$/, file);

  t.is(await bob.put(hers.at('conf_locked'), '1'), 'EACCES');
  t.is(await bob.put(join(LOCKS, 'remove'), hers.name), 'EPERM');
  t.is(await alice.put(hers.at('conf_locked'), '1'), 'ok');
  t.is(await bob.get(hers.at('owner')), `${alice.pid} alive`);
  t.is(await bob.put(join(LOCKS, 'remove'), hers.name), 'EPERM');
  t.is(await alice.put(hers.at('force'), hers.epoch), 'EPERM', 'break-glass is not for owners of files');
  t.is(await alice.put(hers.at('force'), 0), 'EPERM');
  t.is(await alice.put(hers.at('handover'), hers.epoch), 'ok');
  t.is(await alice.put(hers.at('release'), hers.epoch), 'ok');
  t.is(await alice.put(join(LOCKS, 'remove'), hers.name), 'ok');

  t.is(await alice.put(join(LOCKS, 'create'), hers.name), 'ok');
  t.is(remove(hers.name), 'ok', 'root may remove it');
});

test.serial('the files of a lock can be opened to a group', async t => {
  const lock = makeLock(t);
  const alice = await Actor.start(t);
  await alice.become(...ALICE, LOCKSMITH);
  chownSync(lock.at('conf_locked'), 0, LOCKSMITH);
  t.is(await alice.put(lock.at('conf_locked'), '1'), 'EACCES');
  chmodSync(lock.at('conf_locked'), 0o664);
  t.is(await alice.put(lock.at('conf_locked'), '1'), 'ok');
  t.is(lock.get('owner'), `${alice.pid} alive`);
  t.is(await alice.put(lock.at('release'), lock.epoch), 'EACCES');
  t.is(await alice.put(lock.at('conf_locked'), '0'), 'ok');
});
