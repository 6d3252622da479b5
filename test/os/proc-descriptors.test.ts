/** Who has a file open, which locks do those descriptors hold, and who could not be asked? */
import {mkdirSync, readFileSync, statSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import test from 'ava';
import {type DescriptorScan, native} from '../../lib/os/native.js';
import {ERRNO, ofd, open, Remote, scratch, shared} from '../helpers/native.js';

const find = (root: string, ...inodes: bigint[]) =>
  new Promise<DescriptorScan>((resolve, reject) => {
    const done = (result: DescriptorScan | number) =>
      typeof result === 'number' ? reject(new Error(String(result))) : resolve(result);
    native.findDescriptors(root, inodes, done);
  });

test('findDescriptors tells who has a file open, and the locks of each description', async t => {
  const path = join(scratch(t), 'file');
  const remote = await Remote.start(t);
  const theirs = await remote.open(path);
  const ours = open(t, path);
  t.is(await remote.call('setLock', theirs, ofd, shared, 3, 4), 0);
  const {ino} = statSync(path, {bigint: true});
  const {rows} = await find('/proc', ino);
  t.is(rows.length, 2);
  const mine = rows.find(row => row.pid === process.pid);
  t.like(mine, {fd: ours, inode: ino, locks: []});
  const other = rows.find(row => row.pid === remote.pid);
  t.like(other, {fd: theirs, inode: ino});
  t.like(other?.locks[0], {kind: 'OFDLCK', access: 'READ', start: 3n, end: 6n});
  t.is((other?.flags ?? 0) & 3, 2, 'open for reading and writing');
  t.regex(readFileSync('/proc/self/mountinfo', 'utf8'), new RegExp(`^${mine?.mountId} `, 'm'));
});

/** The text of an fdinfo file. */
const info = (inode: number, lock = '') => `pos:\t0\nflags:\t02100002\nmnt_id:\t30\nino:\t${inode}\n${lock}`;

test('findDescriptors reads a recorded proc, and passes over what is not a process', async t => {
  const root = scratch(t);
  mkdirSync(join(root, '12', 'fdinfo'), {recursive: true});
  mkdirSync(join(root, 'sys'));
  mkdirSync(join(root, '13')); // has just ended: no fdinfo
  writeFileSync(
    join(root, '12', 'fdinfo', '4'),
    info(99, 'lock:\t2: FLOCK  ADVISORY  READ 77 00:1a:42 0 EOF\n'),
  );
  writeFileSync(join(root, '12', 'fdinfo', '5'), info(98));
  const {rows, unreadable} = await find(root, 99n, 100n);
  t.deepEqual(unreadable, []);
  t.is(rows.length, 1);
  t.like(rows[0], {pid: 12, fd: 4, inode: 99n, mountId: 30, flags: 0o2100002});
  t.is(rows[0]?.locks.length, 1);

  writeFileSync(join(root, '12', 'fdinfo', '4'), info(99, 'lock:\tfrom the future\n'));
  await t.throwsAsync(find(root, 99n), {message: String(-ERRNO.EBADMSG)});
  await t.throwsAsync(find(`${root}/none`, 99n), {message: String(-ERRNO.ENOENT)});
});
