/** Do those who hold a lock live, and can one of them run? */
import type {Holder} from '../os/lock-table.js';
import {examineProcess, type ProcessFacts} from '../os/process.js';
import type {System} from '../os/system.js';
import type {Evidence} from './incarnation.js';

export interface HoldersSeen {
  /** FROZEN when all of them live and none can run; undefined when nobody of them is left. */
  readonly state: 'ALIVE' | 'FROZEN' | undefined;
  readonly evidence: readonly Evidence[];
}

/** A pid that changed hands since its descriptors were read is nobody's proof. */
function sameIncarnation({identity}: Holder, facts: ProcessFacts): boolean {
  return identity === undefined || identity === facts.identity;
}

function evidenceOf({pid, identity, command, state, frozen, remarks}: ProcessFacts): Evidence {
  return {
    looked: `holder pid ${pid} (${identity})`,
    saw: [`${command} exists, ${frozen ?? `state ${state}`}`, ...remarks].join('; '),
    follows: frozen === undefined ? 'it keeps its lock' : 'it keeps its lock, but can not run',
  };
}

/** Their numbers in a procfs of another pid namespace are not ours: system calls would meet others. */
function strangeProc({procRoot}: System): HoldersSeen {
  const follows = 'whether those who hold it can run is not known';
  const saw = 'it belongs to another pid namespace, so its pids are not those of system calls';
  return {state: undefined, evidence: [{looked: procRoot, saw, follows}]};
}

/** Looks at each holder once. */
export function examineHolders(system: System, holders: readonly Holder[]): HoldersSeen {
  if (!system.ownProc && holders.length > 0) return strangeProc(system);
  const byPid = new Map(holders.map(holder => [holder.pid, holder]));
  const running = Array.from(byPid.values(), holder => ({
    holder,
    presence: examineProcess(system, holder.pid),
  })).flatMap(({holder, presence}) =>
    presence.kind === 'running' && sameIncarnation(holder, presence.facts) ? [presence.facts] : [],
  );
  const evidence = running.map(evidenceOf);
  if (running.length === 0) return {state: undefined, evidence};
  return {state: running.every(({frozen}) => frozen !== undefined) ? 'FROZEN' : 'ALIVE', evidence};
}
