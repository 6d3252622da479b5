/**
 * How does a change take effect only while somebody vouches for it, even if we are stopped right before it?
 *
 * What is to come is written whole into files of its own, then confirmed, then renamed into place. Whoever withdraws the
 * permission removes these files: since the confirmation comes after they were written, a rename that still succeeds
 * happened before.
 */
import {unlinkSync} from 'node:fs';
import {hasCode} from './system-error.js';

/** May it still happen? Throws when not. */
export type Confirm = () => void;

export interface StagedChange {
  /** The files that are renamed into place; nobody else writes them meanwhile. */
  readonly staged: readonly string[];
  /** Writes them. */
  readonly stage: () => void;
  readonly confirm: Confirm;
  /** Renames them. */
  readonly commit: () => void;
}

function removeIfThere(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error;
  }
}

/** Makes the change, or throws and leaves no file behind. When the files were removed meanwhile, `confirm` says why. */
export function change({staged, stage, confirm, commit}: StagedChange): void {
  try {
    stage();
    confirm();
    commit();
  } catch (error) {
    for (const path of staged) removeIfThere(path);
    if (hasCode(error, 'ENOENT', 'ESTALE')) confirm();
    throw error;
  }
}
