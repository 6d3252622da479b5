/** How is a configuration made consistent after its owner died in the middle of an update? By hash, forward or back. */
import {LockError} from '../errors.js';
import type {ConfigLock} from '../lock/config-lock.js';
import type {PlannedUpdate} from '../lock/owner-record.js';
import {removeShadowsBelow} from '../lock/shadow.js';
import {hashFile} from '../lock/update.js';

/** What became of the update that was under way. */
export type Outcome =
  /** None was. */
  | 'untouched'
  /** The file has the new content: the rename had happened. */
  | 'rolled-forward'
  /** The file has the old content; the shadow was dropped. */
  | 'rolled-back'
  /** The file has neither: somebody else changed it meanwhile. It was left as it is. */
  | 'changed-by-others';

export interface Cleaned {
  readonly outcome: Outcome;
  /** SHA-256 of the file as it is now; null when it is missing. */
  readonly sha256: string | null;
  readonly removed: readonly string[];
}

function outcomeOf(update: PlannedUpdate | undefined, hash: string | null): Outcome {
  if (update === undefined) return 'untouched';
  if (hash === update.to) return 'rolled-forward';
  return hash === update.from ? 'rolled-back' : 'changed-by-others';
}

/** Validates a configuration that is in place; throws to refuse it. */
export type ValidateFile = (file: string) => void | Promise<void>;

/**
 * Removes every shadow older than our epoch, then tells by hash how far the update came. The epoch must have been
 * raised before. Throws ERR_NOT_CLEAN when the file is missing or the validator refuses it.
 */
export async function cleanConfig(
  config: ConfigLock,
  epoch: number,
  update: PlannedUpdate | undefined,
  validate?: ValidateFile,
): Promise<Cleaned> {
  const removed = await removeShadowsBelow(config.file, epoch);
  const hash = await hashFile(config.file);
  const facts = {lock: config.name, path: config.file, epoch};
  if (hash === null) throw new LockError('ERR_NOT_CLEAN', `${config.file} is missing`, facts);
  try {
    await validate?.(config.file);
  } catch (cause) {
    throw new LockError(
      'ERR_NOT_CLEAN',
      `the validator refuses ${config.file} as it is: ${cause instanceof Error ? cause.message : String(cause)}`,
      facts,
      {cause},
    );
  }
  return {outcome: outcomeOf(update, hash), sha256: hash, removed};
}
