/** Are the lock table and the descriptors brought together rightly? Live processes, and recorded ones for what can't be made. */
import {mkdirSync, readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import test, {type ExecutionContext} from 'ava';
import {findOpeners, surveyFiles, surveyLocks} from '../../lib/os/lock-survey.js';
import {fileId} from '../../lib/os/mounts.js';
import {native} from '../../lib/os/native.js';
import {type System, system} from '../../lib/os/system.js';
import {flock, ofd, open, Remote, scratch, shared} from '../helpers/native.js';

test('a descriptor shows the lock of its own description, and one without a lock is listed as open', async t => {
  const path = join(scratch(t), 'file');
  const remote = await Remote.start(t);
  const theirs = await remote.open(path);
  const ours = open(t, path);
  t.is(await remote.call('setLock', theirs, ofd, shared, 3, 4), 0);
  const id = fileId(system(), path);
  const {locks, descriptors, everywhere} = await surveyLocks(system(), {files: [id], everywhere: true});
  t.true(everywhere);
  t.is(locks.length, 1);
  t.like(locks[0]?.row, {kind: 'OFDLCK', access: 'READ', pid: -1, start: 3n, end: 6n});
  t.like(
    locks[0]?.shownBy.find(({pid}) => pid === remote.pid),
    {fd: theirs, thread: undefined},
  );
  const mine = descriptors.find(({pid, fd}) => pid === process.pid && fd === ours);
  t.like(mine, {inode: id.inode, thread: undefined});
  t.is((mine?.flags ?? 0) & 3, 2, 'open for reading and writing');
  t.regex(readFileSync('/proc/self/mountinfo', 'utf8'), new RegExp(`^${mine?.mountId} `, 'm'));
});

test('the process that the table names settles it, and nobody else is looked at', async t => {
  const path = join(scratch(t), 'file');
  const remote = await Remote.start(t);
  const theirs = await remote.open(path);
  t.is(await remote.call('setLock', theirs, flock, shared, 0, 0), 0);
  const files = [fileId(system(), path)];
  const survey = await surveyLocks(system(), {files});
  t.false(survey.everywhere);
  t.deepEqual(
    survey.locks.flatMap(({shownBy}) => shownBy.map(({pid, fd}) => [pid, fd])),
    [[remote.pid, theirs]],
  );
});

test('an OFD lock names nobody: a likely process settles it, else all are looked at', async t => {
  const path = join(scratch(t), 'file');
  const remote = await Remote.start(t);
  const theirs = await remote.open(path);
  t.is(await remote.call('setLock', theirs, ofd, shared, 0, 0), 0);
  const files = [fileId(system(), path)];
  t.false((await surveyLocks(system(), {files, likely: [remote.pid]})).everywhere);
  t.true((await surveyLocks(system(), {files, likely: [process.pid]})).everywhere);
});

/** As many open file descriptions with shared locks that say the same: their descriptors. */
function lockTwins(t: ExecutionContext, path: string, count: number): number[] {
  const fds = Array.from({length: count}, () => open(t, path));
  for (const fd of fds) if (native.setLock(fd, ofd, shared, 0, 0) !== 0) t.fail(`descriptor ${fd}`);
  return fds;
}

/** For each lock of a file the descriptors of this process that show it. */
async function shownHere(path: string): Promise<number[][]> {
  const {locks} = await surveyLocks(system(), {files: [fileId(system(), path)], everywhere: true});
  return locks.map(({shownBy}) => shownBy.filter(({pid}) => pid === process.pid).map(({fd}) => fd));
}

/** What is wrong with that: each descriptor has a lock of its own. */
function faults(found: number[][], fds: readonly number[]): string[] {
  const shown = found.filter(each => each.length > 0);
  const several = shown.filter(each => each.length > 1).length;
  const missing = fds.filter(fd => !shown.some(each => each.includes(fd))).length;
  // The kernel prints its table page by page: what moves meanwhile because others come and go may stand there twice.
  const nobodys = found.length - shown.length;
  return [
    ...(several > 0 ? [`${several} are shown by several`] : []),
    ...(missing > 0 ? [`${missing} show none`] : []),
    ...(shown.length === fds.length ? [] : [`${shown.length} are shown`]),
    ...(nobodys <= fds.length / 50 ? [] : [`${nobodys} are shown by nobody`]),
  ];
}

test('a thousand shared locks that say the same, of as many open file descriptions, are told apart', async t => {
  const path = join(scratch(t), 'file');
  const fds = lockTwins(t, path, 1000);
  t.deepEqual(faults(await shownHere(path), fds), []);
});

test('they are told apart also while copies of them come and go in children that are just being started', async t => {
  const path = join(scratch(t), 'file');
  const fds = lockTwins(t, path, 100);
  const enough = new AbortController();
  t.teardown(() => enough.abort());
  const starting = Array.from({length: 2}, async () => {
    while (!enough.signal.aborted) await once(spawn('true'), 'close');
  });
  for (let time = 0; time < 100; time++) t.deepEqual(faults(await shownHere(path), fds), []);
  enough.abort();
  await Promise.all(starting);
});

/** The text of an fdinfo file. */
const info = (inode: number, rest = '') => `pos:\t0\nflags:\t02100002\nmnt_id:\t30\nino:\t${inode}\n${rest}`;

/** A recorded procfs: the lock table, and descriptors of processes. */
function recorded(root: string, locks: string, descriptors: Readonly<Record<string, string>>): System {
  writeFileSync(join(root, 'locks'), locks);
  mkdirSync(join(root, 'sys'), {recursive: true});
  mkdirSync(join(root, '13'), {recursive: true}); // has just ended: no fdinfo
  for (const [name, text] of Object.entries(descriptors)) {
    mkdirSync(join(root, name, '..'), {recursive: true});
    writeFileSync(join(root, name), text);
  }
  return {...system(), procRoot: root, ownProc: false};
}

test('what is no process is passed over; a lock of a later kernel is refused, not left out', async t => {
  const root = scratch(t);
  const row = 'FLOCK  ADVISORY  READ 77 00:1a:42 0 EOF';
  const place = recorded(root, `9: ${row}\n`, {
    '12/fdinfo/4': info(42, `lock:\t1: ${row}\n`),
    '12/fdinfo/5': info(98),
  });
  const {locks, unreadable} = await surveyLocks(place);
  t.deepEqual(unreadable, []);
  t.deepEqual(
    locks.map(({shownBy}) => shownBy.map(({pid, fd, flags, mountId}) => ({pid, fd, flags, mountId}))),
    [[{pid: 12, fd: 4, flags: 0o2100002, mountId: 30}]],
    'the table still names the dead taker, pid 77',
  );
  recorded(root, `9: ${row}\n`, {'12/fdinfo/4': info(42, 'lock:\tfrom the future\n')});
  await t.throwsAsync(surveyLocks(place), {code: 'EBADMSG'});
  await t.throwsAsync(surveyLocks({...place, procRoot: `${root}/none`}), {code: 'ENOENT'});
});

test('sockets with descriptors in flight and rings with registered files are told when a lock is shown by nobody', async t => {
  const root = scratch(t);
  const place = recorded(root, '1: OFDLCK ADVISORY  WRITE -1 00:1a:42 0 EOF\n', {
    '12/fdinfo/4': info(7, 'scm_fds: 2\n'),
    '14/fdinfo/5': info(8, 'UserFiles:\t2\n    0: /a\\040b\n    1: <none>\nUserBufs:\t1\n    0: 0x1/2\n'),
  });
  const {places} = await surveyLocks(place);
  t.deepEqual(
    places
      .map(({kind, pid, fd, count, paths}) => ({kind, pid, fd, count, paths: paths.map(String)}))
      .toSorted((a, b) => a.pid - b.pid),
    [
      {kind: 'socket', pid: 12, fd: 4, count: 2, paths: []},
      {kind: 'io_uring', pid: 14, fd: 5, count: 1, paths: ['/a b']},
    ],
  );
});

test('waiters follow the lock that they wait for, also on files that were not asked for', async t => {
  const root = scratch(t);
  const place = recorded(
    root,
    [
      '1: FLOCK  ADVISORY  WRITE 5 00:1a:42 0 EOF',
      '2: FLOCK  ADVISORY  WRITE 6 00:1a:43 0 EOF',
      '2: -> FLOCK  ADVISORY  WRITE 5 00:1a:43 0 EOF',
      '2:  -> FLOCK  ADVISORY  WRITE 7 00:1a:43 0 EOF',
      '3: FLOCK  ADVISORY  WRITE 8 00:1a:44 0 EOF',
      '',
    ].join('\n'),
    {},
  );
  const {locks, elsewhere} = await surveyLocks(place, {files: [{major: 0, minor: 0x1a, inode: 42n}]});
  t.deepEqual(
    locks.map(({row}) => row.pid),
    [5],
  );
  t.deepEqual(
    elsewhere.map(({row, waiting}) => [row.pid, ...waiting.map(({pid, depth}) => `${pid}/${depth}`)]),
    [[6, '5/1', '7/2']],
  );
});

test('arguments that are not what they should be are refused', t => {
  const call = (...given: unknown[]) => (native.surveyLocks as (...all: unknown[]) => number)(...given);
  const [files, likely, done] = [new BigUint64Array(3), new Int32Array(0), () => undefined];
  t.throws(() => call('/proc', 0, [1n, 2n, 3n], likely, done), {message: /files must be a BigUint64Array/});
  t.throws(() => call('/proc', 0, files, [1], done), {message: /likely must be an Int32Array/});
  t.throws(() => call('/proc', 0, new BigUint64Array(2), likely, done), {
    message: /three numbers for each file/,
  });
  t.throws(() => call('/proc', 8, files, likely, done), {message: /flags/});
});

test('many who ask at once who has their files open share looks, and each is told of his own alone', async t => {
  const us = system();
  const directory = scratch(t);
  const paths = Array.from({length: 6}, (_, index) => join(directory, String(index)));
  const held = paths.map((path, index) => {
    writeFileSync(path, '');
    const fd = open(t, path);
    if (index % 2 === 0) t.is(native.setLock(fd, flock, shared, 0, 0), 0);
    return fd;
  });
  const answers = await Promise.all(paths.map(path => findOpeners(us, fileId(us, path))));
  for (const [index, {openers, holding, survey}] of answers.entries()) {
    // A child that is just being started may have copies for a moment.
    const ours = (each: Iterable<{pid: number; fd: number}>) =>
      [...each].filter(({pid}) => pid === process.pid).map(({fd}) => fd);
    t.deepEqual(ours(openers), [held[index]]);
    t.deepEqual(ours(holding), index % 2 === 0 ? [held[index]] : []);
    t.is(survey.locks.length, index % 2 === 0 ? 1 : 0);
  }
  const looks = await Promise.all(
    paths.map(path => surveyFiles(us, [fileId(us, path)], {likely: [process.pid]})),
  );
  t.deepEqual(
    looks.map(({locks}) => locks.length),
    [1, 0, 1, 0, 1, 0],
  );
  const inodes = new Set(paths.map(path => fileId(us, path).inode));
  const waitedFor = looks.flatMap(({elsewhere}) => elsewhere).filter(({row}) => inodes.has(row.inode));
  t.deepEqual(waitedFor, [], 'nobody waits for ours');
});
