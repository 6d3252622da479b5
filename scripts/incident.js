// Plays the incident of docs/operations.md with real processes, as root on a system of its own, and writes what was typed and answered into that page.
import {spawn, spawnSync} from 'node:child_process';
import {once} from 'node:events';
import {chmodSync, mkdirSync, readFileSync, writeFileSync} from 'node:fs';
import {fileURLToPath} from 'node:url';
import {enterFreshSystem} from './fresh-system.js';

const page = new URL('../docs/operations.md', import.meta.url);
const BEGIN = '<!-- npm run docs:incident writes what follows -->';
const END = '<!-- until here -->';
const MAIN = fileURLToPath(new URL('../dist/lib/cli/main.js', import.meta.url));

enterFreshSystem(import.meta.url);

mkdirSync('/run/bin');
writeFileSync('/run/bin/locksmith', `#!/bin/sh\nexec ${process.execPath} ${MAIN} "$@"\n`);
chmodSync('/run/bin/locksmith', 0o755);
const env = {PATH: `/run/bin:${process.env.PATH}`};
mkdirSync('/etc/aim');
mkdirSync('/etc/locksmith', {recursive: true});
writeFileSync('/etc/aim/aim_lock_config.conf', 'gain = 7\n');
writeFileSync('/run/next.conf', 'gain = 9\n');
writeFileSync(
  '/etc/locksmith/aim.yaml',
  'locks:\n  aim_lock_config:\n    file: /etc/aim/aim_lock_config.conf\n    validate: grep -q "^gain = " "$1"\n    hold: 90s\n',
);

/** Types a command, and gives what a terminal would show. */
function type(command) {
  const {stdout, status} = spawnSync('sh', ['-c', `exec 2>&1; ${command}`], {env, encoding: 'utf8'});
  return {text: `$ ${command}\n${stdout}`, status};
}

/** Commands as a terminal would show them; each must end as it is told here. */
function terminal(...commands) {
  const texts = commands.map(([command, wanted]) => {
    const {text, status} = type(command);
    if (status !== wanted) throw new Error(`${command} ended with ${status}:\n${text}`);
    return text;
  });
  return `\`\`\`console\n${texts.join('')}\`\`\``;
}

/** An update whose writer is killed when the next content is complete, and not yet in its place. */
async function cutShort() {
  const updating = spawn(
    'sh',
    [
      '-c',
      'exec locksmith update aim_lock_config --purpose "nightly tuning" --validate "echo in; sleep 1000" < /run/next.conf',
    ],
    {
      env,
      stdio: ['ignore', 'ignore', 'pipe'],
      detached: true,
    },
  );
  await once(updating.stderr, 'data');
  process.kill(-Number(updating.pid), 'SIGKILL');
  await once(updating, 'exit');
}

await cutShort();
const hot = terminal(
  ['locksmith update aim_lock_config < /run/next.conf', 1],
  ['locksmith explain aim_lock_config', 0],
);
const clear = terminal(
  ['locksmith recover aim_lock_config --reason "incident 42"; echo "exit status $?"', 0],
  ['locksmith update aim_lock_config < /run/next.conf', 0],
  ['locksmith log --verify', 0],
);
await cutShort();
spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=256k,mode=755', 'none', '/var/lib/locksmith']);
spawnSync('sh', ['-c', 'echo 0 > /var/lib/locksmith/epoch; cat /dev/zero > /var/lib/locksmith/core']);
const full = terminal(
  ['locksmith recover aim_lock_config; echo "exit status $?"', 0],
  ['locksmith recover aim_lock_config --audit-to /run/audit.jsonl | tail -n 8', 0],
);
spawnSync('umount', ['/var/lib/locksmith']);
const imported = terminal(['locksmith log --import /run/audit.jsonl', 0], ['locksmith log --verify', 0]);

const text = `
The file can't be used, and the next who wants to change it is told so. \`explain\` says who left it, how that is known, and what next:

${hot}

DEAD: so it is taken back. Nothing is decided by hand here; if somebody stood in the way, he would be named, and nothing would have been changed.

${clear}

The update that was cut short was rolled back, so it is simply made again.

### The same with a full disk

What can't be recorded is not done. The records may go elsewhere, and come home when there is room:

${full}

${imported}

`;
const [before, rest] = readFileSync(page, 'utf8').split(BEGIN);
const [, after] = rest.split(END);
writeFileSync(page, `${before}${BEGIN}\n${text}${END}${after}`);
