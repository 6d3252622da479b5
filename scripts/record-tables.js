// Makes the tables in test/recorded again: boots Debian's kernels, one after the other, and records what they say.
import {spawnSync} from 'node:child_process';

const series = process.argv.length > 2 ? process.argv.slice(2) : ['5.10', '6.1', '6.12'];
if (spawnSync('npm', ['run', '--silent', 'build:ts'], {stdio: ['ignore', 2, 2]}).status !== 0)
  process.exit(1);
const {recordTables} = await import('../dist/test/machine/record.js');
for (const one of series) await recordTables(one, 'test/recorded');
