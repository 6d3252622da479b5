/** What if the file is replaced at any system call of taking its lock by path? What is locked then is what the path names. */
import {renameSync, writeFileSync} from 'node:fs';
import {scratch} from '../helpers/scratch.js';
import {forEachCall, runStepped, steppedTest} from '../helpers/stepped.js';

const CALLS = [
  'openat',
  'openat:create',
  'fcntl:lock',
  'fstat',
  'newfstatat',
  'stat',
  'fcntl:unlock',
  'close',
];

steppedTest(
  'a file that is replaced at any call of taking its lock: what the path names is locked',
  async t => {
    const {file} = scratch(t);
    const calls: Record<string, number> = {};
    await forEachCall(
      t,
      n => runStepped(t, 'stepped-try-lock', {file}, n, 'stop', CALLS),
      async ({outcome, child, result, exit}) => {
        const call = outcome.kind === 'stopped' ? outcome.call : outcome.kind;
        writeFileSync(`${file}.new`, `replaced at ${call}`);
        renameSync(`${file}.new`, file);
        child.kill('SIGCONT');
        t.is(await result, 'locked', `replaced at ${JSON.stringify(outcome)}`);
        await exit;
        calls[call] = (calls[call] ?? 0) + 1;
      },
    );
    t.log(JSON.stringify(calls));
    t.true((calls['fcntl:lock'] ?? 0) > 0, 'the lock call was among them');
  },
);
