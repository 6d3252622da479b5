/** May this content be used? A command says so by its exit status. */
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {closeSync, openSync} from 'node:fs';

/** 126 and 127 are the shell's: it could not run a program (sh(1)). */
function endText(status: number | null, signal: string | null): string {
  if (signal !== null) return `killed by ${signal}`;
  const missing = status === 126 || status === 127;
  return `exit status ${status}${missing ? ', a program of it is not there; --validate true goes without it' : ''}`;
}

/** Runs the command on a file; its output goes to stderr. Rejects when it refuses. */
async function validate(command: string, path: string): Promise<void> {
  const content = openSync(path, 'r');
  try {
    const child = spawn('/bin/sh', ['-c', command, 'sh', path], {
      stdio: [content, 2, 2],
      env: {...process.env, LOCKSMITH_SHADOW: path},
    });
    const [status, signal] = (await once(child, 'exit')) as [number | null, string | null];
    if (status !== 0) throw new Error(`${command}: ${endText(status, signal)}`);
  } finally {
    closeSync(content);
  }
}

/** The validator that a command is; undefined when there is none. */
export function validatorOf(command: string | undefined): ((path: string) => Promise<void>) | undefined {
  return command === undefined ? undefined : path => validate(command, path);
}
