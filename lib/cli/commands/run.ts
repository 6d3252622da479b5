/** `locksmith run`: how does a program run while its lock is held, by it and by all its children? */
import {type ErrorCode, EXIT, isLockError} from '../../errors.js';
import type {Cycle} from '../../lock/config-lock.js';
import {findHolders} from '../../os/lock-survey.js';
import {describeProcess, waitForExit} from '../../os/process.js';
import type {GuardedConfig} from '../../recovery/guarded-config.js';
import {recoveryOptions} from '../../recovery/policy/rules.js';
import {
  ACQUIRE_OPTIONS,
  type AcquireGiven,
  type AcquireHow,
  acquireAsGiven,
  enterAsGiven,
} from '../acquire.js';
import {runChild} from '../child.js';
import type {CommandSpec} from '../command.js';
import {tellFailure} from '../failure.js';
import {note} from '../output.js';
import {policyFor} from '../policy.js';
import {openTarget} from '../resolve.js';
import {interruption} from '../signals.js';
import {parseStatus} from '../units.js';

interface RunGiven extends AcquireGiven {
  readonly shared?: true;
  readonly conflictExitCode: number;
}

/** What `-E` stands for: the lock could not be had. */
const NOT_HAD: ReadonlySet<ErrorCode> = new Set([
  'ERR_HOT',
  'ERR_ORPHANED',
  'ERR_ON_HOLD',
  'ERR_TIMED_OUT',
  'ERR_OWNER_UNKNOWN',
]);

function environment(config: GuardedConfig, epoch: number): Record<string, string> {
  return {LOCKSMITH_NAME: config.name, LOCKSMITH_FILE: config.file, LOCKSMITH_EPOCH: String(epoch)};
}

/** Other processes that share our description of the guard: what the program left running. */
async function heirs(config: GuardedConfig): Promise<number[]> {
  const pids = await findHolders(config.system, config.paths.guard);
  return pids.filter(pid => pid !== process.pid);
}

/** Waits until the last descendant that inherited the guard has ended; each end is an event. */
async function waitForHeirs(config: GuardedConfig): Promise<void> {
  using interrupted = interruption();
  for (let pids = await heirs(config); pids.length > 0; pids = await heirs(config)) {
    const who = pids.map(pid => describeProcess(config.system, pid)).join(', ');
    note(`locksmith: the program has ended, but ${who} still keeps ${config.name} locked; waiting for that`);
    await Promise.all(pids.map(pid => waitForExit(pid, {signal: interrupted.signal})));
  }
}

async function runAsOwner(
  config: GuardedConfig,
  command: readonly string[],
  options: AcquireHow,
  signal: AbortSignal,
): Promise<number> {
  const owned = await acquireAsGiven(config, options, signal);
  const status = await runChild(command, {
    descriptors: owned.descriptors,
    env: environment(config, owned.epoch),
  });
  await waitForHeirs(config);
  await owned.release();
  return status;
}

/** The gate goes to the program, so that the cycle lasts as long as it does. */
async function runInCycle(
  config: GuardedConfig,
  command: readonly string[],
  options: RunGiven,
  signal: AbortSignal,
): Promise<number> {
  using cycle: Cycle = await enterAsGiven(config, options, signal);
  return await runChild(command, {
    descriptors: cycle.descriptors,
    env: environment(config, config.bit.epoch()),
  });
}

async function runLocked(
  config: GuardedConfig,
  command: readonly string[],
  options: RunGiven & AcquireHow,
): Promise<number> {
  using interrupted = interruption();
  const run = options.shared ? runInCycle : runAsOwner;
  return await run(config, command, options, interrupted.signal);
}

export const runCommand: CommandSpec<RunGiven> = {
  name: 'run',
  group: 'Use:',
  summary: 'run a program while holding a lock',
  arguments: [
    ['<lock>', 'NAME of a lock, or the FILE that it guards; a FILE without a lock gets one'],
    ['<command...>', 'the program and its arguments, after --'],
  ],
  options: [
    {
      flags: '-s, --shared',
      what: 'enter a cycle instead of becoming the owner: many at once, none while a hold is in force or the file is HOT',
    },
    ...ACQUIRE_OPTIONS,
    {
      flags: '-E, --conflict-exit-code <status>',
      what: 'exit status when the lock is not to be had',
      parse: parseStatus,
      fallback: EXIT.no,
    },
  ],
  examples: [
    ['locksmith run /etc/aim/aim_lock_config.conf -- tune --nightly', 'as the owner'],
    ['locksmith run aim_lock_config -n -E 9 -- true', 'is it to be had? 9 says no'],
    ['locksmith run aim_lock_config -s -- read-it', 'one cycle of a reader'],
  ],
  about:
    'The letters are those of flock(1). The program and its children inherit the lock, so it stays locked while any of them lives, also when locksmith itself is killed. ' +
    'They find LOCKSMITH_NAME, LOCKSMITH_FILE and LOCKSMITH_EPOCH in their environment. Signals are passed on to the program.',
  exits: [
    ['any', 'the status of the program; 128 + N when signal N killed it'],
    [1, 'the lock was not to be had (or the status given by -E)'],
    [2, 'no such lock, or a failure'],
    [64, 'usage'],
    [126, 'the program can not be executed; 127: it was not found'],
  ],
  async run([target = '', ...command], options) {
    try {
      const policy = await policyFor(options);
      const config = await openTarget(target, options.name, policy);
      const recovery = recoveryOptions({}, policy.of(config.name).settings);
      return await runLocked(config, command, {...options, recovery});
    } catch (error) {
      if (!isLockError(error) || !NOT_HAD.has(error.code)) throw error;
      tellFailure(error, options);
      return options.conflictExitCode;
    }
  },
};
