/** When is a deadline over, and who ended it? */
import {once} from 'node:events';
import test from 'ava';
import {Deadline} from '../../lib/os/deadline.js';

test('whenever its timer rings, the deadline is over, also when the timer rings early', async t => {
  const deadlines = Array.from({length: 200}, (_, index) => new Deadline(1 + index / 16));
  await Promise.all(
    deadlines.map(async ({signal}, index) => {
      await once(signal, 'abort');
      t.true(deadlines[index]?.expired);
    }),
  );
});

test('an outer signal ends it before its time, and that is told apart', t => {
  const outer = new AbortController();
  using deadline = new Deadline(60_000, outer.signal);
  outer.abort('enough');
  t.is(deadline.signal.reason, 'enough');
  t.false(deadline.expired);
  t.true(deadline.remaining() > 0);
});

test('one that is cancelled rings no more and follows nobody', t => {
  const outer = new AbortController();
  const deadline = new Deadline(60_000, outer.signal);
  deadline.cancel();
  outer.abort();
  t.false(deadline.signal.aborted);
});
