// Tests the kernel module and the service in a virtual machine: builds the module, boots a kernel with it, and runs test/vm inside.
import {spawnSync} from 'node:child_process';
import {existsSync} from 'node:fs';
import {parseArgs} from 'node:util';

const USAGE = `usage: npm run test:vm -- [--kernel SERIES | --debug] [--match TITLE] [--limit SECONDS] [FILE|NAME ...]
  FILE, NAME       what to run inside, all of test/vm by default: test/vm/boot.test.ts, or just boot
  --match TITLE    only tests with that title; * stands for anything. Of test/vm/systemd those of a FILE that is named
  --kernel SERIES  the kernel to boot: 6.12 (default) or 6.1
  --debug          a kernel with KASAN, lockdep and kmemleak instead, which is built once: five to ten minutes
  --limit SECONDS  how long the machine may run: 600 by default, an hour with --debug`;

const OPTIONS = {
  kernel: {type: 'string'},
  match: {type: 'string', multiple: true, default: []},
  debug: {type: 'boolean', default: false},
  limit: {type: 'string'},
  help: {type: 'boolean', short: 'h'},
};

function parse() {
  try {
    return parseArgs({allowPositionals: true, options: OPTIONS});
  } catch (error) {
    console.error(`${error.message}\n${USAGE}`);
    process.exit(2);
  }
}

/** test/vm/boot.test.ts, dist/test/vm/boot.test.js and boot are the same; so are systemd/service and service. */
function compiled(name) {
  const short = name.replace(/^(dist\/)?test\/vm\//, '').replace(/\.test\.[jt]s$/, '');
  const [plain, underSystemd] = ['', 'systemd/'].map(folder => `dist/test/vm/${folder}${short}.test.js`);
  return existsSync(underSystemd) ? underSystemd : plain;
}

const {values, positionals} = parse();
if (values.help) {
  console.log(USAGE);
  process.exit();
}
if (spawnSync('npm', ['run', '--silent', 'build:ts'], {stdio: ['ignore', 2, 2]}).status !== 0)
  process.exit(1);
const {TapReport} = await import('../dist/test/machine/tap.js');
const {testInMachine} = await import('../dist/test/machine/run.js');

const report = new TapReport();
await testInMachine(report, {
  series: values.kernel,
  debug: values.debug,
  limitSeconds: values.limit === undefined ? undefined : Number(values.limit),
  arguments: [...values.match.map(title => `--match=${title}`), ...positionals.map(compiled)],
});
process.exitCode = report.end();
