/** Where does /proc show the process of a pidfd? */
import {readText} from './read-text.js';
import {errnoOf, SystemError} from './system-error.js';
import type {System} from './system.js';

/**
 * The directory of a process in /proc. fdinfo has its number there: not the one that we know it by when this /proc
 * belongs to another pid namespace, as the host's in a container; 0 where it can't be seen from there, -1 once
 * it was collected (fs/pidfs.c pidfd_show_fdinfo()). As long as this gives the same, nobody else has the number. Throws
 * SystemError: ESRCH, ENOENT.
 */
export function procDirectory(system: System, pidfd: number): string {
  const info = readText(`${system.procRoot}/self/fdinfo/${pidfd}`);
  const pid = Number(/^Pid:\s*(-?\d+)$/m.exec(info)?.[1] ?? 0);
  if (pid <= 0)
    throw new SystemError(errnoOf(pid === 0 ? 'ENOENT' : 'ESRCH'), 'open', `${system.procRoot} of a process`);
  return `${system.procRoot}/${pid}`;
}
