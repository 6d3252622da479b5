/** How does a node get back what it had before a roll-out? From its own copy, if the file still has what the roll-out brought. */
import {LockError} from '../errors.js';
import {hashFile} from '../lock/update.js';
import {changedByOthers} from './apply.js';
import {recoverOwn} from './hot.js';
import type {NodeChange} from './node-state.js';
import {asOwner} from './own-lock.js';
import {readStamped} from './stamp.js';
import {record, recordAfter, type Task} from './task.js';

function lost({config, plan}: Task): LockError {
  return new LockError(
    'ERR_NODE_STATE',
    `${config.file} has the content of ${plan.id}, and what was there before is not kept on this node. It was left as it is`,
    {lock: config.name, path: config.file},
  );
}

/** Nothing of it was ever changed here; an agent that was killed may have the lock still. */
async function neverApplied(task: Task): Promise<NodeChange> {
  const {config, plan, signal} = task;
  await recoverOwn(config, await config.examine(), signal);
  const {sha256, origin} = readStamped(config.file);
  if (sha256 === plan.sha256 && origin?.rollout === plan.id) throw lost(task);
  return {rollout: plan.id, epoch: plan.epoch, sha256: plan.sha256, before: null, phase: 'rolled-back'};
}

/** Puts the content back as the owner of the lock. */
async function restore(task: Task, change: NodeChange, epoch: number): Promise<boolean> {
  const {plan, state, signal} = task;
  let changed = false;
  await record(task, 'fleet-rolling-back', epoch);
  await asOwner(task, epoch, async owned => {
    const hash = await hashFile(owned.file);
    if (hash === change.before) return;
    if (hash !== change.sha256) throw changedByOthers(task, hash);
    if (change.before === null) throw lost(task);
    const before = state.readBefore(change.before, Number.POSITIVE_INFINITY);
    await state.write({...state.read(), change: {...change, phase: 'rolling-back'}});
    await owned.update(() => before, {origin: {rollout: plan.id, epoch}, signal});
    changed = true;
  });
  return changed;
}

/**
 * Rolls back; what was rolled back before stays as it is. Rejects with ERR_HOT, ERR_NODE_STATE when somebody else has changed the file meanwhile, or
 * with signal.reason before the rename.
 */
export async function rollBack(task: Task): Promise<NodeChange> {
  const {plan, state} = task;
  const {change} = state.read();
  if (change?.rollout === plan.id && change.phase === 'rolled-back') return change;
  const epoch = plan.epoch + 1;
  const known = change?.rollout === plan.id ? change : undefined;
  const changed = known ? await restore(task, known, epoch) : false;
  const done: NodeChange = known ? {...known, phase: 'rolled-back'} : await neverApplied(task);
  const {health: _health, reason: _reason, ...rest} = done;
  await state.write({...state.read(), change: rest});
  const reason = await recordAfter(task, 'fleet-rolled-back', epoch, {changed});
  return reason === undefined ? rest : {...rest, reason};
}
