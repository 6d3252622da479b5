// Do the models of the protocols hold, and is each fault that is seeded into them found? Arguments choose models: npm run test:model -- hold force
import {spawnSync} from 'node:child_process';

if (spawnSync('npm', ['run', '--silent', 'build:ts'], {stdio: ['ignore', 2, 2]}).status !== 0)
  process.exit(1);
const {TapReport} = await import('../dist/test/machine/tap.js');
const {testModels} = await import('../dist/test/model/check.js');

const report = new TapReport();
await testModels(report, process.argv.slice(2));
process.exitCode = report.end();
