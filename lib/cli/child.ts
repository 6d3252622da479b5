/** How does a command run a program of the user? With what it inherits, with signals passed on, and with its own exit status. */
import {type ChildProcess, spawn} from 'node:child_process';
import {once} from 'node:events';
import {hasCode} from '../os/system-error.js';
import {note} from './output.js';
import {onSignals, signalStatus} from './signals.js';

export interface ChildOptions {
  /** Descriptors that it gets from 3 on, and its children after it. */
  readonly descriptors?: readonly number[];
  readonly env: Readonly<Record<string, string>>;
}

/** Statuses of shells for a program that is not there, and for one that can't be executed. */
function startStatus(error: unknown): number {
  return hasCode(error, 'ENOENT') ? 127 : 126;
}

/** A terminal gives Ctrl-C to the program as well; any other signal is ours alone, so we pass it on. */
function passOn(child: ChildProcess, signal: NodeJS.Signals): void {
  if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal);
}

/** Runs a program to its end and gives its exit status: 128 + the signal that killed it, 126 or 127 when it could not be started. */
export async function runChild(
  command: readonly string[],
  {descriptors = [], env}: ChildOptions,
): Promise<number> {
  const [file = '', ...args] = command;
  const child = spawn(file, args, {stdio: [0, 1, 2, ...descriptors], env: {...process.env, ...env}});
  using _ = onSignals(signal => passOn(child, signal));
  try {
    const [status, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
    return signal === null ? (status ?? 1) : signalStatus(signal);
  } catch (error) {
    note(`locksmith: ${file} could not be run: ${(error as Error).message}`);
    return startStatus(error);
  }
}
