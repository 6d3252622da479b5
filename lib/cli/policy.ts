/** How does the policy reach a command? As defaults for what was not given by hand. */
import {system} from '../os/system.js';
import {type Applied, applyPolicy} from '../recovery/policy/match.js';
import type {Place, PolicyEntry, Settings} from '../recovery/policy/policy.js';
import {policyBroken, readPolicy} from '../recovery/policy/read.js';
import type {QuiesceSpec} from '../recovery/quiesce/spec.js';
import type {RecoverOptions} from '../recovery/recover.js';
import type {OptionSpec} from './command.js';
import {validatorOf} from './validator.js';

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

/** A file that the policy gives to a name, or the name that it gives to a file. */
export interface Guarding {
  readonly name: string;
  readonly file: string;
  readonly place: Place;
}

/** What the policy files say, all of them without fault. */
export class Policy {
  readonly #entries: readonly PolicyEntry[];
  readonly guardings: readonly Guarding[];

  constructor(entries: readonly PolicyEntry[] = []) {
    this.#entries = entries;
    this.guardings = entries.flatMap(({name, settings: {file}, place, places}) =>
      file === undefined ? [] : [{name, file, place: places.get('file') ?? place}],
    );
  }

  /** What applies to a lock, and where it stands. Throws ERR_POLICY where two patterns disagree. */
  of(lock: string): Applied {
    return applyPolicy(this.#entries, lock);
  }
}

/** The policy in force. Rejects with ERR_POLICY where it has a fault. */
export async function policyFor({policy}: PolicyGiven): Promise<Policy> {
  if (policy === false) return new Policy();
  const {entries, problems} = await readPolicy(system(), policy);
  if (problems.length > 0) throw policyBroken(problems);
  return new Policy(entries);
}

/** What a recovery takes from the policy, where it was not given by hand. */
export interface RecoveryGiven {
  /** Milliseconds. */
  readonly hold?: number | undefined;
  readonly validate?: string | undefined;
  readonly quiesce?: readonly QuiesceSpec[] | undefined;
}

export function recoveryOptions(
  {hold, validate, quiesce}: RecoveryGiven,
  settings: Settings,
): Pick<RecoverOptions, 'hold' | 'validate' | 'quiesce'> {
  return {
    hold: hold ?? settings.hold,
    validate: validatorOf(validate ?? settings.validate),
    quiesce: quiesce ?? settings.quiesce,
  };
}
