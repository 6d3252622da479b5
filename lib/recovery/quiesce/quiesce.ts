/** How is everything stopped that does not pass the gate? One adapter after the other, each acknowledged, restored in reverse order. */
import {LockError} from '../../errors.js';
import type {ConfigLock} from '../../lock/config-lock.js';
import {type Deadline, monotonic} from '../../os/deadline.js';
import type {HoldSupervisor} from '../../os/hold-supervisor.js';
import {type Adapter, refusal} from './adapter.js';
import {command} from './command.js';
import {freezer} from './freezer.js';
import type {QuiesceSpec} from './spec.js';
import {unit} from './unit.js';

/** That one orchestrator stands still. */
export interface Acknowledgement {
  readonly adapter: string;
  /** By which sign. */
  readonly what: string;
  /** Milliseconds from the order to the sign. */
  readonly after: number;
}

/** The adapters of a hold that lasts `bound` milliseconds. Throws ERR_ARGUMENT for what can't be one. */
export function adaptersFor(config: ConfigLock, specs: readonly QuiesceSpec[], bound: number): Adapter[] {
  const {system, name, file} = config;
  const environment = {...system.env, LOCKSMITH_NAME: name, LOCKSMITH_FILE: file};
  return specs.map(spec => {
    if (spec.kind === 'freezer')
      return freezer(system, checkedText(spec.cgroup, 'the directory of a cgroup'));
    if (spec.kind === 'unit')
      return unit(system, {...spec, unit: checkedText(spec.unit, 'the name of a unit')}, bound);
    return command(environment, {...spec, within: checkedTime(spec.within)});
  });
}

function checkedText(text: string, what: string): string {
  if (text !== '' && !text.includes('\0')) return text;
  throw new LockError('ERR_ARGUMENT', `${what} can not be ${JSON.stringify(text)}`);
}

function checkedTime(within: number): number {
  if (Number.isInteger(within) && within > 0 && within <= 86_400_000) return within;
  throw new LockError('ERR_ARGUMENT', `a command may take 1 to 86400000 ms, not ${within}`);
}

/** Stops one. */
async function quiesce(
  adapter: Adapter,
  index: number,
  supervisor: HoldSupervisor,
  signal: AbortSignal,
): Promise<Acknowledgement> {
  const start = monotonic();
  const acknowledged = (what: string) => ({adapter: adapter.title, what, after: monotonic() - start});
  if (!(await adapter.look(signal))) return acknowledged('somebody else has stopped it, and it stays so');
  const failure = await supervisor.stop(index, signal);
  if (failure !== undefined) throw refusal(adapter.title, `could not be stopped: ${failure}`);
  return acknowledged(await adapter.acknowledge(signal));
}

/**
 * Stops all, in the order given, within the bound of the hold. Rejects with ERR_QUIESCE_REFUSED, which says who did not
 * stop, or with the reason of the caller's signal; what was stopped until then is restored with the hold.
 */
export async function quiesceAll(
  adapters: readonly Adapter[],
  supervisor: HoldSupervisor,
  deadline: Deadline,
): Promise<Acknowledgement[]> {
  const acknowledgements: Acknowledgement[] = [];
  for (const [index, adapter] of adapters.entries()) {
    try {
      acknowledgements.push(await quiesce(adapter, index, supervisor, deadline.signal));
    } catch (error) {
      const late = deadline.signal.aborted ? deadline.expired : !supervisor.standing();
      if (!late) throw error;
      throw refusal(adapter.title, 'it did not stop before the hold had to end', adapter.laggards());
    }
  }
  return acknowledgements;
}

/** What the supervisor says of its restores: an error that names those that still stand, and what to do by hand; undefined when none does. */
export async function restoreFailure(
  config: ConfigLock,
  adapters: readonly Adapter[],
  outcome: ReadonlyMap<number, string | undefined>,
  cause?: unknown,
): Promise<LockError | undefined> {
  const failed: {adapter: string; why: string; byHand: string}[] = [];
  for (const [index, why] of outcome) {
    const adapter = adapters[index];
    if (adapter === undefined || why === undefined || (await adapter.goesOn())) continue;
    failed.push({adapter: adapter.title, why, byHand: adapter.byHand});
  }
  if (failed.length === 0) return undefined;
  const each = failed.map(({adapter, why, byHand}) => `${adapter} (${why}; by hand: ${byHand})`).join(', ');
  return new LockError(
    'ERR_RESTORE_FAILED',
    `the hold on ${config.name} has ended, but what it had stopped does not go on: ${each}`,
    {lock: config.name, path: config.file, failed},
    cause === undefined ? undefined : {cause},
  );
}
