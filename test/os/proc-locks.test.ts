/** Is the lock table read as the kernel means it? Recorded rows of all kinds, garbage, and the live table. */
import {constants, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import test from 'ava';
import {LockFile} from '../../lib/os/lock-file.js';
import {listLocks} from '../../lib/os/lock-table.js';
import {type LockRow, native} from '../../lib/os/native.js';
import {ourselves} from '../../lib/os/process.js';
import {system} from '../../lib/os/system.js';
import {errnoOf} from '../../lib/os/system-error.js';
import {scratch} from '../helpers/scratch.js';

function parse(text: string): readonly LockRow[] | number {
  return native.parseLocks(Buffer.from(text));
}

const ROWS: [string, string, Partial<LockRow>][] = [
  [
    'a flock',
    '1: FLOCK  ADVISORY  WRITE 4711 fe:00:2146335 0 EOF\n',
    {
      id: 1,
      depth: 0,
      kind: 'FLOCK',
      access: 'WRITE',
      pid: 4711,
      major: 0xfe,
      minor: 0,
      inode: 2146335n,
      start: 0n,
      end: undefined,
    },
  ],
  [
    'an OFD lock',
    '2: OFDLCK ADVISORY  READ -1 08:1f:12 10 19\n',
    {kind: 'OFDLCK', access: 'READ', pid: -1, major: 8, minor: 0x1f, inode: 12n, start: 10n, end: 19n},
  ],
  [
    'a waiter',
    '2: -> OFDLCK ADVISORY  WRITE -1 08:01:12 0 EOF\n',
    {id: 2, depth: 1, kind: 'OFDLCK', pid: -1},
  ],
  [
    'a waiter behind a waiter',
    '3:  -> POSIX  ADVISORY  WRITE 99 08:01:12 0 0\n',
    {id: 3, depth: 2, kind: 'POSIX', pid: 99, end: 0n},
  ],
  [
    'a lease',
    '4: LEASE  ACTIVE    READ 1234 00:2f:77 0 EOF\n',
    {kind: 'LEASE', mode: 'ACTIVE', access: 'READ'},
  ],
  [
    'a lease that is being broken',
    '5: LEASE  BREAKING  UNLCK 1234 00:2f:77 0 EOF\n',
    {kind: 'LEASE', mode: 'BREAKING', access: 'UNLCK'},
  ],
  ['a delegation', '6: DELEG  ACTIVE    READ 1 00:2f:77 0 EOF\n', {kind: 'DELEG'}],
  [
    'a huge range and a huge inode',
    '7: POSIX  ADVISORY  WRITE 1 103:02:18446744073709551615 1 9223372036854775806\n',
    {major: 0x103, inode: 18446744073709551615n, start: 1n, end: 9223372036854775806n},
  ],
  ['a lock without a file', '8: POSIX  ADVISORY  WRITE 5 <none>:0 0 EOF\n', {major: 0, minor: 0, inode: 0n}],
  ['an owner that can not be seen', '9: POSIX  ADVISORY  WRITE 0 08:01:5 0 EOF\n', {pid: 0}],
];

for (const [what, text, expected] of ROWS) {
  test(`${what} is read`, t => {
    const rows = parse(text);
    if (typeof rows === 'number') return t.fail(`errno ${rows}`);
    t.is(rows.length, 1);
    t.like(rows[0], expected);
    return t.is(rows[0]?.end, expected.end ?? rows[0]?.end);
  });
}

test('many rows keep their order', t => {
  const rows = parse(
    Array.from(
      {length: 10_000},
      (_, index) => `${index}: FLOCK  ADVISORY  WRITE ${index} fe:00:${index} 0 EOF\n`,
    ).join(''),
  );
  if (typeof rows === 'number') return t.fail(`errno ${rows}`);
  t.is(rows.length, 10_000);
  return t.true(rows.every(({id}, index) => id === index));
});

test('an empty table has no rows', t => t.deepEqual(parse(''), []));

for (const garbage of [
  'nonsense\n',
  '1: FLOCK\n',
  '1: FLOCK ADVISORY WRITE x fe:00:1 0 EOF\n',
  '1: FLOCK ADVISORY WRITE 1 fe:00 0 EOF\n',
  '1: FLOCK ADVISORY WRITE 1 fe:00:1 0 EOF more\n',
  ': FLOCK ADVISORY WRITE 1 fe:00:1 0 EOF\n',
  '1: FLOCK ADVISORY WRITE 1 zz:00:1 0 EOF\n',
]) {
  test(`${JSON.stringify(garbage)} is refused, not guessed`, t => {
    t.is(parse(garbage), -errnoOf('EBADMSG'));
  });
}

test('the live table shows a lock that was just taken, with its holder and its range', async t => {
  const path = join(scratch(t).directory, 'file');
  using file = LockFile.open(path, {flags: constants.O_RDWR | constants.O_CREAT});
  file.try('exclusive', {start: 3, length: 4});
  const {locks} = await listLocks({path});
  t.like(locks, {length: 1});
  t.like(locks[0], {kind: 'ofd', mode: 'exclusive', start: 3n, end: 6n});
  t.deepEqual(
    locks[0]?.holders.filter(({pid}) => pid === process.pid),
    [
      {
        pid: process.pid,
        kind: 'ofd',
        mode: 'exclusive',
        via: `descriptor ${file.fd}`,
        identity: ourselves(system()).identity,
      },
    ],
  );
});

test('a flock and its waiter are listed with their pids', async t => {
  const path = join(scratch(t).directory, 'file');
  const flags = constants.O_RDWR | constants.O_CREAT;
  using held = LockFile.open(path, {kind: 'flock', flags});
  using waiter = LockFile.open(path, {kind: 'flock', flags});
  held.try('exclusive');
  const waits = waiter.wait('exclusive');
  let list = await listLocks({path});
  while (list.locks[0]?.waiters.length === 0) list = await listLocks({path});
  t.is(list.locks[0]?.waiters.length, 1);
  t.like(list.locks[0]?.waiters[0], {pid: process.pid, kind: 'flock', mode: 'exclusive', behind: undefined});
  held.unlock();
  await waits;
});

test('an exclusive lock that the kernel printed twice is one lock; equal shared ones are two', async t => {
  const {directory} = scratch(t);
  const exclusive = 'OFDLCK ADVISORY  WRITE -1 08:01:12 0 EOF';
  const shared = 'FLOCK  ADVISORY  READ 7 08:01:13 0 EOF';
  writeFileSync(join(directory, 'locks'), `1: ${exclusive}\n2: ${shared}\n3: ${shared}\n4: ${exclusive}\n`);
  const {locks} = await listLocks({system: {...system(), procRoot: directory}});
  t.deepEqual(
    locks.map(({kind, mode}) => `${kind} ${mode}`),
    ['ofd exclusive', 'flock shared', 'flock shared'],
  );
});
