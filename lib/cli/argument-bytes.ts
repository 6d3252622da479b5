/** Which bytes were typed? Node makes text of every argument, and the names of files need not be text. */
import {readFileSync} from 'node:fs';

/** What text has in the place of bytes that are none. */
const REPLACEMENT = '\uFFFD';

/** The bytes of an argument that is not UTF-8; undefined for every other. Linux keeps them in /proc/self/cmdline (proc_pid_cmdline(5)). */
export function argumentBytes(text: string): Buffer | undefined {
  if (!text.includes(REPLACEMENT)) return undefined;
  const typed = readFileSync('/proc/self/cmdline');
  for (let start = 0; start < typed.length; ) {
    const end = typed.indexOf(0, start);
    const argument = typed.subarray(start, end);
    if (argument.toString() === text && !argument.equals(Buffer.from(text))) return argument;
    start = end + 1;
  }
  return undefined;
}
