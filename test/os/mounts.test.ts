/** Are the mounts of a process read as the kernel means them? */
import {mkdirSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import test from 'ava';
import {deviceOf, readMounts} from '../../lib/os/mounts.js';
import {system} from '../../lib/os/system.js';
import {scratch} from '../helpers/native.js';

const LINES = [
  '21 1 254:0 / / rw,relatime shared:1 master:2 - ext4 /dev/vda rw',
  '22 21 0:33 / /with\\040blank rw - tmpfs  rw,size=4k',
  '23 21 0:34 /part /part rw - cgroup2 a\\040name rw,nsdelegate',
  '24 21 0:35 / /odd rw - fuse.odd name rw,option=two words',
  '',
];

test('a mount is read also when what is mounted has no name, and with options that no one expects', t => {
  const procRoot = scratch(t);
  mkdirSync(join(procRoot, 'self'));
  writeFileSync(join(procRoot, 'self', 'mountinfo'), LINES.join('\n'));
  const mounts = readMounts({...system(), procRoot});
  t.deepEqual(
    Array.from(mounts, ([id, {major, minor, root, point, type}]) => [id, major, minor, root, point, type]),
    [
      [21, 254, 0, '/', '/', 'ext4'],
      [22, 0, 33, '/', '/with blank', 'tmpfs'],
      [23, 0, 34, '/part', '/part', 'cgroup2'],
      [24, 0, 35, '/', '/odd', 'fuse.odd'],
    ],
  );
  t.deepEqual(mounts.get(22)?.options, ['rw', 'size=4k']);
});

test('a device number is taken apart also where its halves do not fit into bytes', t => {
  t.deepEqual(deviceOf(0xfe00n), {major: 254, minor: 0});
  const device = (0x12000n << 32n) | (0x1abn << 8n) | 0xcdn | (0x12345n << 20n);
  t.deepEqual(deviceOf(device), {major: 0x121ab, minor: 0x12345cd});
});
