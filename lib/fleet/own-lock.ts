/** How does an agent become the owner of a lock for a roll-out? Without waiting, and past an orphan of its own. */
import {isLockError} from '../errors.js';
import type {OwnedConfig} from '../lock/owned-config.js';
import {purposeOf, refusedAnyway, requireFree} from './hot.js';
import type {Task} from './task.js';

/** How often a lock is tried that is free when one looks: somebody may pass through. */
const TRIES = 5;

/** Rejects with ERR_HOT. */
async function acquire({config, plan, signal}: Task, epoch: number): Promise<OwnedConfig> {
  for (let tries = 0; tries < TRIES; tries++) {
    await requireFree(config, signal);
    try {
      const owned = await config.tryAcquire({purpose: purposeOf(plan.id, epoch)});
      if (owned) return owned;
    } catch (error) {
      // Its owner has died just now: the next look says whose it was.
      if (!isLockError(error, 'ERR_ORPHANED')) throw error;
    }
  }
  throw await refusedAnyway(config);
}

/** Owns the lock while `doing` runs, and releases it whatever comes. What went wrong first is what is thrown. */
export async function asOwner(
  task: Task,
  epoch: number,
  doing: (owned: OwnedConfig) => Promise<void>,
): Promise<void> {
  const owned = await acquire(task, epoch);
  try {
    await doing(owned);
  } catch (error) {
    await owned.release().catch(() => undefined);
    throw error;
  }
  await owned.release();
}
