// Runs all tests, checks the history that they wrote, then the models of the protocols, then what runs in the virtual machine: sets up
// what they need where it may, counts what could not run, and fails for that in CI. Arguments choose test files; they and --no-vm leave out models and machine.
import {spawn, spawnSync} from 'node:child_process';
import {once} from 'node:events';
import {createInterface} from 'node:readline';

const args = process.argv.slice(2).filter(arg => arg !== '--no-vm');
const withMachine = process.argv.length === 2;
const avaEntry = new URL('./ava.js', import.meta.url).pathname;

/** Adds the results of ava to the report. */
async function runAva(report, relay, env) {
  const ava = spawn(process.execPath, [avaEntry, '--tap', ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env,
  });
  createInterface({input: ava.stdout}).on('line', line => relay.push(line));
  await once(ava, 'close');
  // A crash or a time-out may leave no line behind.
  if (ava.exitCode !== 0 && !relay.failed) report.fail('ava', {message: `ended with ${ava.exitCode}`});
}

if (spawnSync('npm', ['run', '--silent', 'build:ts'], {stdio: ['ignore', 2, 2]}).status !== 0)
  process.exit(1);
const {TapRelay, TapReport} = await import('../dist/test/machine/tap.js');
const {ORDINARY_NEEDS, howToInstall, provide} = await import('../dist/test/machine/needs.js');
const {recordRun} = await import('../dist/test/helpers/history/report.js');
const {testInMachine} = await import('../dist/test/machine/run.js');
const {testModels} = await import('../dist/test/model/check.js');

const missing = provide(ORDINARY_NEEDS);
if (missing.length > 0) console.error(howToInstall(missing));
const report = new TapReport();
const recorded = recordRun();
await runAva(report, new TapRelay(report), recorded.environment);
await recorded.report(report);
// One after the other: the tests are about time, and models and machine take two processors.
if (withMachine) {
  await testModels(report);
  await testInMachine(report);
}
if (process.getuid() !== 0 && report.counts.skipped > 0) console.error('some tests need root: sudo npm test');
process.exitCode = report.end();
