/**
 * What can Locksmith refuse, and what does each refusal mean? One table, from which the texts, the exit
 * statuses and docs/errors.md come; what the *kernel* refused is a SystemError (os/system-error.ts).
 */

/** Exit statuses of the command line (sysexits.h where it has a word for it). */
export const EXIT = {
  done: 0,
  no: 1,
  failure: 2,
  usage: 64,
  unavailable: 69,
  /** Done, but the record of it could not be written. */
  unrecorded: 74,
  tryAgain: 75,
  notPermitted: 77,
} as const;

interface ErrorKind {
  /** What happened, for docs and for people. */
  readonly meaning: string;
  /** What to do next. */
  readonly advice: string;
  readonly exit: number;
}

/** All codes of LockError. */
export const ERRORS = {
  ERR_ARGUMENT: {
    meaning: 'An argument or option has a value that can not be used.',
    advice: 'Correct it; the message names it and what it takes.',
    exit: EXIT.usage,
  },
  ERR_NAME_INVALID: {
    meaning:
      'The name of a lock does not match [A-Za-z0-9][A-Za-z0-9._-]{0,62}, has ".." in it, or is "create" or "remove".',
    advice: 'Give another name; a path is recognised by its slash.',
    exit: EXIT.usage,
  },
  ERR_NAME_TAKEN: {
    meaning: 'The name already guards another file.',
    advice: 'Give this file a name of its own; the message says both paths.',
    exit: EXIT.failure,
  },
  ERR_FILE_TAKEN: {
    meaning: 'Another lock already guards this file; two locks on one file would exclude nobody.',
    advice: 'Use that lock; the message names it.',
    exit: EXIT.failure,
  },
  ERR_UNKNOWN_LOCK: {
    meaning: 'No lock has that name, or no lock guards that file.',
    advice: 'See `locksmith ls`; a lock comes into being when it is first opened for its file.',
    exit: EXIT.failure,
  },
  ERR_CONFIG_MISSING: {
    meaning: 'The configuration file does not exist.',
    advice: 'Check the path, or create the file before it is guarded.',
    exit: EXIT.failure,
  },
  ERR_CONFIG_NOT_FILE: {
    meaning: 'The path names a directory or something else that is no regular file.',
    advice: 'Give the path of the configuration file itself.',
    exit: EXIT.failure,
  },
  ERR_CONFIG_SYMLINK: {
    meaning: 'The path is a symbolic link; an update would replace the link, not the file.',
    advice: 'Give the path of the file that it leads to; the message names it.',
    exit: EXIT.failure,
  },
  ERR_ROOT_UNSAFE: {
    meaning: 'A state directory is owned by somebody else, writable for all, or not a directory.',
    advice: 'Correct its owner and mode, or set LOCKSMITH_RUN, LOCKSMITH_STATE or LOCKSMITH_BITS.',
    exit: EXIT.notPermitted,
  },
  ERR_STATE_MISSING: {
    meaning: 'Durable state is not where it was: its file system is not mounted, it seems.',
    advice: 'Mount it. To take a lock back without it, see --audit-to.',
    exit: EXIT.failure,
  },
  ERR_NO_PROC: {
    meaning: 'The process file system is not mounted: nothing can be proven of any process.',
    advice: 'Mount it: mount -t proc proc /proc.',
    exit: EXIT.unavailable,
  },
  ERR_MODULE_MISSING: {
    meaning: 'The bit of this lock is kept by the kernel module, and that is not loaded or not to be seen.',
    advice: 'Load it: modprobe locksmith; or mount sysfs. docs/operations.md says how it is installed.',
    exit: EXIT.unavailable,
  },
  ERR_HOT: {
    meaning: 'The lock bit is set by somebody else: the file must not be used now.',
    advice: 'Wait for the owner, or see `locksmith explain`.',
    exit: EXIT.no,
  },
  ERR_ON_HOLD: {
    meaning: 'A hold is in force: nobody may enter a cycle or take the lock.',
    advice: 'Try again when the hold has ended; it ends by itself.',
    exit: EXIT.tryAgain,
  },
  ERR_ORPHANED: {
    meaning: 'The owner died in the middle: the bit is set and nobody holds the guard.',
    advice: 'Run `locksmith recover`, or acquire with onOrphan: "recover".',
    exit: EXIT.no,
  },
  ERR_OWNER_UNKNOWN: {
    meaning: 'Who owns the lock can not be told: its record is missing, torn, or of a newer version.',
    advice: 'See `locksmith explain`; only `locksmith break-glass` can go on from here.',
    exit: EXIT.no,
  },
  ERR_TIMED_OUT: {
    meaning: 'The lock was not to be had in the time given.',
    advice: 'See `locksmith explain` for who has it; wait longer or try again.',
    exit: EXIT.no,
  },
  ERR_FENCED: {
    meaning: 'Somebody took the lock away meanwhile (recovery or break-glass): a newer epoch is in force.',
    advice: 'Nothing more was written. Acquire again and start from the current content.',
    exit: EXIT.failure,
  },
  ERR_RELEASED: {
    meaning: 'The lock object was used after its release.',
    advice: 'Acquire again.',
    exit: EXIT.failure,
  },
  ERR_VALIDATION: {
    meaning: 'The validator refused the new content; the old one is still in place.',
    advice: 'Correct the content; the cause says what the validator said.',
    exit: EXIT.failure,
  },
  ERR_NOT_DURABLE: {
    meaning: 'The new content is in place, but the disk did not confirm that it would survive a power cut.',
    advice: 'Look at the disk, then update once more.',
    exit: EXIT.failure,
  },
  ERR_NOT_DEAD: {
    meaning: 'Recovery takes only from the proven dead, and this owner is not.',
    advice: 'See `locksmith explain`; `locksmith break-glass` is the audited way to force it.',
    exit: EXIT.no,
  },
  ERR_HOLD_REFUSED: {
    meaning: 'Not every process came to the hold point in time.',
    advice: 'Look at the processes named; give more time, or stop them.',
    exit: EXIT.no,
  },
  ERR_QUIESCE_REFUSED: {
    meaning: 'An orchestrator could not be stopped, or did not acknowledge it in time.',
    advice: 'The message says which and why. What was stopped goes on again; nothing else was changed.',
    exit: EXIT.no,
  },
  ERR_RESTORE_FAILED: {
    meaning: 'The hold has ended, but an orchestrator that it had stopped does not go on.',
    advice: 'Let it go on by hand now; the message says how for each. All else was done.',
    exit: EXIT.failure,
  },
  ERR_HOLD_EXPIRED: {
    meaning: 'The hold ended before the work under it was done; the work went no further.',
    advice: 'Run it again, with a longer hold if it needs one.',
    exit: EXIT.tryAgain,
  },
  ERR_CONTENDED: {
    meaning: 'A contender remains: somebody waits for the lock, holds it, or has the file open for writing.',
    advice: 'Look at the processes named; nothing was changed.',
    exit: EXIT.no,
  },
  ERR_RECOVERY_BUSY: {
    meaning: 'Another recovery of this lock is under way.',
    advice:
      'Wait for it; running it again then tells how it ended. One that can not run (the message says so) is let go on, or ended: nothing is lost.',
    exit: EXIT.tryAgain,
  },
  ERR_OWNER_CHANGED: {
    meaning: 'The lock has another owner or epoch than the one that was named.',
    advice: 'Run `locksmith explain` again and decide anew.',
    exit: EXIT.no,
  },
  ERR_NOT_PERMITTED: {
    meaning: 'This needs root, the user that owns the lock, or whom the policy names.',
    advice: 'Run it with sudo.',
    exit: EXIT.notPermitted,
  },
  ERR_TAKEOVER_REFUSED: {
    meaning: 'The guard is held and could not be taken over from its holder.',
    advice: 'The message says who holds it, why, and what remains possible.',
    exit: EXIT.no,
  },
  ERR_NOT_CLEAN: {
    meaning: 'The lock was taken back, but the file could not be made consistent; the bit stays set.',
    advice: 'The cause says what failed. Correct it and run `locksmith recover` again.',
    exit: EXIT.failure,
  },
  ERR_EPOCH_CORRUPT: {
    meaning: 'The durable high-water mark of epochs can not be read, so no epoch is safe to give.',
    advice: 'Look at the file named; put back a number at least as high as any epoch block ever used.',
    exit: EXIT.failure,
  },
  ERR_AUDIT_REFUSED: {
    meaning: 'The intent could not be written to the audit log, so nothing was done.',
    advice:
      'Make room or mount the disk; or have the records elsewhere: --audit-to FILE, or --audit-to - for stdout.',
    exit: EXIT.failure,
  },
  ERR_UNRECORDED: {
    meaning: 'The lock was taken back and is free, but its ALL CLEAR could not be written to the audit log.',
    advice: 'Keep the record that is shown; there is nothing to recover any more.',
    exit: EXIT.unrecorded,
  },
  ERR_AUDIT_BROKEN: {
    meaning: 'The audit log does not continue its hash chain.',
    advice: 'Run `locksmith log --verify`; keep the file as evidence and move it away to start a new one.',
    exit: EXIT.failure,
  },
  ERR_POLICY: {
    meaning:
      'The policy files have a fault, so what they say can not be relied on; or they say two things of one lock.',
    advice:
      'Correct it: `locksmith policy check` lists all faults. In an emergency, --no-policy goes without it.',
    exit: EXIT.failure,
  },
  ERR_DAEMON_RUNNING: {
    meaning: 'Another daemon watches the locks of this RUN already.',
    advice: 'Use that one; `systemctl status locksmith` or the pid in the message says which it is.',
    exit: EXIT.tryAgain,
  },
  ERR_NO_DAEMON: {
    meaning: 'No daemon answers on the socket.',
    advice: 'Start it: `systemctl start locksmith`. All that needs no events works without it.',
    exit: EXIT.unavailable,
  },
  ERR_DAEMON_ANSWER: {
    meaning:
      'The daemon answered something that this program does not understand, or that it takes no more requests for now.',
    advice: 'The message says what. Try again; if it stays so, both are of different versions.',
    exit: EXIT.tryAgain,
  },
  ERR_UNKNOWN_HOLD: {
    meaning: 'No hold of that id is in force: it has ended, or never was.',
    advice: 'Ask for a new one; what was stopped goes on by itself when a hold ends.',
    exit: EXIT.no,
  },
  ERR_UNKNOWN_ORCHESTRATOR: {
    meaning: 'No orchestrator of that id has registered with this daemon; it may be a new one.',
    advice: 'Register again.',
    exit: EXIT.no,
  },
  ERR_ACKNOWLEDGED: {
    meaning: 'The orchestrator has acknowledged that hold before.',
    advice: 'Nothing is to be done; one acknowledgement is enough.',
    exit: EXIT.no,
  },
  ERR_FLEET_CONFIG: {
    meaning:
      'The file that says how this machine takes part in a fleet has a fault, is missing, or others may write to it.',
    advice: 'Correct it; the message names file, key and what is expected. docs/fleet.md describes it.',
    exit: EXIT.failure,
  },
  ERR_STORE_UNREACHABLE: {
    meaning: 'No member of the etcd cluster answers, or none that has a leader.',
    advice: 'Look at the members named: `etcdctl endpoint status`. Nothing on this machine needs them.',
    exit: EXIT.unavailable,
  },
  ERR_STORE_REFUSED: {
    meaning: 'etcd refuses us: user, password, certificate or role.',
    advice: 'Correct what the message names in the fleet file, or renew the certificate.',
    exit: EXIT.notPermitted,
  },
  ERR_STORE_FULL: {
    meaning: 'etcd takes no more writes: its quota is exceeded, or somebody raised that alarm.',
    advice: 'Compact and defragment it, then `etcdctl alarm disarm`. Nothing was written.',
    exit: EXIT.tryAgain,
  },
  ERR_STORE_ANSWER: {
    meaning: 'etcd refused a request as wrong, or something in it is not what Locksmith writes there.',
    advice: 'The message names the key or the request; it is ignored until somebody has looked at it.',
    exit: EXIT.failure,
  },
  ERR_OUTCOME_UNKNOWN: {
    meaning: 'The reply to a write was lost, and whether it was done could not be read back either.',
    advice: 'Look before it is repeated: `locksmith fleet rollout status`. It may have been done.',
    exit: EXIT.tryAgain,
  },
  ERR_SESSION_LOST: {
    meaning: 'The lease on etcd is over, or may be: what was written under it counts no more.',
    advice: 'Begin a new session. That a lease is over proves nothing about its node.',
    exit: EXIT.tryAgain,
  },
  ERR_SIGNATURE: {
    meaning: 'A document of the fleet is not signed by the keys that this machine trusts.',
    advice: 'Sign it with a key that the fleet file names; the message says which are missing.',
    exit: EXIT.notPermitted,
  },
  ERR_REPLAY: {
    meaning: 'A roll-out has an epoch that is not above what this node has seen.',
    advice: 'Nothing was changed. Start a new roll-out; old ones are never taken up again.',
    exit: EXIT.no,
  },
  ERR_NODE_TAKEN: {
    meaning: 'A machine is registered under that name of a node.',
    advice: 'End its agent, or give this machine a name of its own in the fleet file.',
    exit: EXIT.tryAgain,
  },
  ERR_TOO_LARGE: {
    meaning: 'The content is larger than what a roll-out carries.',
    advice: 'Make it smaller, or raise `largest` in the fleet file and the request limit of etcd.',
    exit: EXIT.failure,
  },
  ERR_ROLLOUT_ACTIVE: {
    meaning: 'Another roll-out of this lock is under way.',
    advice: 'Wait for it, or `locksmith fleet rollout abort` it; the message names it and who started it.',
    exit: EXIT.tryAgain,
  },
  ERR_UNKNOWN_FLEET: {
    meaning: 'The daemon looks at no fleet.',
    advice: 'Start it with --fleet; without it, `locksmith fleet rollout status` asks etcd itself.',
    exit: EXIT.failure,
  },
  ERR_UNKNOWN_ROLLOUT: {
    meaning: 'No roll-out has that id.',
    advice: 'See `locksmith fleet rollout history`.',
    exit: EXIT.failure,
  },
  ERR_ROLLOUT_ENDED: {
    meaning: 'The roll-out has ended; where it did not converge, it was stopped or rolled back.',
    advice: 'The message says why and on which nodes; `locksmith fleet rollout status` shows each.',
    exit: EXIT.no,
  },
  ERR_COHORT: {
    meaning: 'The cohorts can not be formed: no node matches, or the canary is larger than the fleet.',
    advice: 'See `locksmith fleet nodes` for who is there; choose other labels or a smaller canary.',
    exit: EXIT.failure,
  },
  ERR_RESERVATION_OVER: {
    meaning: 'The reservation under which a node was to apply a content was over before the rename.',
    advice: 'Nothing was changed. The node prepares anew when the roll-out still wants it.',
    exit: EXIT.tryAgain,
  },
  ERR_NODE_STATE: {
    meaning: 'What this node has kept of the roll-outs of a lock can not be read, or is not what was kept.',
    advice: 'Look at the file named. Remove it once you know that the lock has the content that it should.',
    exit: EXIT.failure,
  },
  ERR_LAYOUT_BROKEN: {
    meaning: 'A file of the lock’s own directory is missing or not what it should be.',
    advice: 'Run `locksmith doctor`.',
    exit: EXIT.failure,
  },
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof ERRORS;

/** Facts that an error carries as fields, so that nobody has to parse its text. */
export interface ErrorFacts {
  readonly lock?: string;
  readonly path?: string;
  readonly epoch?: number;
  readonly owner?: unknown;
  readonly verdict?: unknown;
  readonly pids?: readonly number[];
  readonly [fact: string]: unknown;
}

/** What Locksmith refuses. `code` is one of ERRORS; facts are fields of the error. */
export class LockError extends Error {
  override readonly name = 'LockError';
  readonly code: ErrorCode;
  declare readonly lock?: string;
  declare readonly path?: string;
  declare readonly epoch?: number;
  declare readonly owner?: unknown;
  declare readonly verdict?: unknown;
  declare readonly pids?: readonly number[];
  declare readonly record?: unknown;

  constructor(code: ErrorCode, message: string, facts: ErrorFacts = {}, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    Object.assign(this, facts);
  }

  get advice(): string {
    return ERRORS[this.code].advice;
  }
}

/** True for an error of Locksmith, of one code if that is given. */
export function isLockError(error: unknown, code?: ErrorCode): error is LockError {
  return error instanceof LockError && (code === undefined || error.code === code);
}
