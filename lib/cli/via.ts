/** Does a command ask the daemon, or look and act by itself? It comes to the same either way. */
import type {DaemonClient} from '../daemon/client.js';
import {LONGEST_REASON} from '../daemon/reasons.js';
import {isLockError, LockError} from '../errors.js';
import {system} from '../os/system.js';
import type {Given, OptionSpec} from './command.js';
import {remark} from './output.js';
import {isReached, LONG_PATIENCE, type Reached, reachDaemon} from './reach.js';

export interface ViaGiven extends Given {
  readonly via: 'auto' | 'daemon' | 'direct';
  readonly verbose?: true;
}

export const VIA_OPTIONS: readonly OptionSpec[] = [
  {
    flags: '--via <way>',
    what: 'ask the daemon, or go without it; auto: the daemon if one answers, but root looks for himself',
    choices: ['auto', 'daemon', 'direct'],
    fallback: 'auto',
  },
  {flags: '-v, --verbose', what: 'say on stderr which way was taken, and why'},
];

/** Thrown by what asks the daemon, before anything is done: it can't be asked for that. */
export class Beyond extends Error {
  override readonly name = 'Beyond';
}

/** Something that a command does in one of two ways. */
export interface Task<Result> {
  readonly kind: 'look' | 'act';
  /** What was given that the daemon can't do, in words. */
  readonly beyond?: string | undefined;
  readonly ask: (client: DaemonClient) => Promise<Result>;
  readonly direct: () => Promise<Result>;
}

/** The first of these options that was given, as it is typed. */
export function optionGiven<Options extends object>(
  given: Options,
  ...keys: readonly (keyof Options & string)[]
): string | undefined {
  const key = keys.find(each => given[each] !== undefined);
  const name = key?.replaceAll(/[A-Z]/g, letter => `-${letter.toLowerCase()}`);
  return key && (given[key] === false ? `--no-${name}` : `--${name}`);
}

/** A reason that is too long for the daemon, or too short. */
export function reasonBeyond(reason: string | undefined, shortest = 0): string | undefined {
  if (reason === undefined || (reason.length >= shortest && reason.length <= LONGEST_REASON))
    return undefined;
  return `a --reason of ${reason.length} letters`;
}

function usage(beyond: string): LockError {
  return new LockError('ERR_ARGUMENT', `${beyondDaemon(beyond)}: leave that out, or say --via direct`);
}

const WAY = {look: 'looked', act: 'acted'} as const;

/** Something that the daemon can't be asked for, in words. */
interface DirectTask<Result> extends Pick<Task<Result>, 'kind' | 'direct'> {
  readonly beyond: string;
}

/** Goes without the daemon. `why` is said when it was asked for, a fault of the daemon always. */
function goDirectly<Result>(
  {verbose, json}: ViaGiven,
  {kind, direct}: Pick<Task<Result>, 'kind' | 'direct'>,
  why: string,
  fault = false,
): Promise<Result> {
  if (verbose || fault) remark(`${WAY[kind]} directly: ${why}`, json);
  return direct();
}

const AS_SAID = 'as --via says';

function beyondDaemon(what: string): string {
  return `the daemon can not be asked for ${what}`;
}

/** Why nobody looks for the daemon. */
function whyNotAsk({via}: ViaGiven, {kind}: Task<unknown>): string | undefined {
  if (via === 'direct') return AS_SAID;
  return kind === 'look' && system().uid === 0 ? 'root sees for himself' : undefined;
}

/** Why to go on without the daemon, which has refused and changed nothing; undefined: its word is final. */
function whyGoOn(error: unknown, {kind}: Task<unknown>, {ours}: Reached): string | undefined {
  if (error instanceof Beyond) return beyondDaemon(error.message);
  if (isLockError(error, 'ERR_UNKNOWN_LOCK')) return `the daemon says: ${error.message}`;
  if (isLockError(error, 'ERR_NOT_PERMITTED') && ours) return `the daemon says: ${error.message}`;
  return isLockError(error, 'ERR_NO_DAEMON') && kind === 'look' ? error.message : undefined;
}

async function askDaemon<Result>(
  {verbose, json}: ViaGiven,
  {ask}: Task<Result>,
  {client, socket}: Reached,
): Promise<Result> {
  if (verbose) remark(`asked the daemon on ${socket}`, json);
  try {
    return await ask(client);
  } finally {
    await client.close();
  }
}

async function askOnly<Result>(given: ViaGiven, task: Task<Result>): Promise<Result> {
  const found = await reachDaemon(LONG_PATIENCE);
  if (!isReached(found)) throw found.error;
  try {
    return await askDaemon(given, task, found);
  } catch (error) {
    throw error instanceof Beyond ? usage(error.message) : error;
  }
}

/** Does what only the direct way can do. Rejects as that does, with --via daemon with ERR_ARGUMENT. */
export async function onlyDirectly<Result>(given: ViaGiven, task: DirectTask<Result>): Promise<Result> {
  if (given.via === 'daemon') throw usage(task.beyond);
  return goDirectly(given, task, given.via === 'direct' ? AS_SAID : beyondDaemon(task.beyond));
}

/** Does it the way that was given. Rejects as both ways do; with --via daemon also with ERR_NO_DAEMON, and ERR_ARGUMENT for what the daemon can't do. */
export async function eitherWay<Result>(given: ViaGiven, task: Task<Result>): Promise<Result> {
  const {beyond} = task;
  if (beyond !== undefined) return onlyDirectly(given, {...task, beyond});
  if (given.via === 'daemon') return askOnly(given, task);
  const why = whyNotAsk(given, task);
  if (why !== undefined) return goDirectly(given, task, why);
  const found = await reachDaemon();
  if (!isReached(found)) return goDirectly(given, task, found.error.message, found.kind === 'fault');
  try {
    return await askDaemon(given, task, found);
  } catch (error) {
    const reason = whyGoOn(error, task, found);
    if (reason === undefined) throw error;
    return goDirectly(given, task, reason);
  }
}
