/** What can be done with the lock of a configuration? Everything of `ConfigLock`, and looking, holding and taking back. */
import {isLockError} from '../errors.js';
import {
  type AcquireOptions,
  ConfigLock,
  findLock,
  type OnOrphan,
  type OpenOptions,
  openLock,
} from '../lock/config-lock.js';
import type {OwnedConfig} from '../lock/owned-config.js';
import {type BreakGlassOptions, breakGlass} from './break-glass.js';
import {type Hold, type HoldOptions, hold} from './hold.js';
import {type RecoverOptions, recover, waitForRecovery} from './recover.js';
import type {Certificate} from './take-back.js';
import {examine, type ExamineOptions, type Verdict} from './verdict.js';

/** As AcquireOptions; `recover` takes an orphan back by the safe release and goes on. */
export interface GuardedAcquireOptions extends Omit<AcquireOptions, 'onOrphan'> {
  readonly onOrphan?: OnOrphan | 'recover' | undefined;
  /** How the orphan is recovered. */
  readonly recovery?: Omit<RecoverOptions, 'signal' | 'reason'> | undefined;
}

/** The orphan is none any more: somebody has recovered it, or owns it by now. */
function isOutdated(error: unknown): boolean {
  if (isLockError(error, 'ERR_OWNER_CHANGED')) return true;
  const state = isLockError(error, 'ERR_NOT_DEAD') ? (error.verdict as Verdict).state : undefined;
  return state === 'FREE' || state === 'ALIVE' || state === 'FROZEN';
}

/** The lock on one configuration file. Made by `openConfigLock`. */
export class GuardedConfig extends ConfigLock {
  override async acquire(options: GuardedAcquireOptions = {}): Promise<OwnedConfig> {
    const {onOrphan, recovery, signal} = options;
    const recoverIt = () => this.#recoverOrWait({...recovery, signal});
    return super.acquire({...options, onOrphan: onOrphan === 'recover' ? recoverIt : onOrphan});
  }

  /** Recovers the orphan; when others do or did, waits for them. Either way the acquisition then begins anew. */
  async #recoverOrWait(options: RecoverOptions): Promise<void> {
    try {
      await this.recover({...options, reason: 'an acquirer met the orphan'});
    } catch (error) {
      if (isLockError(error, 'ERR_RECOVERY_BUSY')) await waitForRecovery(this, options.signal);
      else if (!isOutdated(error)) throw error;
    }
  }

  /** Looks and changes nothing: state, owner, epoch, evidence. */
  async examine(options: ExamineOptions = {}): Promise<Verdict> {
    return examine(this, options);
  }

  /** Stops everything that passes the gate, for a bounded time. */
  async hold(options: HoldOptions = {}): Promise<Hold> {
    return hold(this, options);
  }

  /** Takes the lock back from an owner that is proven dead. */
  async recover(options: RecoverOptions = {}): Promise<Certificate> {
    return recover(this, options);
  }

  /** Takes the lock from anyone, audited. */
  async breakGlass(options: BreakGlassOptions): Promise<Certificate> {
    return breakGlass(this, options);
  }
}

/** Opens the lock on a configuration file; makes its state if it is new. Rejects with ERR_CONFIG_*, ERR_NAME_*, ERR_ROOT_UNSAFE or SystemError. */
export async function openConfigLock(path: string, options: OpenOptions = {}): Promise<GuardedConfig> {
  return openLock(path, options, GuardedConfig);
}

/** Finds the lock of that name; undefined when there is none. */
export function findConfigLock(name: string, options: OpenOptions = {}): GuardedConfig | undefined {
  return findLock(name, options, GuardedConfig);
}
