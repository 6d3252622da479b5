/** Does the owner on record still exist? One incarnation, told from everyone else who ever had its pid. */
import type {Owner} from '../lock/owner-record.js';
import {examineProcess, isSame, type Presence, type ProcessFacts} from '../os/process.js';
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
            `it has ended and waits for its parent to collect it${hint(owner)}`,
            'the owner can do nothing any more: it is gone',
          )
        : result(
            'gone',
            looked,
            `what has that pid now (${presence.identity}) has ended too`,
            'the owner is gone, whether its pid was reused or not',
          );
    case 'running':
      return judgeRunning(owner, looked, presence.facts);
  }
}

/** What an identity by start time leaves open; it never makes a living owner seem gone. */
function hint({identity}: Owner): string {
  return identity.startsWith('start:')
    ? ', told by its start time, which a process that got the same pid within a clock tick of 10 ms shares'
    : '';
}

function judgeRunning(owner: Owner, looked: string, facts: ProcessFacts): Incarnation {
  const same = isSame(owner.identity, facts);
  if (same === undefined)
    return result(
      'unknown',
      looked,
      `a process with ${facts.started === undefined ? '' : `${facts.started} and `}${facts.identity}`,
      'the identities are of different kinds, or read in different time namespaces, and can not be compared',
    );
  if (!same) {
    return result(
      'gone',
      looked,
      `another process has that pid: ${facts.command} (${facts.identity})`,
      'the owner is gone, its pid was reused',
    );
  }
  const more = facts.remarks.map(remark => `; ${remark}`).join('') + hint(owner);
  return facts.frozen === undefined
    ? result('running', looked, `${facts.command} exists, state ${facts.state}${more}`, 'the owner lives')
    : result(
        'frozen',
        looked,
        `${facts.command} exists, and ${facts.frozen}${more}`,
        'the owner lives, but can not run',
      );
}

/** Judges an incarnation. Where pidfds have no inodes, another that got its pid within the same clock tick counts as the owner: as living. */
export function examineOwner(system: System, owner: Owner): Incarnation {
  return judgeSurroundings(system, owner) ?? judgePresence(owner, examineProcess(system, owner.pid));
}
