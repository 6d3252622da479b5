/** What could a look at all processes not see, and how could it be seen? */
import type {Survey} from './lock-survey.js';
import {readMounts} from './mounts.js';
import {isFirstPidNamespace, type System} from './system.js';

/** Something that could not be looked at. */
export interface Gap {
  /** What was not seen: `descriptors of 3 processes (pid 1, 17, 40)`. */
  readonly what: string;
  readonly why: string;
  /** From where it could be seen: with root's rights, or outside this container; null when nowhere. */
  readonly visibleTo: 'root' | 'host' | null;
}

function unreadable(system: System, pids: readonly number[]): Gap[] {
  if (pids.length === 0) return [];
  const some = pids.slice(0, 5).join(', ');
  const what = `descriptors of ${pids.length} process${pids.length === 1 ? '' : 'es'} (pid ${some}${pids.length > 5 ? ', ...' : ''})`;
  return [
    system.uid === 0
      ? {what, why: 'the kernel refuses them even to root here', visibleTo: null}
      : {what, why: `uid ${system.uid} may not read them`, visibleTo: 'root'},
  ];
}

/** Mount options of procfs that keep whole processes from a user (proc(5)): then a list without them looks complete. */
const HIDING = new Set(['hidepid=2', 'hidepid=invisible', 'hidepid=4', 'hidepid=ptraceable']);

function hidden(system: System): Gap[] {
  if (system.uid === 0) return [];
  const mounts = [...readMounts(system).values()].filter(({point}) => point === system.procRoot);
  const option = mounts.at(-1)?.options.find(each => HIDING.has(each));
  return option === undefined
    ? []
    : [
        {
          what: 'processes of other users',
          why: `${system.procRoot} is mounted with ${option}`,
          visibleTo: 'root',
        },
      ];
}

function outside(system: System): Gap[] {
  const {pidNamespace, ownProc, procRoot} = system;
  if (!ownProc)
    return [
      {
        what: 'which processes these are, and threads with descriptors of their own',
        why: `${procRoot} belongs to another pid namespace; mount one of this namespace there (mount -t proc proc ${procRoot})`,
        visibleTo: null,
      },
    ];
  if (isFirstPidNamespace(system)) return [];
  return [
    {
      what: 'processes outside this pid namespace',
      why: `this is a container, with the pid namespace ${pidNamespace}`,
      visibleTo: 'host',
    },
  ];
}

/** What a survey did not see. When it did not have to look at all processes, those whom it met may still not be told. */
export function gapsOf(system: System, {everywhere, unreadable: pids}: Survey): Gap[] {
  if (everywhere) return [...unreadable(system, pids), ...hidden(system), ...outside(system)];
  return system.ownProc ? [] : outside(system);
}
