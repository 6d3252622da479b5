/** How is a cgroup stopped that never asks to be? By the kernel's freezer, whose `frozen 1` is the acknowledgement. */
import {existsSync, readFileSync} from 'node:fs';
import {join} from 'node:path';
import {containsUs, hasFreezer, isToldToFreeze, processesIn, untilFrozen} from '../../os/cgroup.js';
import type {System} from '../../os/system.js';
import {type Adapter, refusal} from './adapter.js';

/** Waits in the kernel where no freezer reaches it. */
function isUninterruptible({procRoot}: System, pid: number): boolean {
  try {
    return /\) D [^)]*$/.test(readFileSync(`${procRoot}/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

/** The adapter of one directory of cgroup v2. */
export function freezer(system: System, cgroup: string): Adapter {
  const title = `freezer ${cgroup}`;
  const path = join(cgroup, 'cgroup.freeze');
  return {
    title,
    byHand: `echo 0 > ${path}`,
    stop: {path, text: '1'},
    restore: {path, text: '0'},
    async look() {
      if (!hasFreezer(cgroup)) throw refusal(title, 'it is not the directory of a cgroup v2 with a freezer');
      if (containsUs(system, cgroup))
        throw refusal(title, 'this very process is in it, and would freeze with it', [process.pid]);
      return !isToldToFreeze(cgroup);
    },
    async acknowledge(signal) {
      await untilFrozen(cgroup, signal);
      return existsSync(cgroup) ? 'cgroup.events says frozen 1' : 'the cgroup is gone';
    },
    laggards() {
      const pids = existsSync(cgroup) ? processesIn(cgroup) : [];
      const stuck = pids.filter(pid => isUninterruptible(system, pid));
      return stuck.length > 0 ? stuck : pids;
    },
    // A cgroup that is gone has nobody who waits for the thaw.
    goesOn: async () => !existsSync(cgroup),
  };
}
