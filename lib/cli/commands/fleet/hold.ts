/** `locksmith fleet hold`: how is the same lock held on every node at once, and who has said so? */
import {EXIT, isLockError, LockError} from '../../../errors.js';
import type {FleetAccess} from '../../../fleet/access.js';
import type {HoldAcknowledgement} from '../../../fleet/documents.js';
import {type FleetHeld, type FleetReleased, holdFleet} from '../../../fleet/hold.js';
import {LONGEST_HOLD} from '../../../recovery/hold.js';
import type {CommandSpec, Given} from '../../command.js';
import {sayWaiting} from '../../fleet/approvals.js';
import {
  CONFIG_OPTION,
  type FleetGiven,
  onlyOne,
  REASON_OPTION,
  STORE_EXITS,
  WHERE_OPTION,
  withFleet,
} from '../../fleet/given.js';
import {note, oneLine, paint, print, printJson} from '../../output.js';
import {showProgress} from '../../progress.js';
import {Interrupted, interruption} from '../../signals.js';
import {parseDuration, showDuration} from '../../units.js';

interface HoldGiven extends FleetGiven {
  readonly for: number;
  readonly within?: number;
  readonly reason: string;
  readonly where?: Readonly<Record<string, string>>;
  readonly partial?: true;
}

function answerText(node: string, answer: HoldAcknowledgement | undefined): string {
  if (!answer) return `  ${node}  ${paint(process.stdout, 'red', 'no longer heard of')}: it may go on`;
  const {held, acknowledgedAfter = 0, orchestrators, reason} = answer;
  const stopped = orchestrators.map(each => `\n      ${oneLine(each)}`).join('');
  return held
    ? `  ${node}  holds, acknowledged after ${showDuration(acknowledgedAfter)}${stopped}`
    : `  ${node}  ${paint(process.stdout, 'red', 'does not hold')}: ${oneLine(reason ?? 'it gives no reason')}`;
}

/** Shows each answer as it comes. */
function sayAnswer({json}: Given): (node: string, answer: HoldAcknowledgement | undefined) => void {
  return (node, answer) => {
    if (json) printJson({hold: 'answer', node, answer: answer ?? null});
    else print(answerText(node, answer));
  };
}

async function ask(
  access: FleetAccess,
  lock: string,
  given: HoldGiven,
  signal: AbortSignal,
): Promise<FleetHeld> {
  const {for: bound, within, reason, where = {}, partial, json} = given;
  const start = performance.now();
  const answered = new Set<string>();
  using _ = showProgress({
    what: () => `waiting for the nodes to hold ${lock}, ${answered.size} have answered`,
    remaining: () => bound - (performance.now() - start),
    quiet: json ?? !process.stderr.isTTY,
  });
  const say = sayAnswer(given);
  return await holdFleet(
    access,
    {lock, where, for: bound, within, reason, partial},
    {
      signal,
      onWaiting: sayWaiting(given),
      onAnswer: (node, answer) => {
        answered.add(node);
        say(node, answer);
      },
    },
  );
}

function sayHeld(held: FleetHeld, {json}: Given): void {
  const {id, lock, answers, missing} = held;
  const nodes = [...answers].filter(([, {held: holds}]) => holds).map(([node]) => node);
  const remaining = held.remaining();
  if (json) {
    printJson({hold: 'acknowledged', id, lock, nodes, missing: Object.fromEntries(missing), remaining});
    return;
  }
  const all = missing.size === 0 ? 'all' : `${nodes.length} of ${nodes.length + missing.size}`;
  print(
    [
      `HOLD ${lock}: ${all} nodes hold; nobody is inside there, nobody can enter; it ends by itself in ${showDuration(remaining)}`,
      ...[...missing].map(
        ([node, why]) => `  ${node}  ${paint(process.stdout, 'yellow', 'is missing')}: ${oneLine(why)}`,
      ),
    ].join('\n'),
  );
}

/** Resolves with what ended it. */
async function ended(held: FleetHeld, signal: AbortSignal, {json}: Given): Promise<unknown> {
  using _ = showProgress({
    what: () => `${held.lock} is on hold on ${held.answers.size} nodes, Ctrl-C ends it`,
    remaining: () => held.remaining(),
    quiet: json ?? !process.stderr.isTTY,
  });
  const either = AbortSignal.any([held.signal, signal]);
  if (!either.aborted) await new Promise(resolve => either.addEventListener('abort', resolve, {once: true}));
  return either.reason;
}

function sayReleased(
  {id, lock}: FleetHeld,
  how: string,
  {silent, failed}: FleetReleased,
  {json}: Given,
): void {
  if (json) {
    printJson({hold: 'ended', id, lock, how, silent, failed: Object.fromEntries(failed)});
    return;
  }
  print(`HOLD ${lock}: ended ${how}`);
  for (const node of silent) note(`  ${node}  has not said that it goes on; it does when the time is over`);
  for (const [node, why] of failed) note(`  ${node}  does not go on: ${oneLine(why)}`);
}

const EARLY = 'before its time: a node that held goes on, or somebody has ended it';

function endText(reason: unknown): string {
  if (reason instanceof Interrupted) return `by ${reason.signal}`;
  return isLockError(reason, 'ERR_HOLD_EXPIRED') ? EARLY : 'by itself';
}

/** Holds until it is over. Returns the exit status. */
async function holdAndKeep(
  access: FleetAccess,
  lock: string,
  given: HoldGiven,
  signal: AbortSignal,
): Promise<number> {
  await using held = await ask(access, lock, given, signal);
  sayHeld(held, given);
  const reason = await ended(held, signal, given);
  const how = endText(reason);
  const released = await held.release();
  sayReleased(held, how, released, given);
  if (released.failed.size > 0) return EXIT.failure;
  return how === EARLY ? EXIT.tryAgain : EXIT.done;
}

export const fleetHoldCommand: CommandSpec<HoldGiven> = {
  name: 'hold',
  group: 'Use:',
  summary: 'stop everything that passes the gate of a lock, on many nodes, for a bounded time',
  arguments: [['<lock>', 'NAME of the lock, the same on all nodes']],
  options: [
    {
      flags: '--for <duration>',
      what: 'how long at most, the answers included: 90s, 2m',
      parse: parseDuration,
      fallback: 90_000,
      shown: '90s',
    },
    {
      flags: '--within <duration>',
      what: 'how long a node has to come to its hold point; by default a third of --for, at most 30s',
      parse: parseDuration,
    },
    WHERE_OPTION,
    {flags: '--partial', what: 'content with those nodes that acknowledge, if any does'},
    REASON_OPTION,
    CONFIG_OPTION,
  ],
  examples: [
    [
      'locksmith fleet hold aim_lock_config --for 90s --reason "move the store"',
      'until Ctrl-C, 90 seconds at most',
    ],
    ['locksmith fleet hold aim_lock_config --where site=oslo --partial --reason drill', 'those that can'],
  ],
  about:
    'Every node with the lock holds it as `locksmith hold` does and says so; unless all of them do, none goes on holding, and those that do not are named. ' +
    'It ends by itself on each node, by its own clock, also when etcd, this machine or the network is gone. ' +
    'With --json, lines: {"hold": "answer", "node", "answer"}, {"hold": "acknowledged", "id", "lock", "nodes", "missing", "remaining"}, {"hold": "ended", "id", "lock", "how", "silent", "failed"}.',
  exits: [
    [0, 'it was acknowledged and has ended'],
    [1, 'refused: not every node holds, and which; all go on'],
    [2, 'no node has that lock; or something that was stopped does not go on, and where'],
    [75, 'a node went on before the time was over'],
    ...STORE_EXITS,
  ],
  async run(locks, given) {
    const lock = onlyOne(locks, 'lock');
    if (given.for < 1 || given.for > LONGEST_HOLD)
      throw new LockError('ERR_ARGUMENT', 'a hold lasts from 1ms to 24h');
    using interrupted = interruption();
    const {signal} = interrupted;
    return await withFleet(given, signal, access => holdAndKeep(access, lock, given, signal));
  },
};
