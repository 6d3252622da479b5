/** Who goes on when a shell no longer watches a roll-out? */
import type {FleetAccess} from '../../fleet/access.js';
import {readFleet} from '../../fleet/rollout-view.js';
import type {Given} from '../command.js';
import {remark} from '../output.js';
import {personText} from './words.js';

/** In words. Rejects as a read of the store does. */
async function driverText(access: FleetAccess): Promise<string> {
  const {leader} = await readFleet(access);
  return leader
    ? `driven by ${personText(leader.by)}`
    : 'as soon as somebody drives: locksmith fleet agent --drive on any node, or locksmith fleet drive';
}

/** Says that it goes on, and who drives it. Rejects as a read of the store does. */
export async function sayDetached(access: FleetAccess, id: string, {json}: Given): Promise<void> {
  remark(
    `roll-out ${id} goes on, ${await driverText(access)}; locksmith fleet rollout status ${id} --follow shows it`,
    json,
  );
}
