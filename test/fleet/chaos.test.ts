/** Does a fleet to which everything happens keep its promises? A short form of `npm run test:fleet`. */
import test from 'ava';
import {runChaos} from '../helpers/fleet/chaos.js';

test('agents, drivers, locks and the store are hurt by chance: nothing wrong runs anywhere, and every roll-out ends', async t => {
  const seed = Date.now() % 2 ** 32;
  t.log(`seed ${seed}`);
  const {rollouts, disturbances, changes, wrong} = await runChaos(t, {seconds: 15, nodes: 4, seed});
  t.log(JSON.stringify({rollouts, disturbances, changes}));
  t.deepEqual(wrong, []);
  t.true(changes >= 4, 'the last roll-out alone reaches every node');
});
