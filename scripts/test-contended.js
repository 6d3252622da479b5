// How does the lock pass on while others want it? Many reclaims from killed owners, and handovers from living and stopped
// ones, with real processes; the common ways beside them, which must fail. The history of each batch is checked.
//   npm run test:contended [-- --reclaims 100000 --handovers 100000 --naive 500 --contenders 2 --batch 1000]
import {join} from 'node:path';
import {parseArgs} from 'node:util';
import {addOutcomes, openArena, runBatch} from '../dist/test/helpers/contended.js';
import {checkHistory, describe} from '../dist/test/helpers/history/checker.js';

const {values} = parseArgs({
  options: {
    reclaims: {type: 'string', default: '100000'},
    handovers: {type: 'string', default: '100000'},
    naive: {type: 'string', default: '500'},
    contenders: {type: 'string', default: '2'},
    batch: {type: 'string', default: '1000'},
  },
});
const [reclaims, handovers, naive, contenders, size] = [
  values.reclaims,
  values.handovers,
  values.naive,
  values.contenders,
  values.batch,
].map(Number);
/** The kind of trial that most are wanted of decides how many batches there are. */
const batches = Math.max(1, Math.ceil(Math.max(reclaims, handovers, naive) / size));
/** How many of `total` belong to one batch. */
const share = (total, batch) =>
  Math.floor((total * (batch + 1)) / batches) - Math.floor((total * batch) / batches);

const seconds = () => Math.round(performance.now() / 1000);

function show(total, {events, violations}) {
  const parts = Object.entries(total).map(([kind, {trials, bad}]) => `${kind} ${bad} of ${trials}`);
  console.log(
    `${seconds()} s: went wrong: ${parts.join(', ')}; ${violations} violations in ${events} events`,
  );
}

const arena = openArena();
process.on('exit', () => arena.close());
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(1));
let total;
const seen = {events: 0, violations: 0};
for (let batch = 0; batch < batches; batch++) {
  const history = join(arena.directory, 'history');
  const trials = {
    reclaims: share(reclaims, batch),
    handovers: share(handovers, batch),
    naive: share(naive, batch),
  };
  const outcome = await runBatch(arena, trials, {contenders, history});
  const {events, violations} = await checkHistory(history);
  seen.events += events;
  seen.violations += violations.length;
  for (const violation of violations) console.log(describe(violation));
  for (const kind of ['reclaims', 'handovers'])
    for (const note of outcome[kind].notes) console.log(`${kind}: ${note}`);
  total = addOutcomes(total, outcome);
  show(total, seen);
}
const {reclaims: taken, handovers: passed, naiveReclaims, naiveHandovers} = total;
const good =
  taken.bad + passed.bad + seen.violations === 0 &&
  (naive === 0 || (naiveReclaims.bad > 0 && naiveHandovers.bad > 0));
console.log(good ? 'all as it must be' : 'NOT as it must be');
process.exitCode = good ? 0 : 1;
