// Runs a script as root on a system that has never seen Locksmith: directories and a name for the node that go with it.
import {spawnSync} from 'node:child_process';
import {fileURLToPath} from 'node:url';

const PREPARE = `
hostname node-7
mount -t tmpfs none /run
mount -t tmpfs none /mnt
mkdir /mnt/upper /mnt/work
mount -t overlay overlay -o lowerdir=/etc,upperdir=/mnt/upper,workdir=/mnt/work /etc
mount -t tmpfs none /var/lib
exec "$@"`;

/** Returns inside; outside it starts the script again there, and ends with its status. `url` is the script's import.meta.url. */
export function enterFreshSystem(url) {
  if (process.argv.includes('--inside')) return;
  const inside = ['sh', '-ec', PREPARE, 'sh', process.execPath, fileURLToPath(url), '--inside'];
  process.exit(spawnSync('unshare', ['--mount', '--uts', ...inside], {stdio: 'inherit'}).status ?? 1);
}
