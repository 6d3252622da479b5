// Does a fleet to which everything happens keep its promises? Hurts one by chance for so many minutes, and judges its past.
//   npm run test:fleet [-- --minutes 10 --nodes 8 --seed 1]
import {parseArgs} from 'node:util';
import {runChaos} from '../dist/test/helpers/fleet/chaos.js';

const {values} = parseArgs({
  options: {
    minutes: {type: 'string', default: '10'},
    nodes: {type: 'string', default: '8'},
    seed: {type: 'string', default: String(Date.now() % 2 ** 32)},
  },
});
console.log(`seed ${values.seed}`);
const ends = [];
const say = what => console.log(`${Math.round(performance.now() / 1000)} s  ${what}`);
let wrong = ['it did not come to its end'];
try {
  const options = {
    seconds: 60 * Number(values.minutes),
    nodes: Number(values.nodes),
    seed: Number(values.seed),
  };
  const {wrong: found, ...result} = await runChaos({teardown: act => ends.push(act)}, {...options, say});
  wrong = found;
  console.log(JSON.stringify(result, null, 2));
  for (const what of wrong) console.log(`WRONG: ${what}`);
} finally {
  for (const act of ends.toReversed()) await act();
}
console.log(`${wrong.length} violations`);
process.exit(wrong.length > 0 ? 1 : 0);
