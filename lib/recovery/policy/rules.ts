/** What does the policy say of a lock, and what of it does a recovery take? */
import type {System} from '../../os/system.js';
import type {QuiesceSpec} from '../quiesce/spec.js';
import type {RecoverOptions} from '../recover.js';
import {validatorOf} from '../validator.js';
import {type Applied, applyPolicy} from './match.js';
import type {Place} from './place.js';
import type {PolicyEntry, Settings} from './policy.js';
import {policyBroken, readPolicy} from './read.js';

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

/** The policy of a directory, by default of the system's. Rejects with ERR_POLICY where it has a fault. */
export async function readRules(system: System, directory?: string): Promise<Policy> {
  const {entries, problems} = await readPolicy(system, directory);
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
