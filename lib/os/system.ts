/** Which machine, which boot, which time? Everything about the surroundings is asked here, and can be replaced. */
import {readlinkSync} from 'node:fs';
import {hostname, tmpdir} from 'node:os';
import {LockError} from '../errors.js';
import {readText} from './read-text.js';

/** The surroundings that Locksmith reads; tests give other roots or another environment. */
export interface System {
  /** Where procfs is mounted: `/proc`. */
  readonly procRoot: string;
  /** Where sysfs is mounted: `/sys`. */
  readonly sysRoot: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Node name for people; it proves nothing. */
  readonly node: string;
  /** /etc/machine-id (machine-id(5)); undefined where there is none. */
  readonly machineId: string | undefined;
  /** Differs for each boot (random(4), /proc/sys/kernel/random/boot_id). */
  readonly bootId: string;
  /** Inode of our pid namespace, as /proc/self/ns/pid prints it. */
  readonly pidNamespace: string;
  /**
   * Inode of our time namespace, as /proc/self/ns/time prints it: start times of processes are shifted by it
   * (time_namespaces(7)). undefined where the kernel has none.
   */
  readonly timeNamespace: string | undefined;
  /** The kernel's log: `/dev/kmsg`, or a file of such records. */
  readonly kernelLog: string;
  /** The procfs is that of our own pid namespace: its numbers mean the same to system calls. */
  readonly ownProc: boolean;
  readonly uid: number;
  readonly tmpdir: string;
  /** Milliseconds since 1970, to show people and to seed epochs. */
  now(): number;
}

function readTrimmed(path: string): string | undefined {
  try {
    return readText(path).trim() || undefined;
  } catch {
    return undefined;
  }
}

function readNamespace(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

/** A procfs of an outer pid namespace shows us under a pid for each namespace in between; one of a sibling shows no `self`. */
function isOwnProc(procRoot: string): boolean {
  return /^NSpid:\t\d+$/m.test(readTrimmed(`${procRoot}/self/status`) ?? '');
}

/** Of this boot and of this process. Throws ERR_NO_PROC where procfs is not mounted: without it no verdict is possible. */
function readProc(procRoot: string): Pick<System, 'bootId' | 'pidNamespace'> {
  try {
    return {
      bootId: readText(`${procRoot}/sys/kernel/random/boot_id`).trim(),
      pidNamespace: readlinkSync(`${procRoot}/self/ns/pid`),
    };
  } catch (cause) {
    throw new LockError(
      'ERR_NO_PROC',
      `procfs is not mounted on ${procRoot}: nothing can be proven, so nothing is done`,
      {path: procRoot},
      {cause},
    );
  }
}

/** Reads the surroundings once. Throws ERR_NO_PROC. */
export function readSystem(changes: Partial<System> = {}): System {
  const procRoot = changes.procRoot ?? '/proc';
  return {
    procRoot,
    sysRoot: '/sys',
    env: process.env,
    node: hostname(),
    machineId: readTrimmed('/etc/machine-id'),
    ...readProc(procRoot),
    timeNamespace: readNamespace(`${procRoot}/self/ns/time`),
    kernelLog: '/dev/kmsg',
    ownProc: isOwnProc(procRoot),
    uid: process.geteuid?.() ?? 0,
    tmpdir: tmpdir(),
    now: Date.now,
    ...changes,
  };
}

/** The first time namespace has always this inode (PROC_TIME_INIT_INO, linux/proc_ns.h); kernels without them shift nothing. */
export function isFirstTimeNamespace({timeNamespace}: Pick<System, 'timeNamespace'>): boolean {
  return timeNamespace === undefined || timeNamespace === 'time:[4026531834]';
}

/** As the first time namespace (PROC_PID_INIT_INO). */
export function isFirstPidNamespace({pidNamespace}: Pick<System, 'pidNamespace'>): boolean {
  return pidNamespace === 'pid:[4026531836]';
}

let shared: System | undefined;

/** The surroundings of this process. */
export function system(): System {
  shared ??= readSystem();
  return shared;
}
