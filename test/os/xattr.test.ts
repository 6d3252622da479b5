import {join} from 'node:path';
import test from 'ava';
import {native} from '../../lib/os/native.js';
import {ERRNO, open, scratch} from '../helpers/native.js';

test('an attribute is written and read back; a missing one is ENODATA', t => {
  const fd = open(t, join(scratch(t), 'file'));
  const value = Buffer.from('node-7\0 bytes\xff', 'latin1');
  const result = native.setXattr(fd, 'user.locksmith', value);
  if (result === -ERRNO.EOPNOTSUPP) {
    t.log('this file system has no user attributes');
    return;
  }
  t.is(result, 0);
  t.deepEqual(native.getXattr(fd, 'user.locksmith'), value);
  t.is(native.setXattr(fd, 'user.locksmith', Buffer.alloc(0)), 0);
  t.deepEqual(native.getXattr(fd, 'user.locksmith'), Buffer.alloc(0));
  t.is(native.getXattr(fd, 'user.other'), -ERRNO.ENODATA);
});

test('a name without a namespace, or a closed descriptor, is refused', t => {
  const fd = open(t, join(scratch(t), 'file'));
  t.is(native.setXattr(fd, 'plain', Buffer.alloc(1)), -ERRNO.EOPNOTSUPP);
  t.is(native.getXattr(1_000_000, 'user.locksmith'), -ERRNO.EBADF);
});
