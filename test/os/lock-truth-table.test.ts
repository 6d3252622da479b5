/** Which lock excludes which? The truth table of the kernel: kind x who holds and who asks x shared or exclusive, generated. */
import {type ChildProcessByStdio, spawn} from 'node:child_process';
import {once} from 'node:events';
import {closeSync, constants, openSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import type {Readable, Writable} from 'node:stream';
import {fileURLToPath} from 'node:url';
import test, {type ExecutionContext} from 'ava';
import {LockFile, type LockKind, type LockMode} from '../../lib/os/lock-file.js';
import {LOCK_KIND, native} from '../../lib/os/native.js';
import {compile, ERRNO, exclusive, flock, ofd, open as openFd, openTimes, shared} from '../helpers/native.js';
import {scratch} from '../helpers/scratch.js';

const KINDS: LockKind[] = ['ofd', 'flock', 'posix'];
const MODES: LockMode[] = ['shared', 'exclusive'];
const program = fileURLToPath(new URL('../fixtures/try-lock.js', import.meta.url));

interface Situation {
  readonly name: string;
  /** True when the second lock is granted although both modes together would conflict. */
  readonly conflictGranted: (kind: LockKind) => boolean;
  /** Asks for the second lock while `held` has the first. */
  readonly ask: (held: LockFile, kind: LockKind, mode: LockMode) => Promise<boolean>;
}

function open(path: string, kind: LockKind): LockFile {
  return LockFile.open(path, {kind, flags: constants.O_RDWR | constants.O_CREAT});
}

/** Another program tries: on the path, or on the description that it inherits as descriptor 3. */
async function askChild(
  how: 'path' | 'inherited',
  held: LockFile,
  kind: LockKind,
  mode: LockMode,
): Promise<boolean> {
  const child = spawn(process.execPath, [program, how, held.path, kind, mode], {
    stdio: ['ignore', 'ignore', 'inherit', held.fd],
  });
  const [status] = (await once(child, 'exit')) as [number | null];
  if (status !== 0 && status !== 1) throw new Error(`the child ended with ${status}`);
  return status === 0;
}

const SITUATIONS: Situation[] = [
  {
    name: 'the same descriptor',
    conflictGranted: () => true,
    ask: async (held, _, mode) => held.try(mode),
  },
  {
    name: 'two descriptors of one process',
    conflictGranted: kind => kind === 'posix',
    ask: async (held, kind, mode) => {
      using other = open(held.path, kind);
      return other.try(mode);
    },
  },
  {
    name: 'two processes',
    conflictGranted: () => false,
    ask: async (held, kind, mode) => askChild('path', held, kind, mode),
  },
  {
    name: 'a child that inherited the descriptor by fork and exec',
    conflictGranted: kind => kind !== 'posix',
    ask: async (held, kind, mode) => askChild('inherited', held, kind, mode),
  },
  {
    name: 'another process after another descriptor of the file was closed',
    conflictGranted: kind => kind === 'posix',
    ask: async (held, kind, mode) => {
      closeSync(openSync(held.path, 'r'));
      return askChild('path', held, kind, mode);
    },
  },
];

async function check(
  t: ExecutionContext,
  kind: LockKind,
  situation: Situation,
  first: LockMode,
  second: LockMode,
  granted: boolean,
): Promise<void> {
  using held = open(join(scratch(t).directory, 'file'), kind);
  t.true(held.try(first));
  t.is(await situation.ask(held, kind, second), granted);
}

for (const kind of KINDS) {
  for (const situation of SITUATIONS) {
    for (const first of MODES) {
      for (const second of MODES) {
        const compatible = first === 'shared' && second === 'shared';
        const granted = compatible || situation.conflictGranted(kind);
        test(`${kind}: ${first} held, ${second} asked, ${situation.name}: ${granted ? 'granted' : 'refused'}`, t =>
          check(t, kind, situation, first, second, granted));
      }
    }
  }
}

for (const kind of KINDS) {
  test(`${kind}: a child that inherits the descriptor ${kind === 'posix' ? 'does not keep' : 'keeps'} the lock when the parent closes its own`, async t => {
    const path = join(scratch(t).directory, 'file');
    const held = open(path, kind);
    held.try('exclusive');
    const child = spawn('cat', {stdio: ['pipe', 'pipe', 'inherit', held.fd]}) as ChildProcessByStdio<
      Writable,
      Readable,
      null
    >;
    child.stdin.write('up\n');
    await once(child.stdout, 'data');
    held.close();
    using other = open(path, kind);
    t.is(other.try('exclusive'), kind === 'posix');
    const end = once(child, 'exit');
    child.stdin.end();
    await end;
    t.true(other.try('exclusive'));
  });

  test(`${kind}: a lock is downgraded and upgraded`, t => {
    const path = join(scratch(t).directory, 'file');
    using held = open(path, kind);
    using other = open(path, kind === 'posix' ? 'ofd' : kind);
    t.true(held.try('exclusive'));
    t.false(other.try('shared'));
    t.true(held.try('shared'), 'downgrade');
    t.true(other.try('shared'));
    t.false(held.try('exclusive'), 'somebody shares it');
    other.unlock();
    t.true(held.try('exclusive'), 'upgrade');
  });
}

for (const kind of ['ofd', 'posix'] as const) {
  test(`${kind}: ranges lock only their bytes, and unlocking the middle splits them`, t => {
    const path = join(scratch(t).directory, 'file');
    writeFileSync(path, '');
    using held = open(path, kind);
    using other = open(path, 'ofd');
    t.true(held.try('exclusive', {start: 10, length: 20}));
    t.true(other.try('exclusive', {start: 0, length: 10}), 'before');
    t.true(other.try('exclusive', {start: 30, length: 0}), 'behind, to the end of the file');
    t.false(other.try('exclusive', {start: 29, length: 1}), 'the last byte');
    held.unlock({start: 15, length: 5});
    t.true(other.try('exclusive', {start: 15, length: 5}), 'the middle');
    t.false(other.try('exclusive', {start: 14, length: 1}));
    t.false(other.try('exclusive', {start: 20, length: 1}));
  });

  test(`${kind}: a test tells what is in the way, and nothing when nothing is`, t => {
    const path = join(scratch(t).directory, 'file');
    using held = open(path, kind);
    using other = open(path, 'ofd');
    t.is(other.test('exclusive'), undefined);
    held.try('shared', {start: 5, length: 7});
    t.deepEqual(other.test('exclusive'), {
      type: 0,
      pid: kind === 'ofd' ? -1 : process.pid,
      start: 5,
      length: 7,
    });
    t.is(other.test('shared'), undefined);
    t.is(held.test('exclusive'), undefined, 'one’s own lock is never in the way');
  });
}

for (const [name, kind] of Object.entries(LOCK_KIND))
  for (const [held, type] of Object.entries({shared, exclusive}))
    test(`${name}: a process that becomes another program keeps its ${held} lock`, async t => {
      const path = join(scratch(t).directory, 'file');
      const fd = openFd(t, path);
      const holder = spawn(compile(t, 'exec-holder'), [path, name, held, 'cat'], {
        stdio: ['pipe', 'pipe', 'inherit'],
      });
      t.teardown(() => holder.kill('SIGKILL'));
      // Its echo shows that cat is there.
      holder.stdin.write('there?\n');
      await once(holder.stdout, 'data');
      t.is(native.setLock(fd, kind, exclusive, 0, 0), -ERRNO.EAGAIN);
      t.is(native.setLock(fd, kind, shared, 0, 0), type === shared ? 0 : -ERRNO.EAGAIN);
    });

test('ofd: a refused upgrade keeps the shared lock; flock loses it (flock(2))', t => {
  for (const kind of [ofd, flock]) {
    const [one, two] = openTimes(t, 2);
    t.is(native.setLock(one, kind, shared, 0, 0), 0);
    t.is(native.setLock(two, kind, shared, 0, 0), 0);
    t.is(native.setLock(one, kind, exclusive, 0, 0), -ERRNO.EAGAIN);
    t.is(native.setLock(two, kind, exclusive, 0, 0), kind === flock ? 0 : -ERRNO.EAGAIN);
  }
});

test('flock has no test', t => {
  using file = open(join(scratch(t).directory, 'file'), 'flock');
  t.throws(() => file.test('exclusive'), {code: 'EOPNOTSUPP'});
});

test('record locks and flock locks of one file do not see each other', t => {
  const path = join(scratch(t).directory, 'file');
  using record = open(path, 'ofd');
  using whole = open(path, 'flock');
  t.true(record.try('exclusive'));
  t.true(whole.try('exclusive'));
});
