/** How does a test run one of the programs in C to its end? */
import {execFile} from 'node:child_process';
import {promisify} from 'node:util';

const execute = promisify(execFile);

/** Runs /vm/bin/NAME and parses the JSON that it prints. Throws what it says on stderr when it fails. */
export async function runProgram<T = Record<string, number>>(
  name: string,
  ...args: readonly (string | number)[]
): Promise<T> {
  try {
    const {stdout} = await execute(`/vm/bin/${name}`, args.map(String));
    return JSON.parse(stdout) as T;
  } catch (error) {
    const {stderr = '', signal} = error as {stderr?: string; signal?: string | null};
    throw new Error(`${name} ${args.join(' ')}: ${stderr.trim() || (signal ?? String(error))}`, {
      cause: error,
    });
  }
}
