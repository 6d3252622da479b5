/** Does the simulator simulate? A short form of `npm run fleet:sim`. */
import test from 'ava';
import {simulate} from '../../bench/fleet/simulation.js';
import {timeline} from '../../bench/fleet/timeline.js';

test('a roll-out goes through many agents in few processes, and each step of each is measured', async t => {
  const options = {nodes: 40, processes: 2, perConnection: 20, rounds: 2, bytes: 1000, say: () => undefined};
  const {bare, reached, prepared, ordered, applied, converged} = await simulate(t, options);
  t.deepEqual(
    bare.map(times => times.length),
    [40, 40],
  );
  for (const times of [reached, prepared, ordered, applied]) {
    t.is(times.length, 40);
    t.true(times.every(time => time > 0 && time <= converged));
  }
  const svg = timeline('a & b', 40, [{name: 'applied', at: applied}]);
  t.regex(svg, /<title>a &amp; b<\/title>/);
  t.regex(svg, /<polyline fill="none"/);
});
