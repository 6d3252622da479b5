/** What has this process open? */
import {readdirSync, readlinkSync} from 'node:fs';

/** What its descriptors lead to, as the links of /proc say (proc_pid_fd(5)). */
export function openedHere(): string[] {
  return readdirSync('/proc/self/fd').flatMap(fd => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)];
    } catch {
      return []; // that of the listing itself
    }
  });
}

/** The same, of a directory. */
export function openedBelow(directory: string): string[] {
  return openedHere().filter(target => target.startsWith(`${directory}/`));
}
