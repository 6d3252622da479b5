/** How does a node get the content of a roll-out? Within its reservation, as the owner of the lock, old or new and never a mixture. */
import {readFile} from 'node:fs/promises';
import {isLockError, LockError} from '../errors.js';
import type {OwnedConfig} from '../lock/owned-config.js';
import {shadowPath} from '../lock/shadow.js';
import {sha256} from '../lock/update.js';
import {requireFree} from './hot.js';
import type {NodeChange} from './node-state.js';
import {asOwner} from './own-lock.js';
import type {Reservation} from './reservation.js';
import {readStamped} from './stamp.js';
import {record, recordAfter, type Task} from './task.js';

/** Somebody has written the file who is no roll-out; what he wrote is not touched. */
export function changedByOthers({config, plan}: Task, hash: string | null): LockError {
  return new LockError(
    'ERR_NODE_STATE',
    `somebody else has changed ${config.file} since ${plan.id} was applied: its SHA-256 is ${hash ?? 'none, it is missing'}. It was left as it is`,
    {lock: config.name, path: config.file},
  );
}

async function keep({state}: Task, change: NodeChange): Promise<void> {
  await state.write({...state.read(), change});
}

function changeOf({plan: {id, epoch, sha256: hash}}: Task, before: string | null): NodeChange {
  return {rollout: id, epoch, sha256: hash, before, phase: 'applying'};
}

async function finish(task: Task, change: NodeChange): Promise<NodeChange> {
  const applied: NodeChange = {...change, phase: 'applied'};
  await keep(task, applied);
  const reason = await recordAfter(task, 'fleet-applied', change.epoch, {before: change.before});
  return reason === undefined ? applied : {...applied, reason};
}

/** It has happened, and our record does not know: lost, or from an older backup. What was there before is lost with it. */
function knownByStamp(task: Task): NodeChange | undefined {
  const {plan, config} = task;
  const {sha256: hash, origin} = readStamped(config.file);
  const ours = hash === plan.sha256 && origin?.rollout === plan.id && origin.epoch === plan.epoch;
  return ours ? changeOf(task, null) : undefined;
}

/**
 * What this node has applied of the roll-out already, found at its start or after a refusal; undefined: nothing yet. Rejects with ERR_HOT, and with
 * ERR_NODE_STATE when somebody else has changed the file since.
 */
export async function findApplied(task: Task): Promise<NodeChange | undefined> {
  const {state, plan, config, signal} = task;
  const {change} = state.read();
  const ours = change?.rollout === plan.id ? change : knownByStamp(task);
  if (!ours) return undefined;
  // Killed in the middle, it may have left an orphan, which is taken back first.
  if (ours.phase === 'applying') await requireFree(config, signal);
  const {sha256: hash} = readStamped(config.file);
  if (hash === plan.sha256) return ours.phase === 'applying' ? finish(task, ours) : ours;
  if (ours.phase === 'applying') return undefined;
  throw changedByOthers(task, hash);
}

/** A validator that only confirms is heard as it is. */
function unwrap(error: unknown): unknown {
  const {cause} = error as Error;
  return isLockError(error, 'ERR_VALIDATION') && isLockError(cause, 'ERR_RESERVATION_OVER') ? cause : error;
}

async function replace(
  task: Task,
  owned: OwnedConfig,
  reservation: Reservation,
  content: Buffer,
): Promise<void> {
  const {state, plan, fence, signal} = task;
  const paths = {shadow: shadowPath(owned.file, owned.epoch), gate: state.gate};
  const origin = {rollout: plan.id, epoch: plan.epoch};
  try {
    await reservation.fenced(fence, paths, async confirm => {
      await owned.update(() => content, {origin, signal, validate: confirm});
    });
  } catch (error) {
    throw unwrap(error);
  }
}

/**
 * Applies. Rejects with ERR_HOT, ERR_RESERVATION_OVER, with signal.reason before the rename, or with why it failed: the file is then what it was, but for
 * ERR_NOT_DURABLE.
 */
export async function apply(task: Task, reservation: Reservation): Promise<NodeChange> {
  const {state, plan, parts} = task;
  const content = state.readNext(plan.sha256, parts.config.largest);
  reservation.assertStanding();
  await requireFree(task.config, task.signal);
  await record(task, 'fleet-applying', plan.epoch);
  let change: NodeChange | undefined;
  await asOwner(task, plan.epoch, async owned => {
    const current = await readFile(owned.file);
    change = changeOf(task, sha256(current));
    await state.keepBefore(current);
    await keep(task, change);
    if (change.before !== plan.sha256) await replace(task, owned, reservation, content);
  });
  return finish(task, change as unknown as NodeChange);
}
