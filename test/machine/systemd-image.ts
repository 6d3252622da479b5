/** What must be on the disk so that systemd can be process 1 of the test machine, and Locksmith a service of it? */
import {cpSync, mkdirSync, symlinkSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';

/** From Debian's packages systemd and dbus, in their own places. */
export const PROGRAMS = [
  '/usr/lib/systemd/systemd',
  '/usr/lib/systemd/systemd-journald',
  ...'systemctl journalctl systemd-analyze systemd-run dbus-daemon'
    .split(' ')
    .map(name => `/usr/bin/${name}`),
];

/** Of all units, those without which nothing starts: no disks, no devices, nobody who logs in. */
const UNITS = [
  ...'basic local-fs local-fs-pre multi-user paths shutdown slices sockets swap sysinit timers umount'
    .split(' ')
    .map(name => `${name}.target`),
  'systemd-journald.service',
  'systemd-journald.socket',
  'systemd-journald-dev-log.socket',
  'dbus.service',
  'dbus.socket',
];

/** The bus, and who may ask systemd what on it. */
const BUS = ['system.conf', 'system.d/org.freedesktop.systemd1.conf'];

/** The last unit that starts: all else is up. It gets the variables that came with the kernel's command line. */
const TESTS = `[Unit]
Description=The tests under systemd
Requires=dbus.service
After=basic.target dbus.service systemd-journald.service
Wants=basic.target systemd-journald.service
[Service]
Type=oneshot
PassEnvironment=CI
Environment=LOCKSMITH_INSIDE_VM=systemd
ExecStart=/init under-systemd
`;

/** On the console it is there for whoever looks into a failure. */
const JOURNAL =
  '[Journal]\nStorage=volatile\nRateLimitIntervalSec=0\nForwardToConsole=yes\nMaxLevelConsole=info\n';

/** Adds units and settings; the programs are there already. The project is below /vm. */
export function addSystemd(root: string, packaging: string): void {
  const units = join(root, 'usr/lib/systemd/system');
  mkdirSync(units, {recursive: true});
  for (const unit of UNITS) cpSync(join('/usr/lib/systemd/system', unit), join(units, unit));
  writeFileSync(join(units, 'tests.service'), TESTS);
  for (const file of BUS) cpSync(join('/usr/share/dbus-1', file), join(root, 'usr/share/dbus-1', file));
  symlinkSync('../run', join(root, 'var/run'));
  mkdirSync(join(root, 'etc/systemd'));
  writeFileSync(join(root, 'etc/systemd/journald.conf'), JOURNAL);
  writeFileSync(join(root, 'etc/machine-id'), `${'5'.repeat(32)}\n`);
  // As docs/operations.md has it installed.
  cpSync(join(packaging, 'systemd'), units, {recursive: true});
  symlinkSync('/vm/dist/lib/cli/main.js', join(root, 'usr/bin/locksmith'));
}
