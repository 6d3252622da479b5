/** Is a taking back on record before anything is done, and afterwards? And what if the record can't be written? */
import {existsSync} from 'node:fs';
import {join} from 'node:path';
import {isLockError, LockError} from '../errors.js';
import type {ConfigLock} from '../lock/config-lock.js';
import {hasCode} from '../os/system-error.js';
import {appendAudit, auditPath, type AuditRecord, type AuditSink} from './audit.js';

type Facts = Readonly<Record<string, unknown>>;

/** The epoch of a soft bit was reserved in STATE. Without a trace of that, this is a directory of the same name on another file system. */
function checkState({bit, name, roots}: ConfigLock): void {
  if (bit.kind !== 'soft' || existsSync(join(roots.state, 'epoch'))) return;
  throw new LockError(
    'ERR_STATE_MISSING',
    `${roots.state} does not have the epochs of ${name}: is its file system mounted?`,
    {lock: name, path: roots.state},
  );
}

/** Writes down what is about to be done. Throws ERR_AUDIT_REFUSED, ERR_STATE_MISSING or ERR_AUDIT_BROKEN; then it must not be done. */
export async function recordIntent(
  config: ConfigLock,
  audit: AuditSink | undefined,
  event: string,
  facts: Facts,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (!audit) checkState(config);
  try {
    await appendAudit(config.system, audit ?? config.roots.state, event, config.name, facts, signal);
  } catch (cause) {
    if (signal?.aborted || isLockError(cause) || hasCode(cause, 'EACCES', 'EPERM')) throw cause;
    const path = audit?.name ?? auditPath(config.roots.state);
    throw new LockError(
      'ERR_AUDIT_REFUSED',
      `${path} takes no record, so nothing was done to ${config.name}: ${(cause as Error).message}`,
      {lock: config.name, path},
      {cause},
    );
  }
}

/** Writes down that it was done. Throws ERR_UNRECORDED with what should have been written: the lock is free all the same. */
export async function recordAllClear(
  config: ConfigLock,
  audit: AuditSink | undefined,
  facts: Facts,
): Promise<AuditRecord> {
  try {
    return await appendAudit(config.system, audit ?? config.roots.state, 'all-clear', config.name, facts);
  } catch (cause) {
    const path = audit?.name ?? auditPath(config.roots.state);
    throw new LockError(
      'ERR_UNRECORDED',
      `${config.name} is clean and free, but ${path} took no record of that: ${(cause as Error).message}`,
      {lock: config.name, path: config.file, record: {event: 'all-clear', lock: config.name, ...facts}},
      {cause},
    );
  }
}
