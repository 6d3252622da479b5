/** Is the module right? Builds it for all kernels, and runs the tests of test/vm in a machine with one of them. */
import {constants} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {Cache} from './cache.js';
import {CommandFailed} from './command.js';
import {DebianKernels, type Kernel, KernelUnavailable} from './debian.js';
import {debugKernel} from './debug-kernel.js';
import {type Inside, runInside} from './inside.js';
import {buildModule} from './kernel-module.js';
import {DEBUG_KERNEL_NEEDS, howToInstall, MACHINE_NEEDS, provide} from './needs.js';
import {PREFIX} from './outcome.js';
import {note} from './progress.js';
import {type Stages, splitStages} from './stages.js';
import type {Details, TapReport} from './tap.js';

/** The kernels that the module is built for. The first one is booted, unless another one is asked for. */
const SERIES = ['6.12', '6.1'];

const LIMIT_SECONDS = 1200;
/** A kernel that checks each access to memory takes its time. */
const DEBUG_LIMIT_SECONDS = 3600;

export interface MachineOptions {
  /** The kernel to boot, by its series: "6.1". */
  readonly series?: string | undefined;
  /** Boots a kernel that checks itself instead. */
  readonly debug?: boolean;
  /** What ava is called with inside: files and options. All tests by default. */
  readonly arguments?: readonly string[];
  readonly limitSeconds?: number | undefined;
}

const project = fileURLToPath(new URL('../../../', import.meta.url));

/** A kernel that checks itself is for the module's sake, and has not what systemd needs. */
function stagesOf(args: readonly string[], debug: boolean): Stages {
  const {plain, systemd} = splitStages(args);
  return {...(plain && {plain}), ...(systemd && !debug && {systemd})};
}

/** What a machine is booted with. */
type Bootable = Pick<Inside, 'kernel' | 'module'>;

/** Why nothing of this can run here; undefined when it can. */
function obstacle(debug: boolean): string | undefined {
  if (process.arch !== 'x64') return `there is no test machine for ${process.arch} yet`;
  const missing = provide(debug ? [...MACHINE_NEEDS, ...DEBUG_KERNEL_NEEDS] : MACHINE_NEEDS);
  return missing.length > 0 ? howToInstall(missing) : undefined;
}

function detailsOf(error: Error): Details {
  return {
    message: error.message,
    output: error instanceof CommandFailed ? error.output : (error.stack ?? ''),
  };
}

/** Builds the module for a kernel, and reports that. Undefined when it does not build. */
async function withModule(cache: Cache, report: TapReport, kernel: Kernel): Promise<Bootable | undefined> {
  const title = `${PREFIX}the module builds without a warning for Linux ${kernel.release}`;
  try {
    const module = await buildModule(cache, kernel, join(project, 'native/kernel'));
    report.pass(title);
    return {kernel, module};
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error;
    report.fail(title, detailsOf(error));
    return undefined;
  }
}

/** The module with each of Debian's kernels; gives the first of them. */
async function onDebian(cache: Cache, report: TapReport, first: string): Promise<Bootable | undefined> {
  const all = [first, ...SERIES.filter(series => series !== first)];
  const kernels = new DebianKernels(cache, all);
  const bootables = [];
  for (const series of all) {
    try {
      bootables.push(await withModule(cache, report, await kernels.newest(series)));
    } catch (error) {
      if (!(error instanceof KernelUnavailable)) throw error;
      note(error.message);
      report.skip(`${PREFIX}the module on Linux ${series}`, 'there is no such kernel to be had');
      bootables.push(undefined);
    }
  }
  return bootables[0];
}

async function onDebugKernel(cache: Cache, report: TapReport): Promise<Bootable | undefined> {
  return withModule(cache, report, await debugKernel(cache, join(project, 'test/machine/debug.config')));
}

/** Ends in order, so that neither a machine nor scratch folders are left. */
function exitOnSignals(): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => process.exit(128 + constants.signals[signal]));
  }
}

/** Adds the results of the module's build and of all that happens inside to a report. */
export async function testInMachine(report: TapReport, options: MachineOptions = {}): Promise<void> {
  const {series = SERIES[0] ?? '', debug = false, arguments: args = []} = options;
  const {limitSeconds = debug ? DEBUG_LIMIT_SECONDS : LIMIT_SECONDS} = options;
  const reason = obstacle(debug);
  if (reason !== undefined) return report.skip(`${PREFIX}the module in a virtual machine`, reason);
  exitOnSignals();
  const cache = new Cache();
  try {
    const bootable = await (debug ? onDebugKernel(cache, report) : onDebian(cache, report, series));
    if (bootable)
      await runInside(cache, report, {...bootable, project, stages: stagesOf(args, debug), limitSeconds});
  } catch (error) {
    report.fail(`${PREFIX}the machine can be made`, detailsOf(error as Error));
  }
}
