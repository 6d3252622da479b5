// Kills recover, break-glass, update and hold at each of their system calls, and lets each call fail with each error that
// its manual page lists; --every N tries each N-th point only, --subject and --how choose among the walks. Needs root.
import {spawnSync} from 'node:child_process';
import {parseArgs} from 'node:util';

const {values} = parseArgs({
  options: {
    every: {type: 'string', default: '1'},
    seed: {type: 'string', default: String(Date.now() % 1000)},
    subject: {type: 'string', default: ''},
    how: {type: 'string', default: ''},
  },
});

if (spawnSync('npm', ['run', '--silent', 'build:ts'], {stdio: ['ignore', 2, 2]}).status !== 0)
  process.exit(1);
const {allWalks, runWalks, summary} = await import('../dist/test/helpers/injection/run.js');

const [every, seed] = [Number(values.every), Number(values.seed)];
console.log(`every ${every}, seed ${seed}`);
const walks = allWalks({every, seed}).filter(
  ({subject, how}) => subject.startsWith(values.subject) && how.startsWith(values.how),
);
const start = performance.now();
const walked = await runWalks(walks, ({subject, how, points, found, violations}) => {
  const seconds = Math.round((performance.now() - start) / 1000);
  console.log(`${seconds} s: ${subject}, ${how}: ${points} points, ${JSON.stringify(found)}`);
  for (const violation of violations) console.log(`  VIOLATION ${violation}`);
});
console.log(summary(walked));
process.exitCode = walked.some(({violations}) => violations.length > 0) ? 1 : 0;
