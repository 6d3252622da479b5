/** Where does a test freeze something? In a cgroup of its own, below the one that this machine has for it. */
import {
  accessSync,
  constants,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  watch,
  writeFileSync,
} from 'node:fs';
import {once} from 'node:events';
import {join} from 'node:path';
import type {ExecutionContext} from 'ava';
import {readMounts} from '../../lib/os/mounts.js';
import {readSystem} from '../../lib/os/system.js';
import type {Started} from './started.js';
import {startProgram} from './program.js';

const mount = [...readMounts(readSystem()).values()].find(({type}) => type === 'cgroup2')?.point;

function isWritable(path: string): boolean {
  try {
    accessSync(join(path, 'cgroup.procs'), constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** What is not there for these tests, undefined when all is. */
export const noCgroups =
  mount !== undefined && isWritable(mount) ? undefined : 'root and a writable cgroup v2';

/** What the kernel says of a cgroup. */
export const read = (directory: string, file: 'cgroup.freeze' | 'cgroup.events') =>
  readFileSync(join(directory, file), 'utf8').trim();

export const isFrozen = (directory: string) => /^frozen 1$/m.test(read(directory, 'cgroup.events'));

export const freeze = (directory: string, how: '0' | '1') =>
  writeFileSync(join(directory, 'cgroup.freeze'), how);

/** Waits until the kernel says that of it. */
export async function until(directory: string, line: string): Promise<void> {
  const watcher = watch(join(directory, 'cgroup.events'));
  while (!read(directory, 'cgroup.events').split('\n').includes(line)) await once(watcher, 'change');
  watcher.close();
}

/** Ends all that is in it, and removes it with all below it. */
export async function removeCgroup(directory: string): Promise<void> {
  writeFileSync(join(directory, 'cgroup.kill'), '1');
  await until(directory, 'populated 0');
  removeTree(directory);
}

function removeTree(directory: string): void {
  for (const entry of readdirSync(directory, {withFileTypes: true}))
    if (entry.isDirectory()) removeTree(join(directory, entry.name));
  rmdirSync(directory);
}

/** Makes one that goes when the test has ended. */
export function cgroup(t: ExecutionContext, parent: string = mount ?? ''): string {
  const directory = mkdtempSync(join(parent, 'locksmith-quiesce-'));
  t.teardown(async () => {
    if (readdirSync(parent).some(name => directory.endsWith(`/${name}`))) await removeCgroup(directory);
  });
  return directory;
}

/** Words of a command that puts itself into a cgroup, and then becomes what follows. */
export const inside = (directory: string): [string, ...string[]] => [
  'sh',
  '-c',
  'echo $$ > "$0/cgroup.procs" && exec "$@"',
  directory,
];

/** An orchestrator that knows nothing of Locksmith: it repeats each line, as long as it runs. */
export async function startOrchestrator(t: ExecutionContext, directory: string): Promise<Started> {
  const orchestrator = startProgram(t, ...inside(directory), 'cat');
  await goesOn(orchestrator);
  return orchestrator;
}

/** Resolves once it runs. */
export async function goesOn(orchestrator: Started): Promise<void> {
  orchestrator.child.stdin.write('cycle\n');
  await orchestrator.line();
}
