/** Does the bench know when somebody waits, and does it wait for nobody for ever? */
import {readFileSync, statSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {setTimeout} from 'node:timers/promises';
import test from 'ava';
import {TooLate, within} from '../../bench/measure/program.js';
import {cContestant, nodeContestant, untilWaiting} from '../../bench/measure/side.js';
import {OURS_FLOCK, OURS_OFD} from '../../bench/subjects/contenders.js';
import {native} from '../../lib/os/native.js';
import {scratch} from '../helpers/scratch.js';

test('what comes in time is passed on, what does not is TooLate', async t => {
  t.is(await within(60_000, Promise.resolve(7)), 7);
  await t.throwsAsync(within(60_000, Promise.reject(new Error('broken'))), {message: 'broken'});
  const end = new AbortController();
  const never = setTimeout(60_000, undefined, {signal: end.signal}).catch(() => undefined);
  await t.throwsAsync(within(10, never), {instanceOf: TooLate, message: 'not within 0.01 s'});
  end.abort();
});

/** Does a thread wait for a lock on the file, by the kernel's table? One reading may miss it while others come and go. */
function isAwaited(path: string): boolean {
  const {ino} = statSync(path, {bigint: true});
  return Array.from({length: 5}).some(() => {
    const rows = native.parseLocks(readFileSync('/proc/locks'));
    return typeof rows !== 'number' && rows.some(row => row.depth > 0 && row.inode === ino);
  });
}

for (const contestant of [
  cContestant('C flock', 'flock'),
  cContestant('C OFD', 'ofd'),
  nodeContestant(OURS_FLOCK, 'blocked'),
  nodeContestant(OURS_OFD, 'blocked'),
])
  test(`${contestant.name}: whoever is said to wait is blocked, and gets the lock when it is given back`, async t => {
    const path = join(scratch(t).directory, 'file');
    writeFileSync(path, '');
    const [holder, waiter] = [await contestant.start(path), await contestant.start(path)];
    t.teardown(() => Promise.all([holder.end(), waiter.end()]));
    await holder.ask();
    await holder.got(60_000);
    await waiter.ask();
    await untilWaiting(contestant, waiter);
    t.true(isAwaited(path));
    const gave = await holder.give();
    t.true((await waiter.got(60_000)) > gave);
    await holder.ask();
    await untilWaiting(contestant, holder);
    t.true((await waiter.give()) < (await holder.got(60_000)));
  });
