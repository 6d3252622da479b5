/** Many deaths, boots with ghosts, and ends of the daemon itself: a short run of what `npm run test:daemon` does at length. */
import test from 'ava';
import {freezing, runChurn, runDeaths, runGhosts, runKills, runLiving} from '../helpers/daemon-runs.js';
import {scratch} from '../helpers/scratch.js';

test('each death is seen, and each lock recovered', async t => {
  const {seen, clear} = await runDeaths(t, scratch(t), 30);
  t.deepEqual([seen.count, clear.count], [30, 30]);
  t.log(`seen after ${JSON.stringify(seen)}, ALL CLEAR after ${JSON.stringify(clear)} ms`);
});

test('nobody is declared dead who is stopped, renamed, re-parented or frozen', async t => {
  t.deepEqual(await runLiving(t, scratch(t), 40, freezing(t)), []);
});

test('all ghosts are recovered before the daemon is ready', async t => {
  const {ready, left, allClear} = await runGhosts(t, scratch(t), 50);
  t.deepEqual([left, allClear], [0, 50]);
  t.log(`ready after ${ready} ms`);
});

test('daemons that are killed lose no lock, lengthen no hold, and give no lock to two', async t => {
  const {wrong, updates, recoveries, ready} = await runKills(t, scratch(t), 5, 30);
  t.deepEqual(wrong, []);
  t.true(updates > 0 && recoveries > 0);
  t.log(`ready after ${JSON.stringify(ready)} ms`);
});

test('the daemon does not grow with what it sees', async t => {
  const {descriptors, memory} = await runChurn(t, scratch(t), 2000);
  t.true(descriptors[1] <= descriptors[0] + 2, descriptors.join(' to '));
  t.log(`${memory.join(' to ')} MiB`);
});
