/** `locksmith hold`: how is everything that passes the gate stopped, for a bounded time? */
import {EXIT} from '../../errors.js';
import type {GuardedConfig} from '../../recovery/guarded-config.js';
import {DEFAULT_HOLD, type Hold, type HoldOptions} from '../../recovery/hold.js';
import type {QuiesceSpec} from '../../recovery/quiesce/spec.js';
import {recoveryOptions} from '../../recovery/policy/rules.js';
import {runChild} from '../child.js';
import type {CommandSpec, Given} from '../command.js';
import {note, print, printJson} from '../output.js';
import {showProgress} from '../progress.js';
import {POLICY_OPTIONS, type PolicyGiven, policyFor} from '../policy.js';
import {acknowledgementText, QUIESCE_OPTION} from '../quiesce.js';
import {NAME_OPTION, openTarget} from '../resolve.js';
import {Interrupted, interruption} from '../signals.js';
import {parseDuration, showDuration} from '../units.js';

interface HoldGiven extends Given, PolicyGiven {
  /** Milliseconds. */
  readonly for?: number;
  readonly name?: string;
  readonly quiesce?: readonly QuiesceSpec[];
}

type Json = Given['json'];

async function askForHold(
  config: GuardedConfig,
  options: HoldOptions & {readonly for: number},
  json: Json,
): Promise<Hold> {
  const start = performance.now();
  const remaining = () => options.for - (performance.now() - start);
  using _ = showProgress({
    what: () => `waiting for everybody to come to the hold point of ${config.name}`,
    remaining,
    quiet: json,
  });
  return await config.hold(options);
}

function acknowledge(config: GuardedConfig, stop: Hold, json: Json): void {
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

function sayEnd(config: GuardedConfig, how: string, json: Json): void {
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
  config: GuardedConfig,
  stop: Hold,
  {signal, json}: {readonly signal: AbortSignal; readonly json: Json},
): Promise<string> {
  using _ = showProgress({
    what: () => `${config.name} is on hold, Ctrl-C ends it`,
    remaining: () => stop.remaining(),
    quiet: json ?? !process.stderr.isTTY,
  });
  const reason = await anyAborted(stop.signal, signal);
  if (reason instanceof Interrupted) return `by ${reason.signal}`;
  return stop.remaining() > 0 ? 'because its supervisor was killed' : 'by itself';
}

/** Keeps the hold while a program runs. A program that outlasts it is not stopped, but told of. */
async function keepFor(config: GuardedConfig, stop: Hold, command: readonly string[]): Promise<number> {
  const late = () =>
    note(
      `locksmith: the hold on ${config.name} has ended, and ${command[0]} still runs: what it does from now on is not covered`,
    );
  stop.signal.addEventListener('abort', late, {once: true});
  const status = await runChild(command, {env: {LOCKSMITH_NAME: config.name, LOCKSMITH_FILE: config.file}});
  stop.signal.removeEventListener('abort', late);
  return stop.inForce() ? status : EXIT.tryAgain;
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
    'the hold ends by itself, also when locksmith is stopped or killed.',
  exits: [
    [0, 'it was acknowledged and has ended'],
    ['any', 'with a program: its status'],
    [1, 'refused: not everybody came to the hold point or was stopped, and who'],
    [2, 'no such lock, or a failure; what was stopped may not go on, and the message says how to let it'],
    [64, 'usage'],
    [75, 'the hold ended before the program did'],
  ],
  async run([target = '', ...command], given) {
    const {name, json} = given;
    const policy = await policyFor(given);
    const config = await openTarget(target, name, policy);
    const {settings} = policy.of(config.name);
    const {hold = DEFAULT_HOLD, quiesce} = recoveryOptions({...given, hold: given.for}, settings);
    // Until the program has its turn: a signal between asking and keeping would end us without a word.
    using interrupted = interruption();
    const {signal} = interrupted;
    await using stop = await askForHold(config, {for: hold, quiesce, signal}, json);
    acknowledge(config, stop, json);
    if (command.length > 0) {
      interrupted.signal.throwIfAborted();
      interrupted[Symbol.dispose]();
      return await keepFor(config, stop, command);
    }
    const how = await keep(config, stop, {signal: interrupted.signal, json});
    await stop.release();
    sayEnd(config, how, json);
    return EXIT.done;
  },
};
