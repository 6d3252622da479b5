// Measures Locksmith side by side with C and with other packages: npm run bench [-- --case abc --smoke --json]
import {spawnSync} from 'node:child_process';
import {existsSync} from 'node:fs';
import {fileURLToPath} from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

function must(command, ...args) {
  const {status} = spawnSync(command, args, {cwd: root, stdio: ['inherit', 2, 2]});
  if (status !== 0) process.exit(status ?? 1);
}

must('npm', 'run', '--silent', 'build:ts');
// The packages that it is measured against are those of the bench alone.
if (!existsSync(`${root}bench/node_modules`))
  must('npm', 'install', '--prefix', 'bench', '--no-audit', '--no-fund');
process.argv.splice(1, 1, 'npm run bench --');
await import('../dist/bench/main.js');
