/** In which order do bit and owner record name a new owner, so that nobody who is killed in between is taken for another? */
import type {BitKind} from '../os/lock-bit.js';
import type {System} from '../os/system.js';
import {nextEpoch, noteEpoch} from './epoch.js';

export interface ChangeOfHands {
  readonly system: System;
  /** Durable root. */
  readonly state: string;
  readonly kind: BitKind;
  /** Epoch of the bit. */
  readonly before: number;
  /** Epoch on record. */
  readonly recorded: number;
  /** Takes the bit by comparison with `expected`; returns the epoch that is then in force. */
  readonly take: (expected: number, next: number) => number;
  /** Writes the new owner down at that epoch. */
  readonly write: (epoch: number) => void;
}

/**
 * A soft bit knows no owner, so the record comes first: a set bit always has a record of its epoch. The kernel knows the
 * owner and gives the epochs, so there the bit comes first, and the record adds what the kernel can't know. The caller
 * holds the guard. Returns the epoch in force.
 */
export async function changeHands(change: ChangeOfHands): Promise<number> {
  const {system, state, kind, before, recorded, take, write} = change;
  const current = Math.max(before, recorded);
  if (kind === 'soft') {
    const next = await nextEpoch(system, state, current);
    write(next);
    return take(before, next);
  }
  const epoch = take(before, current + 1);
  write(epoch);
  await noteEpoch(state, before, epoch);
  return epoch;
}
