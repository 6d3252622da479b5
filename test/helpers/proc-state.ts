/** When is a process in the state that a test wants? When the kernel shows it, of all its threads. */
import {readdirSync, readFileSync} from 'node:fs';

/** The state of a process or thread (`PID/task/TID`), one letter as in proc(5). */
function stateOf(id: number | string): string {
  return /\) (\S) [^)]*$/.exec(readFileSync(`/proc/${id}/stat`, 'utf8'))?.[1] ?? '?';
}

/** Waits until the kernel shows a process or thread in one of these states. */
export function awaitState(id: number | string, letters: string): void {
  while (!letters.includes(stateOf(id)));
}

/** Stops a process. Its threads follow the first one by and by, so this waits until each stands. */
export function stopProcess(pid: number): void {
  process.kill(pid, 'SIGSTOP');
  awaitState(pid, 'TZ');
  for (const thread of readdirSync(`/proc/${pid}/task`)) awaitState(`${pid}/task/${thread}`, 'TZ');
}

/** Waits until a process that stops itself has done so, each of its threads. The test's own events go on meanwhile. */
export async function awaitStopped(pid: number): Promise<void> {
  const stands = (thread: string) => 'TZ'.includes(stateOf(`${pid}/task/${thread}`));
  while (!readdirSync(`/proc/${pid}/task`).every(stands)) await new Promise(resolve => setImmediate(resolve));
}
