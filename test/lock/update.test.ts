/** Is a configuration the old or the new one, whole, whatever goes wrong in an update? */
import {chmodSync, chownSync, readdirSync, readFileSync, statSync, unlinkSync, writeFileSync} from 'node:fs';
import {dirname, join} from 'node:path';
import test from 'ava';
import {STAMP} from '../../lib/lock/update.js';
import {native} from '../../lib/os/native.js';
import {openConfigLock} from '../../lib/recovery/guarded-config.js';
import {testAsRoot} from '../helpers/here.js';
import {NEW, OLD, openScratch, scratch} from '../helpers/scratch.js';
import {tinyFileSystem} from '../helpers/tiny-fs.js';

test('an update replaces the content, keeps the mode, and leaves nothing beside it', async t => {
  const place = scratch(t);
  chmodSync(place.file, 0o640);
  const config = await openScratch(place);
  const {bytes, sha256, epoch} = await config.update(current => {
    t.is(current.toString(), OLD);
    return NEW;
  });
  t.is(readFileSync(place.file, 'utf8'), NEW);
  t.is(statSync(place.file).mode & 0o7777, 0o640);
  t.is(bytes, NEW.length);
  t.regex(sha256, /^[0-9a-f]{64}$/);
  t.deepEqual(readdirSync(dirname(place.file)), ['aim_lock_config.conf']);
  t.is((await config.examine()).state, 'FREE');
  t.is(config.bit.epoch(), epoch);
});

test('the file is stamped with owner, epoch and hash', async t => {
  const place = scratch(t);
  const result = await (await openScratch(place)).update(() => NEW);
  const fd = native.open(place.file, 0, 0);
  const stamp = native.getXattr(fd, STAMP);
  native.close(fd);
  if (!result.stamped) return t.is(typeof stamp, 'number');
  return t.like(JSON.parse(stamp.toString()), {
    lock: 'aim_lock_config',
    pid: process.pid,
    epoch: result.epoch,
    sha256: result.sha256,
  });
});

test('a comment line says who was last, and only who was last', async t => {
  const place = scratch(t);
  const config = await openScratch(place);
  await config.update(() => NEW, {comment: '#'});
  const {epoch} = await config.update(current => current.toString(), {comment: '#'});
  const lines = readFileSync(place.file, 'utf8').split('\n');
  t.is(lines.filter(line => line.startsWith('# last touched by ')).length, 1);
  t.true(lines.at(-2)?.endsWith(`epoch ${epoch}`));
});

test('a validator sees the whole shadow, and its refusal leaves the old file', async t => {
  const place = scratch(t);
  const config = await openScratch(place);
  const refuse = (shadow: string) => {
    t.is(readFileSync(shadow, 'utf8'), NEW);
    t.is(readFileSync(place.file, 'utf8'), OLD);
    throw new Error('gain is too high');
  };
  const error = await t.throwsAsync(
    config.update(() => NEW, {validate: refuse}),
    {code: 'ERR_VALIDATION', message: /gain is too high/},
  );
  t.like(error?.cause, {message: 'gain is too high'});
  t.is(readFileSync(place.file, 'utf8'), OLD);
  t.deepEqual(readdirSync(dirname(place.file)), ['aim_lock_config.conf']);
  t.is((await config.examine()).state, 'FREE');
});

test('a maker of content that throws changes nothing', async t => {
  const place = scratch(t);
  const config = await openScratch(place);
  await t.throwsAsync(
    config.update(() => {
      throw new Error('no idea');
    }),
    {message: 'no idea'},
  );
  t.is(readFileSync(place.file, 'utf8'), OLD);
  t.is((await config.examine()).state, 'FREE');
});

test('an update that is aborted before its rename changes nothing', async t => {
  const place = scratch(t);
  const config = await openScratch(place);
  const end = new AbortController();
  const reason = new Error('enough');
  const error = await t.throwsAsync(
    config.update(() => NEW, {signal: end.signal, validate: () => end.abort(reason)}),
  );
  t.is(error, reason);
  t.is(readFileSync(place.file, 'utf8'), OLD);
  t.is((await config.examine()).state, 'FREE');
});

test('a file that goes away meanwhile is an error, and the lock is free', async t => {
  const place = scratch(t);
  const config = await openScratch(place);
  unlinkSync(place.file);
  await t.throwsAsync(
    config.update(() => NEW),
    {code: 'ENOENT'},
  );
  t.is((await config.examine()).state, 'FREE');
});

test('a hundred updates at once lose none', async t => {
  const place = scratch(t);
  writeFileSync(place.file, '0');
  const config = await openScratch(place);
  await Promise.all(Array.from({length: 100}, () => config.update(current => String(Number(current) + 1))));
  t.is(readFileSync(place.file, 'utf8'), '100');
});

testAsRoot('owner and group of the file are kept', async t => {
  const place = scratch(t);
  chownSync(place.file, 4242, 4343);
  await (await openScratch(place)).update(() => NEW);
  t.like(statSync(place.file), {uid: 4242, gid: 4343});
});

testAsRoot('a full disk refuses the update, and the old file stays whole', async t => {
  const place = scratch(t);
  const file = join(tinyFileSystem.mount(t, '256k'), 'aim_lock_config.conf');
  writeFileSync(file, OLD);
  const config = await openConfigLock(file, place.roots);
  await t.throwsAsync(
    config.update(() => Buffer.alloc(1 << 20, 'x')),
    {code: 'ENOSPC'},
  );
  t.is(readFileSync(file, 'utf8'), OLD);
  t.deepEqual(readdirSync(dirname(file)), ['aim_lock_config.conf']);
  t.is((await config.examine()).state, 'FREE');
});

testAsRoot('a read-only file system refuses the update, and the lock is free', async t => {
  const place = scratch(t);
  const mount = tinyFileSystem.mount(t, '256k');
  const file = join(mount, 'aim_lock_config.conf');
  writeFileSync(file, OLD);
  const config = await openConfigLock(file, place.roots);
  tinyFileSystem.remount(mount, 'ro');
  await t.throwsAsync(
    config.update(() => NEW),
    {code: 'EROFS', message: /aim_lock_config/},
  );
  t.is(readFileSync(file, 'utf8'), OLD);
  t.is((await config.examine()).state, 'FREE');
});
