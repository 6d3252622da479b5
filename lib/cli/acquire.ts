/** How does a command become the owner of a lock: at once, within a time, or however long it takes? */
import {constants} from 'node:fs';
import {basename} from 'node:path';
import {isLockError, LockError} from '../errors.js';
import type {Cycle} from '../lock/config-lock.js';
import {isClosed} from '../lock/gate.js';
import type {OwnedConfig} from '../lock/owned-config.js';
import {Deadline} from '../os/deadline.js';
import {LockFile} from '../os/lock-file.js';
import {listLocks} from '../os/lock-table.js';
import type {GuardedAcquireOptions, GuardedConfig} from '../recovery/guarded-config.js';
import {summarize} from '../recovery/verdict.js';
import type {Given, OptionSpec} from './command.js';
import {showProgress} from './progress.js';
import {POLICY_OPTIONS, type PolicyGiven} from './policy.js';
import {NAME_OPTION} from './resolve.js';
import {parseSeconds} from './units.js';

/** Options of every command that takes a lock. */
export interface AcquireGiven extends Given, PolicyGiven {
  readonly nonblock?: true;
  /** Milliseconds. */
  readonly wait?: number;
  readonly name?: string;
  readonly purpose?: string;
  readonly onOrphan: 'fail' | 'wait' | 'recover';
}

export const ACQUIRE_OPTIONS: readonly OptionSpec[] = [
  {flags: '-n, --nonblock', what: 'refuse at once instead of waiting'},
  {flags: '-w, --wait <secs>', what: 'wait at most that long, decimals allowed', parse: parseSeconds},
  NAME_OPTION,
  {flags: '--purpose <text>', what: 'why; whoever finds the lock taken reads it'},
  {
    flags: '--on-orphan <what>',
    what: 'if the last owner died in the middle: fail, wait until somebody has recovered it, or recover it',
    choices: ['fail', 'wait', 'recover'],
    fallback: 'fail',
  },
  ...POLICY_OPTIONS,
];

function isOnHold(config: GuardedConfig): boolean {
  using gate = LockFile.open(config.paths.gate, {flags: constants.O_RDONLY});
  return isClosed(gate);
}

/** Processes that keep the gate shut. */
async function holdersOfGate(config: GuardedConfig): Promise<number[]> {
  const {locks} = await listLocks({path: config.paths.gate, system: config.system});
  return [
    ...new Set(
      locks.filter(({mode}) => mode === 'exclusive').flatMap(({holders}) => holders.map(({pid}) => pid)),
    ),
  ];
}

async function onHold(config: GuardedConfig): Promise<LockError> {
  const pids = await holdersOfGate(config);
  const who = pids.length > 0 ? ` by pid ${pids.join(', pid ')}` : '';
  return new LockError('ERR_ON_HOLD', `${config.name} is on hold${who}`, {
    lock: config.name,
    path: config.file,
    pids,
  });
}

/** Why the lock is not to be had now: HOT with its owner, on hold, or just taken. */
export async function refusal(config: GuardedConfig): Promise<LockError> {
  const verdict = await config.examine();
  const {owner, epoch} = verdict;
  const facts = {
    lock: config.name,
    path: config.file,
    verdict,
    ...(owner && {owner}),
    ...(epoch !== null && {epoch}),
  };
  if (verdict.hot) return new LockError('ERR_HOT', `${basename(config.file)}: HOT`, facts);
  if (isOnHold(config)) return onHold(config);
  return new LockError(
    'ERR_TIMED_OUT',
    `${summarize(verdict)} It was not to be had in the time given.`,
    facts,
  );
}

/** Adds who the dead owner was to the refusal that met him. */
async function withVerdict(config: GuardedConfig, error: unknown): Promise<unknown> {
  if (!isLockError(error, 'ERR_ORPHANED')) return error;
  const {code, message, owner, epoch} = error;
  const verdict = await config.examine();
  return new LockError(
    code,
    message,
    {
      lock: config.name,
      path: config.file,
      verdict,
      ...(owner ? {owner} : {}),
      ...(epoch !== undefined && {epoch}),
    },
    {cause: error},
  );
}

async function acquireAtOnce(config: GuardedConfig, purpose: string | undefined): Promise<OwnedConfig> {
  const owned = await config.tryAcquire({purpose});
  if (!owned) throw await refusal(config);
  return owned;
}

/** Runs a wait within the time that was given, and says so when it lasts. Rejects with the refusal when the time is over. */
async function waitFor<T>(
  config: GuardedConfig,
  {wait, json}: Pick<AcquireGiven, 'wait' | 'json'>,
  outer: AbortSignal,
  act: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  using deadline = wait === undefined ? undefined : new Deadline(wait, outer);
  const remaining = deadline && (() => deadline.remaining());
  using _ = showProgress({
    what: () => `waiting for ${config.name} (see: locksmith explain ${config.name})`,
    remaining,
    quiet: json,
  });
  try {
    return await act(deadline?.signal ?? outer);
  } catch (error) {
    throw deadline?.signal.aborted && !outer.aborted && error === deadline.signal.reason
      ? await refusal(config)
      : error;
  }
}

/** How an acquisition is to go: as the options say, and an orphan is recovered as the policy says. */
export type AcquireHow = AcquireGiven & Pick<GuardedAcquireOptions, 'recovery'>;

/** Becomes the owner as the options say. Rejects with ERR_HOT, ERR_ORPHANED (both with their verdict), ERR_ON_HOLD, ERR_TIMED_OUT and as `acquire` does. */
export async function acquireAsGiven(
  config: GuardedConfig,
  options: AcquireHow,
  outer: AbortSignal,
): Promise<OwnedConfig> {
  const {nonblock, purpose, onOrphan, recovery} = options;
  try {
    if (nonblock) return await acquireAtOnce(config, purpose);
    return await waitFor(config, options, outer, signal =>
      config.acquire({purpose, onOrphan, recovery, signal}),
    );
  } catch (error) {
    throw await withVerdict(config, error);
  }
}

async function enterAtOnce(config: GuardedConfig): Promise<Cycle> {
  const cycle = await config.tryEnter();
  if (!cycle) throw await onHold(config);
  return cycle;
}

/** Enters a cycle as the options say. Rejects with ERR_HOT, ERR_ON_HOLD. */
export async function enterAsGiven(
  config: GuardedConfig,
  options: AcquireGiven,
  outer: AbortSignal,
): Promise<Cycle> {
  const cycle = options.nonblock
    ? await enterAtOnce(config)
    : await waitFor(config, options, outer, signal => config.enter({signal}));
  if (config.bit.read() === 0) return cycle;
  cycle.leave();
  throw await refusal(config);
}
