/** Holders in every state that a process can be in: stopped, traced, frozen, asleep, without a leader, gone. */
import {mkdirSync, readFileSync, rmdirSync, watch, writeFileSync} from 'node:fs';
import {once} from 'node:events';
import {join} from 'node:path';
import {setImmediate} from 'node:timers/promises';
import {newFile} from './places.js';
import {cgroupRoot, FREEZER_V1, FREEZER_V2, ROOT, type Scene, type Situation} from './situation.js';
import {cast, type Stage} from './stage.js';
import {stopProcess} from '../helpers/proc-state.js';

/** A cgroup of its own, below that of nobody. To be made before the processes that go into it, since it goes after them. */
function newCgroup(stage: Stage, version: 1 | 2): string {
  const directory = join(cgroupRoot(version) ?? '', `locksmith-test-${process.pid}`);
  mkdirSync(directory);
  stage.onEnd(() => rmdirSync(directory));
  return directory;
}

/** Both announce it, but version 1 has no event for it. */
async function freezeV1(stage: Stage, cgroup: string): Promise<void> {
  const file = join(cgroup, 'freezer.state');
  stage.onEnd(() => writeFileSync(file, 'THAWED'));
  writeFileSync(file, 'FROZEN');
  while (readFileSync(file, 'utf8').trim() !== 'FROZEN') await setImmediate();
}

async function freezeV2(stage: Stage, cgroup: string): Promise<void> {
  const events = join(cgroup, 'cgroup.events');
  const watcher = watch(events);
  stage.onEnd(() => writeFileSync(join(cgroup, 'cgroup.freeze'), '0'));
  let changed = once(watcher, 'change');
  writeFileSync(join(cgroup, 'cgroup.freeze'), '1');
  while (!/^frozen 1$/m.test(readFileSync(events, 'utf8'))) {
    await changed;
    changed = once(watcher, 'change');
  }
  changed.catch(() => undefined);
  watcher.close();
}

/** A holder in a cgroup that is then frozen. */
async function inFrozenCgroup(stage: Stage, version: 1 | 2): Promise<Scene> {
  const file = newFile(stage);
  const cgroup = newCgroup(stage, version);
  const [pid] = await cast(stage, 'lock', file, 'flock', 'exclusive');
  writeFileSync(join(cgroup, 'cgroup.procs'), String(pid));
  await (version === 1 ? freezeV1(stage, cgroup) : freezeV2(stage, cgroup));
  return {file, truth: {state: 'FROZEN', holders: [pid]}};
}

/** Stops a process until the end. */
function stop(stage: Stage, pid: number): void {
  stage.onEnd(() => process.kill(pid, 'SIGCONT'));
  stopProcess(pid);
}

export const PROCESSES: readonly Situation[] = [
  ...(['flock', 'ofd'] as const).map(
    (kind): Situation => ({
      title: `${kind === 'ofd' ? 'an OFD lock' : 'a flock'} of a thread that has a descriptor table of its own`,
      why: 'only /proc/PID/task/TID/fdinfo shows it (CLONE_FILES undone)',
      async make(stage) {
        const file = newFile(stage);
        const [pid] = await cast(stage, 'thread', file, kind, 'exclusive', 'private');
        return {file, truth: {state: 'ALIVE', holders: [pid]}};
      },
    }),
  ),
  ...(['flock', 'ofd'] as const).map(
    (kind): Situation => ({
      title: `${kind === 'ofd' ? 'an OFD lock' : 'a flock'} of a thread whose process is a zombie`,
      why: 'the leader has exited: state Z, /proc/PID/fd empty, and alive',
      async make(stage) {
        const file = newFile(stage);
        const [pid] = await cast(stage, 'thread', file, kind, 'exclusive', 'last');
        return {file, truth: {state: 'ALIVE', holders: [pid]}};
      },
    }),
  ),
  {
    title: 'a zombie that had a flock',
    why: 'kill(pid, 0) succeeds, and the lock is gone',
    async make(stage) {
      const file = newFile(stage);
      const [zombie] = await cast(stage, 'zombie', file, 'flock', 'exclusive');
      return {file, truth: {state: 'FREE', holders: []}, extras: {'the zombie': zombie}};
    },
  },
  {
    title: 'a holder that a signal has stopped',
    why: 'SIGSTOP: state T',
    async make(stage) {
      const file = newFile(stage);
      const [pid] = await cast(stage, 'lock', file, 'flock', 'exclusive');
      stop(stage, pid);
      return {file, truth: {state: 'FROZEN', holders: [pid]}};
    },
  },
  {
    title: 'two holders, one of them stopped',
    why: 'FROZEN only when all are',
    async make(stage) {
      const file = newFile(stage);
      const [stopped] = await cast(stage, 'lock', file, 'ofd', 'shared');
      const [running] = await cast(stage, 'lock', file, 'ofd', 'shared');
      stop(stage, stopped);
      return {file, truth: {state: 'ALIVE', holders: [stopped, running]}};
    },
  },
  {
    title: 'a holder that a debugger has stopped',
    why: 'ptrace stop: state t',
    needs: [ROOT],
    async make(stage) {
      const file = newFile(stage);
      const [pid] = await cast(stage, 'lock', file, 'flock', 'exclusive');
      const [tracer] = await cast(stage, 'trace', pid);
      return {file, truth: {state: 'FROZEN', holders: [pid]}, extras: {'the debugger': tracer}};
    },
  },
  {
    title: 'a holder in a frozen cgroup (version 2)',
    why: 'state S: only cgroup.events says it',
    needs: [ROOT, FREEZER_V2],
    make: stage => inFrozenCgroup(stage, 2),
  },
  {
    title: 'a holder in a frozen cgroup (version 1)',
    why: 'state D, as if it waited for a disk',
    needs: [ROOT, FREEZER_V1],
    make: stage => inFrozenCgroup(stage, 1),
  },
  {
    title: 'a holder in uninterruptible sleep',
    why: 'state D, but nobody has stopped it: it waits for its vfork(2)',
    async make(stage) {
      const file = newFile(stage);
      const [pid, child] = (await cast(stage, 'vfork', file, 'flock', 'exclusive')) as [number, number];
      return {file, truth: {state: 'ALIVE', holders: [pid]}, extras: {'a child without the lock': child}};
    },
  },
];
