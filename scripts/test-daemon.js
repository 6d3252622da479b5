// How fast and how right is the daemon over many deaths? Prints the figures, and fails for anything that is wrong.
//   npm run test:daemon [-- --deaths 1000 --living 1000 --ghosts 1000 --kills 200 --locks 1000 --acquisitions 1000000]
import {tmpdir} from 'node:os';
import {existsSync} from 'node:fs';
import {join} from 'node:path';
import {parseArgs} from 'node:util';
import {
  freezing,
  runChurn,
  runDeaths,
  runGhosts,
  runKills,
  runLiving,
} from '../dist/test/helpers/daemon-runs.js';
import {checkHistory, describe} from '../dist/test/helpers/history/checker.js';
import {recording} from '../dist/test/helpers/history/recording.js';
import {scratch} from '../dist/test/helpers/scratch.js';

const {values} = parseArgs({
  options: {
    deaths: {type: 'string', default: '1000'},
    living: {type: 'string', default: '1000'},
    ghosts: {type: 'string', default: '1000'},
    kills: {type: 'string', default: '200'},
    locks: {type: 'string', default: '1000'},
    acquisitions: {type: 'string', default: '1000000'},
  },
});
const ends = [];
const t = {teardown: act => ends.push(act)};
// RUN is in memory, as /run is.
const place = () => scratch(t, existsSync('/dev/shm') ? '/dev/shm' : tmpdir());
let wrong = 0;

/** Everything that they do to a lock, this program and its daemons, is checked: no epoch twice, no second owner. */
async function killWatched(count) {
  const it = place();
  const history = join(it.directory, 'history.jsonl');
  Object.assign(process.env, recording(history));
  await import('../dist/test/helpers/history/recorder.js');
  const {wrong: counted, ...kills} = await runKills(t, it, count, Number(values.locks));
  const {events, acquisitions, handovers, violations} = await checkHistory(history);
  return {
    ...kills,
    history: {events, acquisitions, handovers},
    wrong: [...counted, ...violations.map(describe)],
  };
}

const runs = {
  deaths: count => runDeaths(t, place(), count),
  living: count => runLiving(t, place(), count, freezing(t)),
  ghosts: count => runGhosts(t, place(), count),
  acquisitions: count => runChurn(t, place(), count),
  // Last: from then on everything is written down.
  kills: killWatched,
};
for (const [name, run] of Object.entries(runs)) {
  const count = Number(values[name]);
  if (count === 0) continue;
  const figures = await run(count);
  console.log(`${name}: ${JSON.stringify(figures)}`);
  wrong += Array.isArray(figures) ? figures.length : (figures.wrong?.length ?? 0) + (figures.left ?? 0);
  for (const end of ends.splice(0).toReversed()) await end();
}
console.log(wrong === 0 ? 'nothing was wrong' : `${wrong} things were wrong`);
process.exit(wrong === 0 ? 0 : 1);
