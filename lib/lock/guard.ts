/**
 * Has whoever has the guard become the owner? The lock itself says so.
 *
 * It is taken whole. Once the bit is set, its owner gives the end of the range back, where nobody ever locks. So the kernel
 * tells an owner, or one who was until he was fenced, from somebody who has just got the guard and may become the owner in a moment: also when
 * the record names another by now, and for every process that inherited the descriptor.
 */
import {LockFile} from '../os/lock-file.js';

const KEPT = {start: 0, length: 2 ** 52};
const GIVEN_BACK = {start: KEPT.length, length: 0};

/** The bit is set: from now on the guard is that of an owner. */
export function markOwner(guard: LockFile): void {
  guard.unlock(GIVEN_BACK);
}

/** Is it held, and by an owner? */
export function isOwners(path: string): boolean {
  using probe = LockFile.open(path);
  return probe.test('exclusive', KEPT) !== undefined && probe.test('exclusive', GIVEN_BACK) === undefined;
}

/** Asks again for what an owner has, through a copy of his description: granted to whoever shares it, and to nobody else. */
export function sharesGuard(guard: LockFile): boolean {
  return guard.try('exclusive', KEPT);
}
