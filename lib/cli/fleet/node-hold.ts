/** How does an agent hold a lock of its node? Through the daemon where one answers, so that its orchestrators hear of it; else directly, with those that the policy names. */
import {isLockError, LockError} from '../../errors.js';
import type {HoldLock, NodeHold} from '../../fleet/node.js';
import type {Roots} from '../../lock/layout.js';
import type {System} from '../../os/system.js';
import {findConfigLock} from '../../recovery/guarded-config.js';
import type {KeptHold} from '../hold-there.js';
import {type PolicyGiven, policyFor} from '../policy.js';
import {acknowledgementText} from '../quiesce.js';
import {isReached, PATIENCE, type Reached, reachDaemon} from '../reach.js';

type Wanted = Parameters<HoldLock>;

async function askThere({client}: Reached, [lock, milliseconds, reason, signal]: Wanted): Promise<KeptHold> {
  const {HoldThere} = await import('../hold-there.js');
  return HoldThere.ask(client, {lock, for: milliseconds, reason}, signal);
}

async function holdThere(found: Reached, wanted: Wanted): Promise<NodeHold> {
  const {client} = found;
  try {
    const hold = await askThere(found, wanted);
    return toNodeHold(hold, async () => {
      try {
        await hold.release();
      } finally {
        await client.close();
      }
    });
  } catch (error) {
    await client.close();
    throw error;
  }
}

async function holdHere(
  roots: Roots,
  policy: PolicyGiven,
  [lock, milliseconds, , signal]: Wanted,
): Promise<NodeHold> {
  const config = findConfigLock(lock, roots);
  if (!config) throw new LockError('ERR_UNKNOWN_LOCK', `no lock is called ${lock}`, {lock});
  const {settings} = (await policyFor(policy)).of(lock);
  const hold = await config.hold({for: milliseconds, quiesce: settings.quiesce, signal});
  return toNodeHold(hold, () => hold.release());
}

function toNodeHold(
  {acknowledgedAfter, acknowledgements, signal}: KeptHold,
  release: () => Promise<void>,
): NodeHold {
  return {
    acknowledgedAfter,
    orchestrators: acknowledgements.map(acknowledgementText),
    signal,
    release,
    [Symbol.asyncDispose]: release,
  };
}

/** A daemon that is stuck can't tell its orchestrators, and nobody else can: so there is no hold. */
export function nodeHold(system: System, roots: Roots, policy: PolicyGiven): HoldLock {
  return async (...wanted) => {
    const found = await reachDaemon(PATIENCE, system);
    if (!isReached(found)) {
      if (found.kind === 'fault') throw found.error;
      return holdHere(roots, policy, wanted);
    }
    try {
      return await holdThere(found, wanted);
    } catch (error) {
      if (!isLockError(error, 'ERR_UNKNOWN_LOCK')) throw error;
      return holdHere(roots, policy, wanted);
    }
  };
}
