/** What do agents and drivers leave in the log? One line of JSON for each thing that happened, with its facts. */
import type {DriverEvent} from '../../fleet/driver.js';
import type {NodeEvent} from '../../fleet/node.js';

type Facts = Readonly<Record<string, unknown>>;

/** What the logger of the daemon takes. */
export interface Log {
  info(facts: Facts, text: string): void;
  warn(facts: Facts, text: string): void;
}

/** Some went wrong: those carry an error. */
function write(log: Log, {event, error, ...facts}: DriverEvent | NodeEvent): void {
  const {reason, what, lock, rollout} = facts as {readonly [fact: string]: unknown};
  const parts = [event, lock ?? rollout, what, reason ?? (error as Error | undefined)?.message];
  const text = parts.filter(part => typeof part === 'string').join(': ');
  if (error === undefined) log.info({event, ...facts}, text);
  else log.warn({event, ...facts, err: error}, text);
}

export function logDriver(log: Log): (event: DriverEvent) => void {
  return event => write(log, event);
}

export function logNode(log: Log): (event: NodeEvent) => void {
  return event => write(log, event);
}
