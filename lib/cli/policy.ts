/** How does the policy reach a command? As defaults for what was not given by hand. */
import {system} from '../os/system.js';
import {Policy, readRules} from '../recovery/policy/rules.js';
import type {OptionSpec} from './command.js';

/** Options of every command that heeds the policy. */
export interface PolicyGiven {
  /** A directory; false: none. */
  readonly policy?: string | false;
}

export const POLICY_OPTION: OptionSpec = {
  flags: '--policy <directory>',
  what: 'read the policy there instead of in $LOCKSMITH_POLICY or /etc/locksmith',
};

export const POLICY_OPTIONS: readonly OptionSpec[] = [
  POLICY_OPTION,
  {flags: '--no-policy', what: 'go without the policy, whatever it says'},
];

/** The policy in force. Rejects with ERR_POLICY where it has a fault. */
export async function policyFor({policy}: PolicyGiven): Promise<Policy> {
  return policy === false ? new Policy() : readRules(system(), policy);
}
