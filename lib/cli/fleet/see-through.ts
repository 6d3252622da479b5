/** How does whoever has started a roll-out, or stepped in, see it through? He drives it while he watches. */
import type {FleetAccess} from '../../fleet/access.js';
import {remark} from '../output.js';
import {Interrupted, signalStatus} from '../signals.js';
import {sayDetached} from './detach.js';
import {Driving} from './driving.js';
import {follow, type Following} from './follow.js';

async function driveAndFollow(access: FleetAccess, id: string, following: Following): Promise<number> {
  await using driving = new Driving(access);
  driving.over.catch((error: Error) => remark(`not driven from here: ${error.message}`, following.json));
  return await follow(access, id, following);
}

/** Drives, if nobody else does, and shows a roll-out until it has ended or is paused. Ctrl-C ends that, and not the roll-out. Returns the exit status; rejects with ERR_ROLLOUT_ENDED. */
export async function seeThrough(access: FleetAccess, id: string, following: Following): Promise<number> {
  try {
    return await driveAndFollow(access, id, following);
  } catch (error) {
    if (!(error instanceof Interrupted)) throw error;
    await sayDetached(access, id, following);
    return signalStatus(error.signal);
  }
}
