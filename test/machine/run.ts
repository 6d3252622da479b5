/** Is the module right? Builds it, boots a machine with it, and runs the tests of test/vm inside. */
import {existsSync, readFileSync, rmSync} from 'node:fs';
import {constants} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {chooseAccelerator} from './accelerator.js';
import {Cache} from './cache.js';
import {CommandFailed, run} from './command.js';
import {DebianKernels, type Kernel, KernelUnavailable} from './debian.js';
import {buildModule} from './kernel-module.js';
import {howToInstall, MACHINE_NEEDS, provide} from './needs.js';
import {Outcome, PREFIX} from './outcome.js';
import {note, step} from './progress.js';
import {type Exit, type Machine, runMachine} from './qemu.js';
import {makeRootImage} from './root-image.js';
import type {TapReport} from './tap.js';

/** The kernels that the module is built for. The first one is booted, unless another one is asked for. */
export const SERIES = ['6.12', '6.1'] as const;

export interface MachineOptions {
  /** The kernel to boot. */
  readonly series?: string | undefined;
  /** What ava is called with inside: files and options. All tests by default. */
  readonly arguments?: readonly string[];
  readonly limitSeconds?: number;
}

const project = fileURLToPath(new URL('../../../', import.meta.url));
const LIMIT_SECONDS = 600;
/**
 * QEMU 7.2, with several emulated processors, now and then runs a breakpoint that Linux has long removed from its own
 * code: "Oops: int3" in one boot of a hundred, while most of that patching is done.
 */
const BOOT_ATTEMPTS = 3;

const PARAMETERS = [
  'LOCKSMITH_INSIDE_VM=1',
  // What it poisons and fences: the objects of our own cache, in pages that are not shared with others.
  'slab_nomerge',
  'slub_debug=FZP,locksmith_lock',
  // In CI a test that can't run fails, inside as well.
  ...(process.env['CI'] === undefined ? [] : [`CI=${process.env['CI']}`]),
];

/** Why nothing of this can run here; undefined when it can. */
function obstacle(): string | undefined {
  if (process.arch !== 'x64') return `there is no test machine for ${process.arch} yet`;
  const missing = provide(MACHINE_NEEDS);
  return missing.length > 0 ? howToInstall(missing) : undefined;
}

/** Builds the module for one kernel and reports that. Undefined when it does not build. */
async function moduleFor(cache: Cache, report: TapReport, kernel: Kernel): Promise<string | undefined> {
  const title = `${PREFIX}the module builds without a warning for Linux ${kernel.release}`;
  try {
    const module = await buildModule(cache, kernel, join(project, 'native/kernel'));
    report.pass(title);
    return module;
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error;
    report.fail(title, {message: error.message, output: error.output});
    return undefined;
  }
}

/** The same for a kernel that may not be had. */
async function moduleForSeries(cache: Cache, report: TapReport, kernels: DebianKernels, series: string) {
  try {
    const kernel = await kernels.newest(series);
    return {kernel, module: await moduleFor(cache, report, kernel)};
  } catch (error) {
    if (!(error instanceof KernelUnavailable)) throw error;
    note(error.message);
    report.skip(`${PREFIX}the module, on Linux ${series}`, 'there is no such kernel to be had');
    return undefined;
  }
}

async function buildAddon(): Promise<void> {
  if (existsSync(join(project, 'build/Release/locksmith.node'))) return;
  await step('building the addon', () => run(['npm', 'run', '--silent', 'build:native'], {cwd: project}));
}

/** Boots, if need be again: nothing of ours has run when a kernel does not come to its first process. */
async function runToEnd(machine: Machine, report: TapReport): Promise<{outcome: Outcome; exit: Exit}> {
  for (let attempt = 1; ; attempt++) {
    const outcome = new Outcome(report);
    const exit = await runMachine(machine, line => {
      if (outcome.take(line) === 'boot') note('booted, running the tests');
    });
    if (outcome.booted || exit.overdue || attempt === BOOT_ATTEMPTS) return {outcome, exit};
    note('Linux did not come up, trying again');
  }
}

/** Runs the tests in a machine with that kernel and module. */
async function runInside(
  cache: Cache,
  report: TapReport,
  {kernel, module}: {kernel: Kernel; module: string},
  {arguments: args = [], limitSeconds = LIMIT_SECONDS}: MachineOptions,
): Promise<void> {
  await buildAddon();
  const content = {project, module, arguments: args};
  const disk = await step('making the disk', () => makeRootImage(content, cache.scratch()));
  const accelerator = await chooseAccelerator(cache, kernel.image);
  const consolePath = cache.logPath(kernel.release);
  const failedBefore = report.counts.failed;
  const {outcome, exit} = await step(`Linux ${kernel.release} (${accelerator})`, () =>
    runToEnd(
      {
        kernel: kernel.image,
        disk,
        accelerator,
        parameters: PARAMETERS,
        console: consolePath,
        limitSeconds,
      },
      report,
    ),
  );
  const console = existsSync(consolePath) ? readFileSync(consolePath, 'utf8') : '';
  outcome.judge({exit, console, consolePath});
  if (report.counts.failed === failedBefore) rmSync(consolePath, {force: true});
}

/** Ends in order, so that neither a machine nor scratch folders are left. */
function exitOnSignals(): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => process.exit(128 + constants.signals[signal]));
  }
}

/** Adds the results of the module's build and of all that happens inside to a report. */
export async function testInMachine(report: TapReport, options: MachineOptions = {}): Promise<void> {
  const reason = obstacle();
  if (reason !== undefined) return report.skip(`${PREFIX}the module in a virtual machine`, reason);
  exitOnSignals();
  const cache = new Cache();
  const booted = options.series ?? SERIES[0];
  const kernels = new DebianKernels(cache, SERIES);
  const others = SERIES.filter(series => series !== booted);
  const chosen = await moduleForSeries(cache, report, kernels, booted);
  for (const series of others) await moduleForSeries(cache, report, kernels, series);
  if (chosen?.module !== undefined) {
    await runInside(cache, report, {kernel: chosen.kernel, module: chosen.module}, options);
  }
}
