/** What do tests use beyond Node, and how does it get here? */
import {spawnSync} from 'node:child_process';
import {existsSync} from 'node:fs';
import {environment} from './command.js';

/** A command, a shared library or a file, the Debian package that has it, and what goes untested without it. */
export type Need = readonly [name: string, debianPackage: string, what: string];

const MACHINE = 'the kernel module, in a virtual machine';
const DEBUG_KERNEL = 'the kernel module, on a kernel that checks itself';

const UNITS = 'orchestrators that are units of systemd';

export const ORDINARY_NEEDS: readonly Need[] = [
  ['cc', 'build-essential', 'owners killed and frozen at every system call'],
  ['mount', 'mount', 'full disks'],
  ['mkfs.btrfs', 'btrfs-progs', 'locks in subvolumes of btrfs'],
  ['/usr/lib/systemd/systemd', 'systemd', UNITS],
  ['dbus-daemon', 'dbus', UNITS],
  ['chromium', 'chromium', 'the status page, in a browser'],
  ['etcd', 'etcd-server', 'the fleet, on a real etcd'],
  ['etcdctl', 'etcd-client', 'the fleet, on a real etcd'],
  ['openssl', 'openssl', 'etcd with TLS'],
];

export const MACHINE_NEEDS: readonly Need[] = [
  ['qemu-system-x86_64', 'qemu-system-x86', MACHINE],
  ['busybox', 'busybox-static', MACHINE],
  ['mke2fs', 'e2fsprogs', MACHINE],
  ['gcc-12', 'gcc-12', MACHINE],
  ['make', 'build-essential', MACHINE],
  ['dpkg-deb', 'dpkg', MACHINE],
  ['/usr/lib/systemd/systemd', 'systemd', 'the daemon as a service'],
  ['dbus-daemon', 'dbus', 'the daemon as a service'],
  // objtool of the kernel's headers
  ['libelf.so.1', 'libelf1', MACHINE],
];

export const DEBUG_KERNEL_NEEDS: readonly Need[] = [
  ['flex', 'flex', DEBUG_KERNEL],
  ['bison', 'bison', DEBUG_KERNEL],
  ['bc', 'bc', DEBUG_KERNEL],
  ['xz', 'xz-utils', DEBUG_KERNEL],
  ['/usr/include/libelf.h', 'libelf-dev', DEBUG_KERNEL],
];

const FUZZ = 'the parsers of /proc/locks and fdinfo, fuzzed';

export const FUZZ_NEEDS: readonly Need[] = [
  ['clang++-14', 'clang-14', FUZZ],
  ['/usr/lib/llvm-14/lib/clang/14.0.6/lib/linux/libclang_rt.fuzzer-x86_64.a', 'libclang-rt-14-dev', FUZZ],
];

export const MODEL_NEEDS: readonly Need[] = [
  ['spin', 'spin', 'the model of the protocols'],
  ['cc', 'build-essential', 'the model of the protocols'],
];

function has(name: string): boolean {
  if (name.startsWith('/')) return existsSync(name);
  const test = name.includes('.so.') ? 'ldconfig -p | grep -qF "$1"' : 'command -v "$1"';
  return spawnSync('sh', ['-c', test, 'sh', name], {stdio: 'ignore', env: environment}).status === 0;
}

/** Installs what is missing where we may, and gives what still is. */
export function provide(needs: readonly Need[]): readonly Need[] {
  const missing = needs.filter(([name]) => !has(name));
  if (missing.length === 0 || process.getuid?.() !== 0 || !has('apt-get')) return missing;
  const packages = [...new Set(missing.map(([, debianPackage]) => debianPackage))];
  spawnSync('apt-get', ['install', '-q', '-y', '--no-install-recommends', ...packages], {
    stdio: ['ignore', 2, 2],
    env: {...environment, DEBIAN_FRONTEND: 'noninteractive'},
  });
  return missing.filter(([name]) => !has(name));
}

/** What to do about what is missing, and what is not tested until then. */
export function howToInstall(missing: readonly Need[]): string {
  const column = (index: 0 | 1 | 2, separator: string) =>
    [...new Set(missing.map(need => need[index]))].join(separator);
  return `missing: ${column(0, ', ')} (Debian: apt-get install ${column(1, ' ')}); not tested: ${column(2, '; ')}`;
}
