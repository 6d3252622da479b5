/** What Locksmith offers to programs. */
export {ERRORS, type ErrorCode, type ErrorFacts, EXIT, isLockError, LockError} from './errors.js';
export type {AcquireOptions, Cycle, OnOrphan, OpenOptions} from './lock/config-lock.js';
export {FileLock, type FileLockOptions, lock, tryLock, type WaitOptions} from './lock/file-lock.js';
export type {RootOptions} from './lock/layout.js';
export type {OwnedConfig} from './lock/owned-config.js';
export type {Owner, PlannedUpdate} from './lock/owner-record.js';
export type {NextContent, UpdateOptions, UpdateResult} from './lock/update.js';
export type {LockEvent, Told} from './os/events.js';
export type {BitKind, BitOwner} from './os/lock-bit.js';
export {LockFile, type LockKind, type LockMode} from './os/lock-file.js';
export type {Suspect} from './os/hiding-places.js';
export {
  type Holder,
  type ListedLock,
  listLocks,
  type ListOptions,
  type LockList,
  type Waiter,
} from './os/lock-table.js';
export type {FileId} from './os/mounts.js';
export {SystemError} from './os/system-error.js';
export type {Gap} from './os/visibility.js';
export type {WaitLink} from './os/wait-chain.js';
export type {Range} from './os/wait-queue.js';
export {
  auditFile,
  type AuditRecord,
  auditRecords,
  auditRecordsIn,
  type AuditReport,
  type AuditSink,
  auditStream,
  importAudit,
  verifyAudit,
  verifyAuditIn,
} from './recovery/audit.js';
export type {BreakGlassOptions} from './recovery/break-glass.js';
export type {Cleaned, Outcome} from './recovery/clean.js';
export type {Contender} from './recovery/contenders.js';
export {
  findConfigLock,
  type GuardedAcquireOptions,
  GuardedConfig,
  openConfigLock,
} from './recovery/guarded-config.js';
export type {Hold, HoldOptions} from './recovery/hold.js';
export type {Acknowledgement} from './recovery/quiesce/quiesce.js';
export type {QuiesceSpec} from './recovery/quiesce/spec.js';
export {
  examineFile,
  type ExamineFileOptions,
  type FileVerdict,
  summarizeFile,
} from './recovery/file-verdict.js';
export type {Evidence} from './recovery/incarnation.js';
export type {RecoverOptions} from './recovery/recover.js';
export type {Certificate, OnStep, Step, StepName} from './recovery/take-back.js';
export {type ExamineOptions, type State, summarize, type Verdict} from './recovery/verdict.js';
