/** Could this node apply that content now? Its lock is free, the content is here, whole and valid; then the node reserves itself. */
import {LockError} from '../errors.js';
import {sha256} from '../lock/update.js';
import {monotonic} from '../os/deadline.js';
import {readRules} from '../recovery/policy/rules.js';
import {validatorOf} from '../recovery/validator.js';
import {requireFree} from './hot.js';
import {KEYS} from './keys.js';
import {unlessAborted} from './pause.js';
import {untilReached} from './reach.js';
import {Reservation} from './reservation.js';
import {record, type Task} from './task.js';
import {requireRunnable} from './verify-order.js';

function requireSize({parts: {config}, plan}: Task): void {
  if (plan.bytes <= config.largest) return;
  throw new LockError(
    'ERR_TOO_LARGE',
    `the content of ${plan.id} has ${plan.bytes} bytes; ${config.node} takes ${config.largest} at most`,
    {lock: plan.lock},
  );
}

/** Fetches the content by its hash: whoever may write to the store can leave it out, but not exchange it. */
async function fetchContent({parts, plan, signal}: Task): Promise<Buffer> {
  const key = KEYS.blob(plan.sha256);
  const found = await untilReached(parts, () => parts.etcd.get(key, {signal}), signal);
  if (!found) throw new LockError('ERR_STORE_ANSWER', `${key} is not in etcd: the content is missing`, {key});
  const {value} = found;
  if (value.length === plan.bytes && sha256(value) === plan.sha256) return value;
  throw new LockError(
    'ERR_STORE_ANSWER',
    `${key} in etcd is another content: ${value.length} bytes, SHA-256 ${sha256(value)}`,
    {key},
  );
}

/** With the validator that the policy gives to this lock. Rejects with ERR_VALIDATION. */
async function validate({parts, plan, state, signal}: Task): Promise<void> {
  const {settings} = (await readRules(parts.system)).of(plan.lock);
  try {
    await unlessAborted(validatorOf(settings.validate)?.(state.next) ?? Promise.resolve(), signal);
  } catch (cause) {
    signal.throwIfAborted();
    throw new LockError(
      'ERR_VALIDATION',
      `the validator refused the content of ${plan.id}: ${(cause as Error).message}`,
      {lock: plan.lock},
      {cause},
    );
  }
}

/**
 * Prepares. `isInForce` asks the store whether the order still stands; the reservation counts from before that question, so that nothing is
 * applied later than the reservation lasts after the order was in force. Rejects with ERR_HOT, or with why it can not be; then nothing of the lock was changed.
 */
export async function prepare(task: Task, isInForce: () => Promise<void>): Promise<Reservation> {
  const {config, plan, state, signal} = task;
  requireSize(task);
  requireRunnable(task.parts.config, plan);
  await requireFree(config, signal);
  await state.keepNext(await fetchContent(task));
  task.report({state: 'SHADOWED'});
  await validate(task);
  const since = monotonic();
  await isInForce();
  await record(task, 'fleet-prepared', plan.epoch, {reservation: plan.reservation});
  const reservation = new Reservation(plan.id, plan.lock, plan.reservation, since);
  task.report({state: 'PREPARED'});
  return reservation;
}
