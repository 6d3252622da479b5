/** What stands in the daemon's log? One line of JSON for each thing that somebody may want to know later; the journal keeps its priority. */
import {pino, type Logger} from 'pino';
import type {DaemonEvent, Tell} from './events.js';
import {describeEnding} from '../os/death.js';

/** Priorities of syslog(3), as the journal reads them from the beginning of a line (sd-daemon(3)). */
const PRIORITY: Readonly<Record<string, number>> = {trace: 7, debug: 7, info: 6, warn: 4, error: 3, fatal: 2};

/** Writes lines to stderr; with their priority before them when they go to the journal ($JOURNAL_STREAM, systemd.exec(5)). */
export function createLogger(env: Readonly<Record<string, string | undefined>>): Logger {
  const toJournal = env['JOURNAL_STREAM'] !== undefined;
  const write = (line: string) => {
    const level = /"level":"(\w+)"/.exec(line)?.[1] ?? 'info';
    process.stderr.write(toJournal ? `<${PRIORITY[level] ?? 6}>${line}` : line);
  };
  return pino(
    {
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: {level: label => ({level: label})},
    },
    {write},
  );
}

/** Level, text and facts of an event; undefined for those that are of no use later. */
function lineOf(event: DaemonEvent): readonly ['info' | 'warn' | 'error', string, object?] | undefined {
  switch (event.event) {
    case 'owner-died':
      return [
        'warn',
        `the owner of ${event.lock}, pid ${event.owner.pid}, ${event.ending ? describeEnding(event.ending) : 'is gone'}`,
      ];
    case 'orphan':
      return [
        'warn',
        `${event.lock} was left in the middle, and the policy leaves it to people: locksmith recover ${event.lock}`,
      ];
    case 'recovering':
      return ['info', `recovering ${event.lock}: ${event.reason}`];
    case 'recovered': {
      const {epochs, took, audit} = event.certificate;
      return ['info', `ALL CLEAR: ${event.lock} after ${took} ms`, {epochs, audit}];
    }
    case 'recovery-refused':
      return ['warn', `${event.lock} could not be recovered, and will be tried again`, {err: event.error}];
    case 'suspect':
      return event.late === null
        ? ['info', `the owner of ${event.lock} gets on again`]
        : [
            'warn',
            `the owner of ${event.lock} is late with its ${event.late}; that takes nothing away from it`,
          ];
    case 'hold-granted':
      return [
        'info',
        `${event.lock} is on hold for ${Math.round(event.hold.remaining)} ms, for uid ${event.hold.by.uid}, pid ${event.hold.by.pid}`,
      ];
    case 'hold-ended':
      return ['info', `the hold on ${event.lock} has ended: ${event.why}`];
    case 'policy':
      return event.problem === null
        ? ['info', 'the policy was read']
        : ['error', `the new policy has a fault, and the old one stays: ${event.problem}`];
    case 'fleet-standing':
      return event.current
        ? ['info', 'what is known of the fleet is current']
        : ['warn', `what is known of the fleet is old: ${event.why}`];
    case 'trouble':
      return ['error', `trouble with ${event.what}`, {err: event.error}];
    default:
      return undefined;
  }
}

/** Logs what happens. */
export function logEvents(logger: Pick<Logger, 'info' | 'warn' | 'error'>): Tell {
  return event => {
    const [level, text, facts = {}] = lineOf(event) ?? [];
    if (level !== undefined)
      logger[level]({event: event.event, ...('lock' in event && {lock: event.lock}), ...facts}, text);
  };
}
