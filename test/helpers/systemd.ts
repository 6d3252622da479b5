/**
 * Where does a test meet a real systemd? It starts one as process 1 of namespaces of its own, where all of the machine is
 * read-only but one directory, and no unit exists but those that the test has written there.
 */
import {type ChildProcess, execFileSync, spawn} from 'node:child_process';
import {once} from 'node:events';
import {existsSync, mkdirSync, readFileSync, writeFileSync} from 'node:fs';
import {readFile} from 'node:fs/promises';
import {join} from 'node:path';
import type {ExecutionContext} from 'ava';
import {cgroup, inside, noCgroups} from './cgroup.js';

const SYSTEMD = '/usr/lib/systemd/systemd';
const DBUS = '/usr/bin/dbus-daemon';

/** What is not there for these tests, undefined when all is. */
export const noSystemd =
  noCgroups ?? (existsSync(SYSTEMD) && existsSync(DBUS) ? undefined : 'the packages systemd and dbus');

/** Makes the machine read-only for what follows, and has no way back: it needs a mount namespace of its own. */
const SEAL = `
set -e
mount --make-rprivate /
mount --bind "$1" "$1"
[ -z "$LOCKSMITH_HISTORY" ] || mount --bind "$LOCKSMITH_HISTORY" "$LOCKSMITH_HISTORY"
mount -t tmpfs run /run
mount -t tmpfs dev /mnt
for node in null zero full random urandom tty; do touch /mnt/$node; mount --bind /dev/$node /mnt/$node; done
mkdir /mnt/shm /mnt/pts
mount --move /mnt /dev
umount -R /sys/fs/cgroup
mount -o remount,bind,ro /sys
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
mount -o remount,bind,ro /
exec env -i PATH="$PATH" container=locksmith-test SYSTEMD_UNIT_PATH="$1/units" SYSTEMD_GENERATOR_PATH=/none \\
  SYSTEMD_ENVIRONMENT_GENERATOR_PATH=/none ${SYSTEMD} --system --unit=ready.service --log-target=null --show-status=0
`;

const UNITS: Readonly<Record<string, string>> = {
  'dbus.socket': '[Socket]\nListenStream=/run/dbus/system_bus_socket\n',
  'dbus.service': `[Unit]
Requires=dbus.socket
[Service]
Type=notify
ExecStart=${DBUS} --system --address=systemd: --nofork --nopidfile --systemd-activation --syslog-only
`,
};

/** A systemd that runs. */
export interface Systemd {
  /** Words of a command that becomes what follows, in there, and ends with whoever waits for it. */
  readonly inside: readonly [string, ...string[]];
  /** Adds a unit, or changes it. */
  define(name: string, text: string): void;
  /** Runs systemctl in there and gives what it prints; throws when it fails. */
  ctl(...words: string[]): string;
  /** `KEY=VALUE` of a unit. */
  show(unit: string, property: string): string;
}

/** A unit without what units have by default: there is no other that it could depend on. */
function writeUnit(directory: string, name: string, text: string): void {
  const unit = text.startsWith('[Unit]\n') ? text : `[Unit]\n${text}`;
  writeFileSync(join(directory, 'units', name), unit.replace('[Unit]\n', '[Unit]\nDefaultDependencies=no\n'));
}

/** Starts one that can write below one directory only. It ends with the test. */
export async function startSystemd(t: ExecutionContext, directory: string): Promise<Systemd> {
  mkdirSync(join(directory, 'units'));
  const ready = join(directory, 'ready');
  execFileSync('mkfifo', [ready]);
  const text = `[Unit]\nRequires=dbus.service\nAfter=dbus.service\n[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo ready > ${ready}'\n`;
  for (const [name, unit] of Object.entries({...UNITS, 'ready.service': text}))
    writeUnit(directory, name, unit);
  const namespaces = ['--pid', '--fork', '--mount', '--mount-proc', '--cgroup', '--net', '--uts', '--ipc'];
  const [sh, ...words] = inside(cgroup(t));
  const child = spawn(
    sh,
    [...words, 'unshare', ...namespaces, '--kill-child', 'sh', '-c', SEAL, 'sh', directory],
    {stdio: ['ignore', 'ignore', 'pipe']},
  );
  t.teardown(() => end(child));
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
  await Promise.race([readFile(ready), once(child, 'exit')]);
  if (child.exitCode !== null) throw new Error(`systemd ended with ${child.exitCode}: ${said}`);
  const first = firstOf(child);
  const enter = ['nsenter', '--all', `--target=${first}`] as const;
  const ctl = (...given: string[]) =>
    execFileSync(enter[0], [...enter.slice(1), 'systemctl', ...given], {encoding: 'utf8'});
  return {
    inside: [...enter, 'setpriv', '--pdeathsig', 'KILL'],
    define(name, unit) {
      writeUnit(directory, name, unit);
      ctl('daemon-reload');
    },
    ctl,
    show: (unit, property) => ctl('show', `--property=${property}`, '--value', '--', unit).trim(),
  };
}

/** Process 1 in there, as we see it. */
function firstOf(child: ChildProcess): number {
  return Number(readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim());
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  // The kernel ends all that is in there with it, before it is gone itself.
  process.kill(firstOf(child), 'SIGKILL');
  await gone;
}
