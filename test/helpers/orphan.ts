/** What does a recovery begin with, and which way does it go? */
import type {ExecutionContext} from 'ava';
import type {GuardedConfig} from '../../lib/recovery/guarded-config.js';
import type {StepName} from '../../lib/recovery/take-back.js';
import {type Actor, actor} from './actor.js';
import {NEW, openScratch, type Scratch, scratch} from './scratch.js';

/** A lock whose owner was killed in an update, between shadow and rename. */
export async function orphan(
  t: ExecutionContext,
): Promise<{place: Scratch; config: GuardedConfig; owner: Actor; shadow: string}> {
  const place = scratch(t);
  const config = await openScratch(place);
  const owner = await actor(t, place);
  const {shadow} = await owner.do('begin-update', {content: NEW});
  await owner.kill();
  return {place, config, owner, shadow: String(shadow)};
}

/** The steps of a recovery that nothing stands in the way of. */
export const STEPS: readonly StepName[] = [
  'recovery-lock',
  'verdict',
  'intent',
  'hold',
  'contenders',
  'guard',
  'verify',
  'handover',
  'clean',
  'clear',
  'all-clear',
];
