/** How does a test start a program that says by lines what it has done? */
import {spawn} from 'node:child_process';
import type {ExecutionContext} from 'ava';
import {Started} from './started.js';
import {compile, fixture} from './native.js';

function start(t: ExecutionContext, env: NodeJS.ProcessEnv, file: string, args: readonly string[]): Started {
  const started = new Started(spawn(file, args, {env, stdio: ['pipe', 'pipe', 'pipe']}));
  t.teardown(() => started.child.kill('SIGKILL'));
  return started;
}

/** Starts a program whose stdin keeps it; it is killed with the test. */
export function startProgram(t: ExecutionContext, file: string, ...args: string[]): Started {
  return start(t, process.env, file, args);
}

/** Compiles a fixture in C and starts it: without the sanitizers that a Node may need, which would catch its faults. */
export function startFixture(t: ExecutionContext, name: string, ...args: string[]): Started {
  const {LD_PRELOAD: _, ...env} = process.env;
  return start(t, env, compile(t, name), args);
}

/** Starts a process that its parent never collects: it stays a zombie once it has ended, until the test has. */
export async function startUncollected(t: ExecutionContext): Promise<number> {
  const parent = startProgram(t, 'sh', '-c', 'sleep 1000 & echo $!; exec cat');
  const pid = Number(await parent.line());
  t.teardown(() => process.kill(pid, 'SIGKILL'));
  // Once the shell has become cat, which echoes, nobody collects.
  parent.child.stdin.write('up\n');
  await parent.line();
  return pid;
}

/** What fixtures/onlooker.ts sees, started by a command such as unshare(1). */
export async function observe<Seen>(
  t: ExecutionContext,
  request: Readonly<Record<string, unknown>>,
  ...command: string[]
): Promise<Seen> {
  const [file, ...args] = [...command, process.execPath, fixture('onlooker'), JSON.stringify(request)];
  const {stdout, stderr} = await startProgram(t, file, ...args).finish();
  if (stdout === '') throw new Error(`the observer saw nothing: ${stderr}`);
  return JSON.parse(stdout) as Seen;
}
