/** What do agents and drivers leave in the log? One line of JSON for each thing that happened, with its facts. */
import type {DriverEvent} from '../../fleet/driver.js';
import type {NodeEvent} from '../../fleet/node.js';

type Facts = Readonly<Record<string, unknown>>;

/** What the logger of the daemon takes. */
export interface Log {
  info(facts: Facts, text: string): void;
  warn(facts: Facts, text: string): void;
}

/** Events that tell of trouble. */
const TROUBLE = /trouble|lost|refused|failed|away|cut-off|unrecorded|overwritten/;

/** What is said beside the name of the event, in this order. */
const SAID = ['lock', 'rollout', 'what', 'detail', 'reason', 'problem', 'error'] as const;

function textOf({event, ...facts}: DriverEvent | NodeEvent): string {
  const said = SAID.flatMap(fact => {
    const value = facts[fact];
    if (value instanceof Error) return [value.message];
    return typeof value === 'string' ? [value] : [];
  });
  return [event, ...said].join(': ');
}

function write(log: Log, happened: DriverEvent | NodeEvent): void {
  const {error, ...facts} = happened;
  const level = TROUBLE.test(happened.event) ? 'warn' : 'info';
  log[level]({...facts, ...(error !== undefined && {err: error})}, textOf(happened));
}

/** A step of a roll-out is told by its own event. */
export function logDriver(log: Log): (event: DriverEvent) => void {
  return happened => {
    const {event, told, ...facts} = happened;
    if (event === 'step') write(log, {...facts, ...(told as NodeEvent)});
    else write(log, happened);
  };
}

export function logNode(log: Log): (event: NodeEvent) => void {
  return event => write(log, event);
}
