/** How do the tests get into a machine, and their results out of it? */
import {existsSync, readFileSync, rmSync} from 'node:fs';
import {join} from 'node:path';
import {chooseAccelerator} from './accelerator.js';
import type {Cache} from './cache.js';
import {run} from './command.js';
import type {Kernel} from './debian.js';
import {Outcome} from './outcome.js';
import {note, step} from './progress.js';
import {type Exit, type Machine, runMachine} from './qemu.js';
import {makeRootImage} from './root-image.js';
import type {Stages} from './stages.js';
import type {TapReport} from './tap.js';

/** What runs inside, and on what. */
export interface Inside {
  readonly kernel: Kernel;
  /** Path of the module that was built for it. */
  readonly module: string;
  /** The project's folder. */
  readonly project: string;
  /** What ava is called with. */
  readonly stages: Stages;
  readonly limitSeconds: number;
}

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

async function buildAddon(project: string): Promise<void> {
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

/** Runs the tests to their end, or to the machine's. */
export async function runInside(cache: Cache, report: TapReport, inside: Inside): Promise<void> {
  const {kernel, project, limitSeconds} = inside;
  await buildAddon(project);
  const disk = await step('making the disk', () => makeRootImage(inside, cache.scratch()));
  const accelerator = await chooseAccelerator(cache, kernel.image);
  const consolePath = cache.logPath(kernel.release);
  const machine = {kernel: kernel.image, disk, accelerator, console: consolePath, limitSeconds};
  const failedBefore = report.counts.failed;
  const {outcome, exit} = await step(`Linux ${kernel.release} (${accelerator})`, () =>
    runToEnd({...machine, parameters: PARAMETERS}, report),
  );
  const console = existsSync(consolePath) ? readFileSync(consolePath, 'utf8') : '';
  outcome.judge({exit, console, consolePath});
  if (report.counts.failed === failedBefore) rmSync(consolePath, {force: true});
}
