/** May this content be used? The command of `--validate` says so by its exit status. */
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {closeSync, openSync} from 'node:fs';
import type {OptionSpec} from './command.js';

export const VALIDATE_OPTION: OptionSpec = {
  flags: '--validate <command>',
  what: 'shell command that refuses the content by a status other than 0; it has it on stdin, its path in "$1" and in $LOCKSMITH_SHADOW',
};

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

/** The validator that the option asks for; undefined when it was not given. */
export function validatorOf(command: string | undefined): ((path: string) => Promise<void>) | undefined {
  return command === undefined ? undefined : path => validate(command, path);
}
