/** `locksmith hold`: how is everything that passes the gate stopped, for a bounded time? */
import type {DaemonClient} from '../../daemon/client.js';
import {EXIT} from '../../errors.js';
import type {GuardedConfig} from '../../recovery/guarded-config.js';
import {DEFAULT_HOLD} from '../../recovery/hold.js';
import type {QuiesceSpec} from '../../recovery/quiesce/spec.js';
import {recoveryOptions} from '../../recovery/policy/rules.js';
import {runChild} from '../child.js';
import type {CommandSpec, Given} from '../command.js';
import type {KeptHold} from '../hold-there.js';
import {note, print, printJson} from '../output.js';
import {showProgress} from '../progress.js';
import {POLICY_OPTIONS, type PolicyGiven, policyFor} from '../policy.js';
import {acknowledgementText, QUIESCE_OPTION} from '../quiesce.js';
import {findThere, NAME_OPTION, openTarget} from '../resolve.js';
import {Interrupted, interruption} from '../signals.js';
import {parseDuration, showDuration} from '../units.js';
import {Beyond, eitherWay, optionGiven, VIA_OPTIONS, type ViaGiven} from '../via.js';

interface HoldGiven extends ViaGiven, PolicyGiven {
  /** Milliseconds. */
  readonly for?: number;
  readonly name?: string;
  readonly quiesce?: readonly QuiesceSpec[];
}

type Json = Given['json'];

/** What is held. */
type Held = Pick<GuardedConfig, 'name' | 'file'>;

/** A hold that is to be, here or in the daemon. */
interface Wanted {
  readonly lock: Held;
  /** Milliseconds; undefined where only the daemon knows. */
  readonly bound: number | undefined;
  readonly ask: (signal: AbortSignal) => Promise<KeptHold>;
}

async function askForHold({lock, bound, ask}: Wanted, signal: AbortSignal, json: Json): Promise<KeptHold> {
  const start = performance.now();
  const remaining = bound === undefined ? undefined : () => bound - (performance.now() - start);
  using _ = showProgress({
    what: () => `waiting for everybody to come to the hold point of ${lock.name}`,
    remaining,
    quiet: json,
  });
  return await ask(signal);
}

function acknowledge(config: Held, stop: KeptHold, json: Json): void {
  const {acknowledgedAfter, acknowledgements} = stop;
  const remaining = stop.remaining();
  if (json)
    printJson({
      hold: 'acknowledged',
      name: config.name,
      file: config.file,
      acknowledgedAfter,
      acknowledgements,
      remaining,
    });
  else
    print(
      [
        `HOLD ${config.name}: acknowledged after ${showDuration(acknowledgedAfter)}; nobody is inside, nobody can enter; it ends by itself in ${showDuration(remaining)}`,
        ...acknowledgements.map(acknowledgement => `  ${acknowledgementText(acknowledgement)}`),
      ].join('\n'),
    );
}

function sayEnd(config: Held, how: string, json: Json): void {
  if (json) printJson({hold: 'ended', name: config.name, how});
  else print(`HOLD ${config.name}: ended ${how}; everybody goes on`);
}

function anyAborted(...signals: readonly AbortSignal[]): Promise<unknown> {
  return new Promise(resolve => {
    const any = AbortSignal.any([...signals]);
    if (any.aborted) resolve(any.reason);
    else any.addEventListener('abort', () => resolve(any.reason), {once: true});
  });
}

/** Keeps the hold until it ends or a signal comes, and says which it was. */
async function keep(
  config: Held,
  stop: KeptHold,
  {signal, json}: {readonly signal: AbortSignal; readonly json: Json},
): Promise<string> {
  using _ = showProgress({
    what: () => `${config.name} is on hold, Ctrl-C ends it`,
    remaining: () => stop.remaining(),
    quiet: json ?? !process.stderr.isTTY,
  });
  const reason = await anyAborted(stop.signal, signal);
  if (reason instanceof Interrupted) return `by ${reason.signal}`;
  return stop.remaining() > 0 ? (stop.cutShort ?? 'because its supervisor was killed') : 'by itself';
}

/** Keeps the hold while a program runs. A program that outlasts it is not stopped, but told of. */
async function keepFor(config: Held, stop: KeptHold, command: readonly string[]): Promise<number> {
  const late = () =>
    note(
      `locksmith: the hold on ${config.name} has ended, and ${command[0]} still runs: what it does from now on is not covered`,
    );
  stop.signal.addEventListener('abort', late, {once: true});
  const status = await runChild(command, {env: {LOCKSMITH_NAME: config.name, LOCKSMITH_FILE: config.file}});
  stop.signal.removeEventListener('abort', late);
  return stop.inForce() ? status : EXIT.tryAgain;
}

/** Holds until it is over, or while a program runs. Returns the exit status. */
async function holdAndKeep(
  wanted: Wanted,
  command: readonly string[],
  {json}: Pick<HoldGiven, 'json'>,
): Promise<number> {
  const {lock} = wanted;
  // Until the program has its turn: a signal between asking and keeping would end us without a word.
  using interrupted = interruption();
  const {signal} = interrupted;
  await using stop = await askForHold(wanted, signal, json);
  acknowledge(lock, stop, json);
  if (command.length > 0) {
    signal.throwIfAborted();
    interrupted[Symbol.dispose]();
    return await keepFor(lock, stop, command);
  }
  const how = await keep(lock, stop, {signal, json});
  await stop.release();
  sayEnd(lock, how, json);
  return EXIT.done;
}

async function wantThere(client: DaemonClient, target: string, given: HoldGiven): Promise<Wanted> {
  const lock = await findThere(client, target);
  if (given.name !== undefined && given.name !== lock.name) throw new Beyond(`--name ${given.name}`);
  const {HoldThere} = await import('../hold-there.js');
  const wanted = {lock: lock.name, ...(given.for !== undefined && {for: given.for})};
  return {lock, bound: given.for, ask: signal => HoldThere.ask(client, wanted, signal)};
}

async function wantHere(target: string, given: HoldGiven): Promise<Wanted> {
  const policy = await policyFor(given);
  const config = await openTarget(target, given.name, policy);
  const {settings} = policy.of(config.name);
  const {hold = DEFAULT_HOLD, quiesce} = recoveryOptions({...given, hold: given.for}, settings);
  return {lock: config, bound: hold, ask: signal => config.hold({for: hold, quiesce, signal})};
}

export const holdCommand: CommandSpec<HoldGiven> = {
  name: 'hold',
  group: 'Use:',
  summary: 'stop everything that passes the gate of a lock, for a bounded time',
  arguments: [
    ['<lock>', 'NAME of a lock, or the FILE that it guards; a FILE without a lock gets one'],
    ['[command...]', 'a program to run meanwhile, after --; the hold ends with it'],
  ],
  options: [
    {
      flags: '--for <duration>',
      what: 'how long at most: 90s, 500ms, 2m; by default as the policy says, else 90s',
      parse: parseDuration,
    },
    QUIESCE_OPTION,
    NAME_OPTION,
    ...POLICY_OPTIONS,
    ...VIA_OPTIONS,
  ],
  examples: [
    ['locksmith hold aim_lock_config --for 90s', 'until Ctrl-C, 90 seconds at most'],
    [
      'locksmith hold aim_lock_config --quiesce unit:aim.service',
      'freezes a service that does not use the library meanwhile',
    ],
    ['locksmith hold aim_lock_config --for 2m -- rsync -a /etc/aim backup:', 'while a program runs'],
  ],
  about:
    'The acknowledgement says that nobody is inside a cycle and nobody can enter one. The time counts from the call on, for the acknowledgement and the hold together; ' +
    'the hold ends by itself, also when locksmith is stopped or killed. Through the daemon, which is asked if one answers, orchestrators that have registered there are told and waited for, and it ends with the daemon, too.',
  exits: [
    [0, 'it was acknowledged and has ended'],
    ['any', 'with a program: its status'],
    [1, 'refused: not everybody came to the hold point or was stopped, and who'],
    [2, 'no such lock, or a failure; what was stopped may not go on, and the message says how to let it'],
    [64, 'usage; with --via daemon also what only the direct way can do'],
    [69, 'no daemon answers, with --via daemon; or it keeps silent when the hold is to end'],
    [75, 'the hold ended before the program did'],
  ],
  run([target = '', ...command], given) {
    return eitherWay(given, {
      kind: 'act',
      beyond: optionGiven(given, 'quiesce', 'policy'),
      ask: async client => holdAndKeep(await wantThere(client, target, given), command, given),
      direct: async () => holdAndKeep(await wantHere(target, given), command, given),
    });
  },
};
