/** How does a roll-out go through 5,000 nodes on this machine? `npm run fleet:sim -- --nodes 5000 [--svg FILE] [--json FILE]`. */
import {mkdirSync, writeFileSync} from 'node:fs';
import {dirname} from 'node:path';
import {parseArgs} from 'node:util';
import {quantile} from '../measure/stats.js';
import {describeMachine} from '../report/json.js';
import {written} from '../report/words.js';
import {simulate, type Simulated} from './simulation.js';
import {timeline} from './timeline.js';

const {values} = parseArgs({
  options: {
    nodes: {type: 'string', default: '5000'},
    processes: {type: 'string', default: '4'},
    'per-connection': {type: 'string', default: '100'},
    rounds: {type: 'string', default: '5'},
    bytes: {type: 'string', default: '4096'},
    base: {type: 'string'},
    svg: {type: 'string'},
    json: {type: 'string'},
  },
});

/** The same for all figures: how the nodes are spread, and the last of them. */
function spread(times: readonly number[]): {p50: number; p99: number; last: number} {
  return {p50: quantile(times, 0.5), p99: quantile(times, 0.99), last: Math.max(...times)};
}

/** Of several rounds the one in the middle, by its last node. */
function middleRound(rounds: Simulated['bare']): readonly number[] {
  const sorted = rounds.toSorted((a, b) => Math.max(...a) - Math.max(...b));
  return sorted[Math.floor(sorted.length / 2)] ?? [];
}

function line(what: string, times: readonly number[]): string {
  const {p50, p99, last} = spread(times);
  return `${what.padEnd(44)}${[p50, p99, last].map(time => written(time, 'ms').padStart(10)).join('')}`;
}

function show(result: Simulated): void {
  const bare = middleRound(result.bare);
  const ratio = Math.max(...result.reached) / Math.max(...bare);
  const rows = [
    line('bare watch: from the put to each watcher', bare),
    line('commit: from the order to each node', result.reached),
    line('prepared, since the start', result.prepared),
    line('applied, since the start', result.applied),
  ];
  console.log(
    [`${''.padEnd(44)}${['p50', 'p99', 'last'].map(name => name.padStart(10)).join('')}`, ...rows].join('\n'),
  );
  console.log(
    `converged after ${written(result.converged, 'ms')}; commit / bare watch: ${ratio.toFixed(2)}, the goal is 3`,
  );
}

function write(path: string, text: string): void {
  mkdirSync(dirname(path), {recursive: true});
  writeFileSync(path, text);
}

const ends: (() => unknown)[] = [];
const begun = performance.now();
try {
  const result = await simulate(
    {teardown: end => ends.push(end)},
    {
      nodes: Number(values.nodes),
      processes: Number(values.processes),
      perConnection: Number(values['per-connection']),
      rounds: Number(values.rounds),
      bytes: Number(values.bytes),
      base: values.base,
      say: what => console.error(`${written(performance.now() - begun, 'ms').padStart(9)}  ${what}`),
    },
  );
  show(result);
  const title = `A roll-out to ${result.nodes} nodes: the share that is prepared, has the order to apply, has applied`;
  const curves = [
    {name: 'prepared', at: result.prepared},
    {name: 'order to apply', at: result.ordered},
    {name: 'applied', at: result.applied},
  ];
  if (values.svg) write(values.svg, timeline(title, result.nodes, curves));
  if (values.json) write(values.json, `${JSON.stringify({machine: describeMachine(), ...result})}\n`);
} finally {
  for (const end of ends.toReversed()) await end();
}
process.exit();
