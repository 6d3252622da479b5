/** How is the test machine started, and what comes out of it? */
import {type ChildProcessByStdio, spawn} from 'node:child_process';
import {once} from 'node:events';
import {createInterface} from 'node:readline';
import type {Readable} from 'node:stream';
import {text} from 'node:stream/consumers';
import {environment} from './command.js';

/** How the processor is made: by the host's, or in software. */
export type Accelerator = 'kvm' | 'tcg';

export interface Machine {
  readonly kernel: string;
  /** A disk with the root file system; what is written to it is lost. */
  readonly disk?: string;
  readonly accelerator: Accelerator;
  /** For the kernel's command line. Init gets those with "=" as variables when the kernel does not know them. */
  readonly parameters: readonly string[];
  /** File for all that comes on the first serial port. */
  readonly console: string;
  readonly limitSeconds: number;
}

/** How QEMU ended. */
export interface Exit {
  /** 33 or more: the machine left by itself with (status - 33) / 2. A panic ends with 0. */
  readonly status: number | null;
  readonly overdue: boolean;
  /** What QEMU itself complained about. */
  readonly complaints: string;
}

const ACCELERATION: Record<Accelerator, readonly string[]> = {
  kvm: ['-accel', 'kvm', '-cpu', 'host'],
  // Programs take AVX where they see it; emulated, it costs a fifth more time than it would save.
  tcg: ['-accel', 'tcg,thread=multi', '-cpu', 'max,-avx'],
};

/**
 * The kernel reboots after a panic, and QEMU ends instead of rebooting. Nobody attacks the machine, and what keeps attackers
 * out costs an eighth of the time.
 */
const PARAMETERS =
  'console=ttyS0 printk.time=1 quiet panic=-1 oops=panic hung_task_panic=1 mitigations=off'.split(' ');
const ROOT_PARAMETERS = ['root=/dev/nvme0n1', 'rw', 'rootwait', 'devtmpfs.mount=1', 'init=/init'];

/** Of timeout(1): when SIGTERM was enough, and when not. */
const OVERDUE = new Set<number | null>([124, 137]);

/** Kernels of clouds have a driver for NVMe built in, so that no initramfs is needed. */
function diskArguments(disk: string): string[] {
  const drive = `file=${disk},if=none,id=root,format=raw,cache=unsafe,snapshot=on`;
  return ['-drive', drive, '-device', 'nvme,drive=root,serial=root'];
}

function qemuArguments({kernel, disk, accelerator, parameters, console}: Machine): string[] {
  const root = disk === undefined ? [] : ROOT_PARAMETERS;
  return [
    '-nodefaults -no-user-config -machine q35 -smp 2 -m 1536 -display none -nic none -no-reboot'.split(' '),
    ['-device', 'isa-debug-exit,iobase=0xf4,iosize=4'],
    ACCELERATION[accelerator],
    ['-serial', `file:${console}`, '-serial', 'stdio'],
    ['-kernel', kernel, '-append', [...PARAMETERS, ...root, ...parameters].join(' ')],
    disk === undefined ? [] : diskArguments(disk),
  ].flat();
}

/** timeout(1) ends the machine also when we are gone, and passes our SIGTERM on. */
function start(machine: Machine): ChildProcessByStdio<null, Readable, Readable> {
  const limit = ['--foreground', '--kill-after=5', String(machine.limitSeconds)];
  const child = spawn('timeout', [...limit, 'qemu-system-x86_64', ...qemuArguments(machine)], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: environment,
  });
  const end = () => child.kill();
  process.once('exit', end);
  child.once('exit', () => process.off('exit', end));
  return child;
}

/** Runs a machine to its end. `onLine` gets each line that comes on the second serial port. */
export async function runMachine(machine: Machine, onLine: (line: string) => void): Promise<Exit> {
  const child = start(machine);
  createInterface({input: child.stdout}).on('line', onLine);
  const [complaints] = await Promise.all([text(child.stderr), once(child, 'close')]);
  return {status: child.exitCode, overdue: OVERDUE.has(child.exitCode), complaints: complaints.trim()};
}
