/** What did an agent that was killed leave behind on this node? Orphans of its own applies, whatever order is in force by now. */
import {listNames} from '../lock/layout.js';
import {findConfigLock} from '../recovery/guarded-config.js';
import {recoverOwn} from './hot.js';
import type {NodeParts} from './node.js';

type Here = Pick<NodeParts, 'system' | 'roots' | 'signal' | 'tell'>;

async function recoverIfOwn({system, roots, signal, tell}: Here, name: string): Promise<void> {
  try {
    const config = findConfigLock(name, {system, ...roots});
    if (!config || config.bit.read() === 0) return;
    if (await recoverOwn(config, await config.examine(), signal))
      tell({event: 'fleet-recovered', lock: name});
  } catch (error) {
    // It stays HOT, and is registered as that; the next roll-out of it tries again.
    tell({event: 'fleet-unrecovered', lock: name, reason: (error as Error).message});
  }
}

/** Takes back what a dead agent of this node has left HOT; ghosts of others are left to people. */
export async function recoverOwnOrphans(parts: Here): Promise<void> {
  for (const name of listNames(parts.roots)) await recoverIfOwn(parts, name);
}
