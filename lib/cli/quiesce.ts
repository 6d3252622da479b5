/** Which orchestrators are to be stopped, how is that written on the command line, and how is it shown? */
import {InvalidArgumentError} from 'commander';
import type {Acknowledgement} from '../recovery/quiesce/quiesce.js';
import type {QuiesceSpec} from '../recovery/quiesce/spec.js';
import type {OptionSpec} from './command.js';
import {showDuration} from './units.js';

/** `freezer:/sys/fs/cgroup/aim`, `unit:aim.service`, `unit:aim.service:stop`. A unit is frozen unless it says otherwise. */
export function parseQuiesce(text: string): QuiesceSpec {
  const [, cgroup] = /^freezer:(\/.*)$/.exec(text) ?? [];
  if (cgroup !== undefined) return {kind: 'freezer', cgroup};
  const [, unit, how = 'freeze'] = /^unit:([^:/]+(?::[^:/]+)*?)(?::(stop|freeze))?$/.exec(text) ?? [];
  if (unit !== undefined) return {kind: 'unit', unit, how: how === 'stop' ? 'stop' : 'freeze'};
  throw new InvalidArgumentError(
    'Give freezer:/sys/fs/cgroup/..., unit:NAME, unit:NAME:freeze or unit:NAME:stop.',
  );
}

export const QUIESCE_OPTION: OptionSpec = {
  flags: '--quiesce <adapter>',
  what: 'an orchestrator that does not pass the gate, stopped during the hold: freezer:CGROUP-DIRECTORY, unit:NAME[:freeze|:stop]; may be repeated',
  parse: (text, before) => [...((before ?? []) as QuiesceSpec[]), parseQuiesce(text)],
};

/** `freezer /sys/fs/cgroup/aim: cgroup.events says frozen 1, after 1.2 ms`. */
export function acknowledgementText({adapter, what, after}: Acknowledgement): string {
  return `${adapter}: ${what}, after ${showDuration(after)}`;
}
