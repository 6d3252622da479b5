/** Is a look shared by those who asked before it began, and by nobody who asked later? */
import test from 'ava';
import {Coalesced} from '../../lib/os/coalesced.js';

/** A look that ends when it is told to, and gives its number. */
function looks() {
  const ends: ((failure?: Error) => void)[] = [];
  const shared = new Coalesced(
    () =>
      new Promise<number>((resolve, reject) => {
        const number = ends.length;
        ends.push(failure => (failure ? reject(failure) : resolve(number)));
      }),
  );
  return {shared, ends};
}

test('who asks while somebody looks shares the next look with all who ask meanwhile', async t => {
  const {shared, ends} = looks();
  const first = shared.run();
  const [second, third] = [shared.run(), shared.run()];
  t.is(ends.length, 1);
  ends[0]?.();
  t.is(await first, 0);
  await new Promise(setImmediate);
  t.is(ends.length, 2);
  const fourth = shared.run();
  ends[1]?.();
  t.deepEqual([await second, await third], [1, 1]);
  await new Promise(setImmediate);
  ends[2]?.();
  t.is(await fourth, 2);
  const fifth = shared.run();
  ends[3]?.();
  t.is(await fifth, 3, 'nobody looks any more: it begins at once');
});

test('a look that fails fails for those who share it, and the next one looks again', async t => {
  const {shared, ends} = looks();
  const first = shared.run();
  const second = shared.run();
  ends[0]?.(new Error('no'));
  await t.throwsAsync(first, {message: 'no'});
  await new Promise(setImmediate);
  ends[1]?.();
  t.is(await second, 1);
});

test('a look is at all that was asked for before it began', async t => {
  const seen: number[][] = [];
  const shared = new Coalesced((items: readonly number[]) => Promise.resolve(seen.push([...items])));
  await Promise.all([shared.run(1), shared.run(2, 3), shared.run(4)]);
  await shared.run(5);
  t.deepEqual(seen, [[1], [2, 3, 4], [5]]);
});
