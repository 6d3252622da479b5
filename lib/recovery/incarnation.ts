/** Does the owner on record still exist? One incarnation, told from everyone else who ever had its pid. */
import type {Owner} from '../lock/owner-record.js';
import {examineProcess, type Presence} from '../os/process.js';
import type {System} from '../os/system.js';

/** One fact of a verdict. */
export interface Evidence {
  /** What was looked at. */
  readonly looked: string;
  /** What was seen there. */
  readonly saw: string;
  /** What follows from it. */
  readonly follows: string;
}

/** `gone` is proven and stays true for ever; `unknown` is an answer. */
export type Existence = 'running' | 'frozen' | 'gone' | 'unknown';

export interface Incarnation {
  readonly existence: Existence;
  readonly evidence: Evidence;
}

function result(existence: Existence, looked: string, saw: string, follows: string): Incarnation {
  return {existence, evidence: {looked, saw, follows}};
}

/** Another boot, another machine or another pid namespace settle it without a look at any process. */
function judgeSurroundings(system: System, owner: Owner): Incarnation | undefined {
  if (owner.bootId !== system.bootId) {
    const looked = 'boot id of the owner record';
    const sameMachine = owner.machineId !== undefined && owner.machineId === system.machineId;
    return sameMachine
      ? result(
          'gone',
          looked,
          `${owner.bootId}, and this boot is ${system.bootId}`,
          'this machine has been rebooted since, so the owner is gone',
        )
      : result(
          'unknown',
          looked,
          `${owner.bootId}, of node ${owner.node}; this is ${system.node}`,
          'the owner ran elsewhere, and can not be judged from here',
        );
  }
  if (owner.pidNamespace !== system.pidNamespace) {
    return result(
      'unknown',
      'pid namespace of the owner record',
      `${owner.pidNamespace}, and ours is ${system.pidNamespace}`,
      `what pid ${owner.pid} means there can not be seen from here`,
    );
  }
  return undefined;
}

function judgePresence(owner: Owner, presence: Presence): Incarnation {
  const looked = `pid ${owner.pid} (${owner.identity})`;
  switch (presence.kind) {
    case 'absent':
      return result('gone', looked, 'no process has that pid', 'the owner is gone');
    case 'thread':
      return result(
        'gone',
        looked,
        'that pid is now a thread of another process',
        'the owner is gone, its pid is reused',
      );
    case 'unsteady':
      return result('unknown', looked, 'the process ended while it was looked at', 'look again');
    case 'unreadable':
      return result('unknown', looked, presence.error.message, 'the process could not be examined');
    case 'ended':
      return presence.identity === owner.identity
        ? result(
            'gone',
            looked,
            'it has ended and waits for its parent to collect it',
            'the owner can do nothing any more: it is gone',
          )
        : result(
            'gone',
            looked,
            `another process has that pid (${presence.identity})`,
            'the owner is gone, its pid was reused',
          );
    case 'running':
      return judgeRunning(owner, looked, presence.facts);
  }
}

function judgeRunning(
  owner: Owner,
  looked: string,
  facts: {identity: string; command: string; state: string; frozen: string | undefined},
): Incarnation {
  const comparable = facts.identity.split(':')[0] === owner.identity.split(':')[0];
  if (!comparable)
    return result(
      'unknown',
      looked,
      `a process with ${facts.identity}`,
      'the two identities are of different kinds and can not be compared',
    );
  if (facts.identity !== owner.identity) {
    return result(
      'gone',
      looked,
      `another process has that pid: ${facts.command} (${facts.identity})`,
      'the owner is gone, its pid was reused',
    );
  }
  return facts.frozen === undefined
    ? result('running', looked, `${facts.command} exists, state ${facts.state}`, 'the owner lives')
    : result(
        'frozen',
        looked,
        `${facts.command} exists, and ${facts.frozen}`,
        'the owner lives, but can not run',
      );
}

/** Judges an incarnation. The same pid and start time within one clock tick do not prove sameness on kernels without pidfd inodes; then it counts as living. */
export function examineOwner(system: System, owner: Owner): Incarnation {
  return judgeSurroundings(system, owner) ?? judgePresence(owner, examineProcess(system, owner.pid));
}
