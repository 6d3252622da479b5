/** What do the commands of the fleet share? The fleet file, the labels, the reason, and access to the store. */
import {InvalidArgumentError} from 'commander';
import {LockError} from '../../errors.js';
import {type FleetAccess, openFleet} from '../../fleet/access.js';
import {type FleetConfig, readFleetConfig} from '../../fleet/config.js';
import {memberName} from '../../fleet/documents.js';
import {system} from '../../os/system.js';
import type {CommandSpec, Given, OptionSpec} from '../command.js';
import {showProgress} from '../progress.js';

export interface FleetGiven extends Given {
  readonly config?: string;
}

export const CONFIG_OPTION: OptionSpec = {
  flags: '--config <file>',
  what: 'the fleet file, instead of $LOCKSMITH_FLEET or /etc/locksmith/fleet/fleet.yaml',
};

type Labels = Readonly<Record<string, string>>;

/** `site=oslo`; given again, all of them must be so. */
export function parseLabel(text: string, before?: unknown): Labels {
  const [, label = '', value = ''] = /^([^=]+)=(.*)$/.exec(text) ?? [];
  if (!memberName.safeParse(label).success || value.length > 255)
    throw new InvalidArgumentError('A label is NAME=VALUE: site=oslo.');
  return {...(before as Labels | undefined), [label]: value};
}

export const WHERE_OPTION: OptionSpec = {
  flags: '--where <label=value>',
  what: 'only nodes with that label; may be repeated, then with all of them',
  parse: parseLabel,
};

/** Why; nodes and their audit logs keep it. */
export const REASON_OPTION: OptionSpec = {
  flags: '--reason <text>',
  what: 'why; it is shown to everybody, and the audit log of each node keeps it',
  mandatory: true,
};

/** What every command that asks the store may end with. */
export const STORE_EXITS: CommandSpec['exits'] = [
  [2, 'the fleet file has a fault or is missing, or another failure'],
  [64, 'usage'],
  [69, 'no member of etcd answers'],
  [75, 'the session with etcd was lost, or whether something was written is not known; try again'],
  [77, 'etcd refuses us, or a signature is not trusted'],
];

/** The fleet file that is meant. Throws ERR_FLEET_CONFIG. */
export function fleetConfig({config}: FleetGiven): FleetConfig {
  return readFleetConfig(system(), config);
}

/** Does something with the fleet, and gives the session back. Rejects as openFleet does, and with ERR_FLEET_CONFIG. */
export async function withFleet<Result>(
  given: FleetGiven,
  signal: AbortSignal,
  act: (access: FleetAccess) => Promise<Result>,
): Promise<Result> {
  const config = fleetConfig(given);
  await using access = await reach(config, given, signal);
  return await act(access);
}

async function reach(config: FleetConfig, {json}: Given, signal: AbortSignal) {
  const {endpoints} = config.etcd;
  using _ = showProgress({what: () => `waiting for etcd (${endpoints.join(', ')})`, quiet: json});
  return await openFleet(config, system(), signal);
}

/** One operand, and no more. Throws ERR_ARGUMENT. */
export function onlyOne([first, ...more]: readonly string[], what: string): string {
  if (first === undefined || more.length > 0) throw new LockError('ERR_ARGUMENT', `give one ${what}`);
  return first;
}
