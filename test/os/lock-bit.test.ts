import {execFileSync} from 'node:child_process';
import {
  constants,
  fstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {native} from '../../lib/os/native.js';
import {openedBelow} from '../helpers/descriptors.js';
import {ERRNO, exclusive, ofd, open, Remote, scratch} from '../helpers/native.js';
import {bitIn, softBitClear, softBitHandover, softBitSet, softBitWithdraw} from '../helpers/soft-bit.js';
import {steppedTest} from '../helpers/stepped.js';
import {attach, type Outcome} from '../helpers/stepper.js';

/** A soft bit in a directory of its own. */
function softBit(t: ExecutionContext, bit: 0 | 1, epoch: number, directory = scratch(t)) {
  writeFileSync(join(directory, 'conf_locked'), `${bit}\n`);
  writeFileSync(join(directory, 'epoch'), `${epoch}\n`);
  return directory;
}

const state = (directory: string) => ({
  bit: native.readBit(join(directory, 'conf_locked')),
  epoch: native.readEpoch(join(directory, 'epoch')),
});

test('a bit is set, refused to the next, and cleared under its epoch', t => {
  const bit = softBit(t, 0, 5);
  t.is(softBitSet(bit, 4, 6), -ERRNO.ESTALE);
  t.is(softBitSet(bit, 5, 6), 0);
  t.deepEqual(state(bit), {bit: 1, epoch: 6});
  t.is(softBitSet(bit, 6, 7), -ERRNO.EBUSY);
  t.is(softBitClear(bit, 5), -ERRNO.ESTALE);
  t.is(softBitClear(bit, 6), 0);
  t.is(softBitClear(bit, 6), -ERRNO.EALREADY);
  t.deepEqual(state(bit), {bit: 0, epoch: 6});
});

test('epochs up to 2^53-1 are kept exactly; one that does not grow is refused', t => {
  const bit = softBit(t, 0, 9);
  t.is(softBitSet(bit, 9, 9), -ERRNO.EINVAL);
  t.is(softBitHandover(bit, 9, 8), -ERRNO.EINVAL);
  t.is(softBitSet(bit, 9, Number.MAX_SAFE_INTEGER), 0);
  t.deepEqual(state(bit), {bit: 1, epoch: Number.MAX_SAFE_INTEGER});
});

test('a handover raises the epoch, keeps the bit and leaves nothing else behind', t => {
  const bit = softBit(t, 1, 5);
  writeFileSync(join(bit, '.epoch.new'), 'left over');
  t.is(softBitHandover(bit, 4, 6), -ERRNO.ESTALE);
  t.is(softBitHandover(bit, 5, 6), 0);
  t.deepEqual(state(bit), {bit: 1, epoch: 6});
  t.is(softBitClear(bit, 5), -ERRNO.ESTALE);
  t.deepEqual(readdirSync(bit).toSorted(), ['conf_locked', 'epoch']);
});

test('a bit that was taken over is cleared under its epoch, once', t => {
  const bit = softBit(t, 1, 5);
  t.is(softBitWithdraw(bit, 4), -ERRNO.ESTALE);
  t.is(softBitWithdraw(bit, 5), 0);
  t.deepEqual(state(bit), {bit: 0, epoch: 5});
  t.is(softBitWithdraw(bit, 5), -ERRNO.EALREADY);
  t.deepEqual(readdirSync(bit).toSorted(), ['conf_locked', 'epoch']);
});

test('what is not confirmed does not happen, and leaves nothing behind', t => {
  const bit = softBit(t, 1, 5);
  const no = () => {
    t.deepEqual(readdirSync(bit).toSorted(), ['.conf_locked.new', '.epoch.new', 'conf_locked', 'epoch']);
    throw new Error('the time is over');
  };
  t.throws(() => softBitHandover(bit, 5, 6, no), {message: 'the time is over'});
  t.throws(() => softBitWithdraw(bit, 5, no), {message: 'the time is over'});
  t.deepEqual(state(bit), {bit: 1, epoch: 5});
  t.deepEqual(readdirSync(bit).toSorted(), ['conf_locked', 'epoch']);
});

test('a bit that somebody is just changing is busy, but can be handed over', t => {
  const bit = softBit(t, 1, 5);
  const changing = open(t, join(bit, 'conf_locked'));
  t.is(native.setLock(changing, ofd, exclusive, 0, 0), 0);
  t.is(softBitClear(bit, 5), -ERRNO.EBUSY);
  t.is(softBitHandover(bit, 5, 6), 0);
  t.is(softBitClear(bit, 6), 0, 'the old descriptor locks a file that is gone');
});

test('whoever has opened a bit before it was taken by force changes nothing of it', t => {
  const bit = softBit(t, 1, 5);
  using owner = bitIn(bit).open();
  using late = bitIn(bit).open();
  t.is(softBitHandover(bit, 5, 6), 0);
  t.throws(() => owner.clear(5), {code: 'ESTALE'});
  t.throws(() => late.set(5, 7), {code: 'ESTALE'});
  t.is(softBitWithdraw(bit, 6), 0);
  t.deepEqual(state(bit), {bit: 0, epoch: 6});
  using clear = bitIn(bit).open();
  t.is(softBitSet(bit, 6, 7), 0);
  t.is(softBitHandover(bit, 7, 8), 0);
  t.throws(() => clear.set(7, 9), {code: 'ESTALE'});
  t.deepEqual(state(bit), {bit: 1, epoch: 8});
});

for (const replaced of ['conf_locked', 'epoch'])
  test(`one replaced file is enough to fence: ${replaced}`, t => {
    const bit = softBit(t, 1, 5);
    using clearing = bitIn(bit).open();
    writeFileSync(join(bit, 'new'), replaced === 'epoch' ? '5\n' : '1\n');
    renameSync(join(bit, 'new'), join(bit, replaced));
    t.throws(() => clearing.clear(5), {code: 'ESTALE'});
    softBit(t, 0, 5, bit);
    using setting = bitIn(bit).open();
    writeFileSync(join(bit, 'new'), replaced === 'epoch' ? '5\n' : '0\n');
    renameSync(join(bit, 'new'), join(bit, replaced));
    t.throws(() => setting.set(5, 6), {code: 'ESTALE'});
  });

test('a set does not outlast its call: the bit can be changed while its owner has it open', t => {
  const bit = softBit(t, 0, 5);
  using owner = bitIn(bit).open();
  t.is(owner.set(5, 6), 6);
  t.is(owner.read(), 1);
  t.is(owner.epoch(), 6);
  t.is(softBitClear(bit, 6), 0);
  t.is(owner.read(), 0);
});

test('an open bit leaves no descriptor behind, however it ends', t => {
  const bit = softBit(t, 1, 5);
  bitIn(bit).open().close();
  t.throws(() => bitIn(bit).open().clear(4), {code: 'ESTALE'});
  {
    using cleared = bitIn(bit).open();
    cleared.clear(5);
    cleared.close();
  }
  rmSync(join(bit, 'epoch'));
  t.throws(() => bitIn(bit).open(), {code: 'ENOENT', message: /\/epoch/});
  t.deepEqual(openedBelow(bit), []);
});

test('the addon closes no file for a bit that it has not opened', t => {
  const bit = softBit(t, 1, 5);
  t.is(native.softBitClear(0, 1, 5), -ERRNO.EBADF);
  const opened = native.open(join(bit, 'conf_locked'), constants.O_RDWR, 0);
  t.is(native.softBitClear(opened, 0, 5), -ERRNO.EBADF);
  t.deepEqual(openedBelow(bit), [], 'what it was to close, it has closed');
  t.notThrows(() => fstatSync(0));
});

test('files that are missing, torn or links are refused', t => {
  const bit = softBit(t, 0, 5);
  const path = join(bit, 'conf_locked');
  for (const text of ['', '2\n', '1', '0 \n', '1\n1\n']) {
    writeFileSync(path, text);
    t.is(native.readBit(path), text === '1' ? 1 : -ERRNO.EBADMSG, JSON.stringify(text));
  }
  for (const text of ['', '5', '5\n\n', '-5\n', ' 5\n', `${2 ** 53}\n`, 'x\n']) {
    writeFileSync(join(bit, 'epoch'), text);
    t.is(native.readEpoch(join(bit, 'epoch')), -ERRNO.EBADMSG, JSON.stringify(text));
    t.is(softBitHandover(bit, 5, 6), -ERRNO.EBADMSG, JSON.stringify(text));
  }
  softBit(t, 0, 5, bit);
  using torn = bitIn(bit).open();
  writeFileSync(path, '2\n');
  writeFileSync(join(bit, 'epoch'), 'x\n');
  t.throws(() => torn.read(), {code: 'EBADMSG', message: /\/conf_locked/});
  t.throws(() => torn.epoch(), {code: 'EBADMSG', message: /\/epoch/});
  softBit(t, 0, 5, bit);
  renameSync(path, `${path}.real`);
  symlinkSync(`${path}.real`, path);
  t.is(native.readBit(path), -ERRNO.ELOOP);
  t.is(softBitSet(bit, 5, 6), -ERRNO.ELOOP);
  rmSync(path);
  t.is(softBitSet(bit, 5, 6), -ERRNO.ENOENT);
});

test('an attribute is written whole', t => {
  const path = join(scratch(t), 'attribute');
  t.is(native.writeAttribute(path, '1\n'), -ERRNO.ENOENT);
  writeFileSync(path, '');
  t.is(native.writeAttribute(path, '1\n'), 0);
  t.is(readFileSync(path, 'utf8'), '1\n');
});

test('on a full file system a handover changes nothing', t => {
  const directory = scratch(t);
  try {
    // Two pages: one for each file.
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8k', 'none', directory], {stdio: 'pipe'});
  } catch (error) {
    t.log(`can't run: no tmpfs can be mounted here (${String(error).split('\n').at(-1)})`);
    t.is(process.env['CI'], undefined);
    return;
  }
  t.teardown(() => execFileSync('umount', [directory]));
  const bit = softBit(t, 1, 5, directory);
  t.is(softBitHandover(bit, 5, 6), -ERRNO.ENOSPC);
  t.deepEqual(state(bit), {bit: 1, epoch: 5});
  t.deepEqual(readdirSync(bit).toSorted(), ['conf_locked', 'epoch']);
});

/** Has `call` run in another process, and that stopped or killed before its N-th system call, for each N. */
async function atEachCall(
  t: ExecutionContext,
  action: 'stop' | 'kill',
  begin: {bit: 0 | 1; epoch: number},
  call: readonly ['softBitSet' | 'softBitClear' | 'softBitHandover' | 'softBitWithdraw', ...number[]],
  meanwhile: (directory: string) => void,
  after: (directory: string, result: number | undefined) => void,
): Promise<void> {
  const [name, ...numbers] = call;
  const seen = new Map<string, number>();
  const base = scratch(t);
  let outcome: Outcome;
  let n = 0;
  let remote = await Remote.start(t);
  do {
    const directory = join(base, String(++n));
    mkdirSync(directory);
    softBit(t, begin.bit, begin.epoch, directory);
    const stepper = await attach(remote.pid, n, action);
    const answer = remote.call(name, directory, ...numbers);
    outcome = await stepper.outcome;
    if ('call' in outcome) seen.set(outcome.call, (seen.get(outcome.call) ?? 0) + 1);
    if (outcome.kind === 'killed') {
      meanwhile(directory);
      after(directory, undefined);
      remote = await Remote.start(t);
    } else {
      if (outcome.kind === 'stopped') {
        meanwhile(directory);
        process.kill(remote.pid, 'SIGCONT');
      }
      const result = await answer;
      if (outcome.kind === 'stopped') after(directory, result);
    }
  } while (outcome.kind !== 'end' && n < 200);
  t.log(`${n - 1} places: ${[...seen].map(([what, count]) => `${what} ${count}`).join(', ')}`);
  t.is(outcome.kind, 'end');
  t.true(n > 5);
}

steppedTest('a process stopped anywhere in a clear cannot undo a handover', async t => {
  let handed = 0;
  const handover = (directory: string) => (handed = softBitHandover(directory, 5, 9));
  await atEachCall(t, 'stop', {bit: 1, epoch: 5}, ['softBitClear', 5], handover, directory => {
    t.is(handed, 0);
    t.deepEqual(state(directory), {bit: 1, epoch: 9});
  });
});

steppedTest('a process stopped anywhere in a set cannot undo a handover', async t => {
  // The epoch may have been written already.
  const handover = (directory: string) => {
    t.is(softBitHandover(directory, state(directory).epoch, 9), 0);
  };
  await atEachCall(t, 'stop', {bit: 0, epoch: 5}, ['softBitSet', 5, 6], handover, directory => {
    t.deepEqual(state(directory), {bit: 1, epoch: 9});
  });
});

steppedTest('a clear that reports success after a handover had happened before it', async t => {
  let before = 1;
  const handover = (directory: string) => {
    before = state(directory).bit;
    t.is(softBitHandover(directory, 5, 9), 0);
  };
  await atEachCall(t, 'stop', {bit: 1, epoch: 5}, ['softBitClear', 5], handover, (_directory, result) => {
    // Only who had cleared the bit before may believe so.
    if (before === 1) t.is(result, -ERRNO.ESTALE);
  });
});

steppedTest('a clear in the middle of a handover does not outlast it', async t => {
  const clear = (directory: string) => softBitClear(directory, 5);
  await atEachCall(t, 'stop', {bit: 1, epoch: 5}, ['softBitHandover', 5, 9], clear, (directory, result) => {
    t.is(result, 0);
    t.deepEqual(state(directory), {bit: 1, epoch: 9});
  });
});

steppedTest('a handover killed anywhere leaves the bit set, and runs again', async t => {
  const again = (directory: string) => {
    const {bit, epoch} = state(directory);
    t.is(bit, 1);
    t.true(epoch === 5 || epoch === 9);
    t.is(softBitHandover(directory, epoch, 12), 0);
  };
  await atEachCall(t, 'kill', {bit: 1, epoch: 5}, ['softBitHandover', 5, 9], again, directory => {
    t.deepEqual(state(directory), {bit: 1, epoch: 12});
    t.deepEqual(readdirSync(directory).toSorted(), ['conf_locked', 'epoch']);
  });
});

steppedTest('a set killed anywhere leaves a bit whose epoch did not fall', async t => {
  const nothing = () => undefined;
  await atEachCall(t, 'kill', {bit: 0, epoch: 5}, ['softBitSet', 5, 6], nothing, directory => {
    const {bit, epoch} = state(directory);
    t.true((bit === 0 && (epoch === 5 || epoch === 6)) || (bit === 1 && epoch === 6), `${bit} at ${epoch}`);
  });
});

/** What a hold does at its end: whatever waits for its confirmation can't happen any more. */
const withdrawn = (directory: string) => {
  for (const name of ['.epoch.new', '.conf_locked.new']) rmSync(join(directory, name), {force: true});
};

for (const call of [
  ['softBitHandover', 5, 9],
  ['softBitWithdraw', 5],
] as const) {
  steppedTest(
    `a ${call[0]} stopped anywhere after its confirmation does nothing once its files are removed`,
    async t => {
      let before = state(softBit(t, 1, 5));
      let prevented = 0;
      const fence = (directory: string) => {
        withdrawn(directory);
        before = state(directory);
      };
      await atEachCall(t, 'stop', {bit: 1, epoch: 5}, call, fence, (directory, result) => {
        // The walk also stops where nothing was staged yet: then it was not confirmed either, and may happen.
        if (result === -ERRNO.ENOENT) {
          t.deepEqual(state(directory), before);
          prevented++;
        } else t.is(result, 0);
        t.deepEqual(readdirSync(directory).toSorted(), ['conf_locked', 'epoch']);
      });
      t.true(prevented >= 2, `prevented ${prevented} times`);
    },
  );
}
