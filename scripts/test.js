// Runs all tests: sets up what they need where it may, counts what could not run, and fails for that in CI.
import {spawn, spawnSync} from 'node:child_process';
import {createInterface} from 'node:readline';

const inCi = process.env.CI !== undefined && process.env.CI !== 'false';
const asRoot = process.getuid() === 0;

function has(command) {
  return spawnSync('sh', ['-c', `command -v ${command}`], {stdio: 'ignore'}).status === 0;
}

function run(command, args) {
  const {status} = spawnSync(command, args, {stdio: ['ignore', 2, 2]});
  return status === 0;
}

/** What the tests use beyond Node: a command, the Debian package that has it, and what goes untested without it. */
const NEEDS = [
  ['cc', 'build-essential', 'owners killed and frozen at every system call'],
  ['mount', 'mount', 'full disks'],
];

function install() {
  const missing = NEEDS.filter(([command]) => !has(command));
  if (missing.length === 0) return;
  const packages = missing.map(([, name]) => name);
  if (asRoot && has('apt-get')) run('apt-get', ['install', '-y', '--no-install-recommends', ...packages]);
  for (const [command, name, what] of missing) {
    if (!has(command))
      console.error(`${command} is missing (Debian: apt-get install ${name}): not tested: ${what}`);
  }
}

/** Passes ava's TAP on and counts it. Arguments choose test files, all by default. */
async function runAva(args) {
  const counts = {passed: 0, failed: 0, skipped: 0};
  const ava = spawn('ava', ['--tap', ...args], {stdio: ['ignore', 'pipe', 'inherit']});
  for await (const line of createInterface({input: ava.stdout})) {
    console.log(line);
    const result = /^(not ok|ok) \d+/.exec(line)?.[1];
    if (result === 'not ok') counts.failed++;
    else if (result === 'ok') counts[/# (SKIP|TODO)/.test(line) ? 'skipped' : 'passed']++;
  }
  const status = ava.exitCode ?? (await new Promise(resolve => ava.once('exit', resolve)));
  // A crash or a time-out may leave no line behind.
  if (status !== 0 && counts.failed === 0) counts.failed++;
  return counts;
}

install();
if (!run('npm', ['run', '--silent', 'build:ts'])) process.exit(1);
const {passed, failed, skipped} = await runAva(process.argv.slice(2));
if (!asRoot && skipped > 0) console.error('some tests need root: sudo npm test');
console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
process.exitCode = failed > 0 || passed === 0 || (inCi && skipped > 0) ? 1 : 0;
