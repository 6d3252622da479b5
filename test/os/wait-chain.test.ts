/** Is it told who waits for whom, over files and processes, and does it end in a circle? */
import {writeFileSync} from 'node:fs';
import {join} from 'node:path';
import test from 'ava';
import {listLocks} from '../../lib/os/lock-table.js';
import {surveyLocks} from '../../lib/os/lock-survey.js';
import {system} from '../../lib/os/system.js';
import {waitChain} from '../../lib/os/wait-chain.js';
import {exclusive, flock, open, Remote, scratch} from '../helpers/native.js';
import {native} from '../../lib/os/native.js';

test('a holder that waits for another file leads to whoever holds that', async t => {
  const directory = scratch(t);
  const [first, second] = [join(directory, 'first'), join(directory, 'second')];
  const remote = await Remote.start(t);
  t.is(await remote.call('setLock', await remote.open(first), flock, exclusive, 0, 0), 0);
  const ours = open(t, second);
  t.is(native.setLock(ours, flock, exclusive, 0, 0), 0);
  const waits = remote.call('waitLock', await remote.open(second), flock, exclusive, 0, 0);
  let {chain, locks} = await listLocks({path: first});
  while (chain.length === 0) ({chain, locks} = await listLocks({path: first}));
  t.deepEqual(
    locks.flatMap(({holders}) => holders.map(({pid}) => pid)),
    [remote.pid],
  );
  t.deepEqual(
    chain.map(({pid, kind, heldBy}) => ({pid, kind, ours: heldBy.includes(process.pid)})),
    [{pid: remote.pid, kind: 'FLOCK', ours: true}],
  );
  t.is(native.setLock(ours, flock, 2, 0, 0), 0);
  await waits;
});

test('processes that wait for each other are each told once', async t => {
  const procRoot = scratch(t);
  writeFileSync(
    join(procRoot, 'locks'),
    [
      '1: FLOCK  ADVISORY  WRITE 5 00:1a:42 0 EOF',
      '1: -> FLOCK  ADVISORY  WRITE 6 00:1a:42 0 EOF',
      '2: POSIX  ADVISORY  WRITE 6 00:1a:43 0 EOF',
      '2: -> POSIX  ADVISORY  WRITE 5 00:1a:43 0 EOF',
      '',
    ].join('\n'),
  );
  const survey = await surveyLocks(
    {...system(), procRoot, ownProc: false},
    {files: [{major: 0, minor: 0x1a, inode: 42n}]},
  );
  t.deepEqual(
    waitChain(survey, [5]).map(({pid, kind, file, heldBy}) => [pid, kind, file.inode, ...heldBy]),
    [
      [5, 'POSIX', 43n, 6],
      [6, 'FLOCK', 42n, 5],
    ],
  );
  t.deepEqual(waitChain(survey, [7]), []);
});
