/** How do we run a program to its end? With its output kept, and shown only when it fails. */
import {type ExecFileOptions, execFile} from 'node:child_process';
import {promisify} from 'node:util';

/** The tools of a file system's administrator are not on everybody's path. */
export const environment = {...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`};

/** A program that failed or could not be started. */
export class CommandFailed extends Error {
  /** Both streams, without the empty lines at the end. */
  readonly output: string;

  constructor(command: readonly string[], output: string, cause?: unknown) {
    super(`failed: ${command.join(' ')}`, {cause});
    this.name = 'CommandFailed';
    this.output = output.trimEnd();
  }
}

export interface Output {
  readonly stdout: string;
  readonly stderr: string;
}

export async function run(command: readonly string[], options: ExecFileOptions = {}): Promise<Output> {
  const [file = '', ...args] = command;
  try {
    return await promisify(execFile)(file, args, {
      env: environment,
      maxBuffer: 256 << 20,
      ...options,
      encoding: 'utf8',
    });
  } catch (error) {
    const {stdout = '', stderr = '', message} = error as Partial<Output> & Error;
    throw new CommandFailed(command, stdout + stderr || message, error);
  }
}
