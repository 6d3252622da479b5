/** How does a test freeze processes by a cgroup? The freezers of this machine, of both versions. */
import {existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import type {ExecutionContext} from 'ava';
import {waitForExit} from '../../lib/os/process.js';
import {asRoot} from './here.js';

/** Where a hierarchy with a freezer is mounted here, and how it is frozen. */
export interface Freezer {
  readonly name: string;
  /** Undefined: nowhere. */
  readonly point: string | undefined;
  readonly freeze: readonly [file: string, frozen: string, thawed: string];
  /** The kernel's word that a cgroup is frozen. */
  readonly told: readonly [file: string, pattern: RegExp];
  readonly label: string;
}

function mountPoint(pattern: RegExp): string | undefined {
  const point = pattern.exec(readFileSync('/proc/self/mountinfo', 'utf8'))?.[1];
  return point !== undefined && existsSync(point) ? point : undefined;
}

export const FREEZER_V1: Freezer = {
  name: 'cgroup v1',
  point: mountPoint(/^\S+ \S+ \S+ \/ (\S+) .* - cgroup \S+ \S*\bfreezer\b/m),
  freeze: ['freezer.state', 'FROZEN', 'THAWED'],
  told: ['freezer.state', /^FROZEN/],
  label: ' (v1)',
};

export const FREEZER_V2: Freezer = {
  name: 'cgroup v2',
  point: mountPoint(/^\S+ \S+ \S+ \/ (\S+) .* - cgroup2 /m),
  freeze: ['cgroup.freeze', '1', '0'],
  told: ['cgroup.events', /^frozen 1$/m],
  label: '',
};

/** What is missing to use it, for testWith. */
export function lacksFreezer({name, point}: Freezer): string | undefined {
  return asRoot ?? (point === undefined ? `a freezer of ${name}` : undefined);
}

/** A cgroup with another in it; both are thawed and go with the test, and so do the processes in them. */
export function nestedGroups(
  t: ExecutionContext,
  {point = '', freeze}: Freezer,
): {parent: string; inner: string; path: string} {
  const path = `/locksmith-test-${process.pid}-${Math.random().toString(36).slice(2)}`;
  const [parent, inner] = [join(point, path), join(point, path, 'a b')];
  mkdirSync(inner, {recursive: true});
  t.teardown(async () => {
    for (const group of [parent, inner]) writeFileSync(join(group, freeze[0]), freeze[2]);
    await endAll(inner);
    for (const group of [inner, parent]) rmdirSync(group);
  });
  return {parent, inner, path: `${path}/a b`};
}

/** Ends what is in a cgroup; it can be removed then. */
async function endAll(group: string): Promise<void> {
  const pids = readFileSync(join(group, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean).map(Number);
  for (const pid of pids) {
    const end = waitForExit(pid);
    process.kill(pid, 'SIGKILL');
    await end;
  }
}

/** Freezes or thaws a cgroup, and waits for the kernel's word. */
export function setFrozen(group: string, {freeze: [file, frozen, thawed], told}: Freezer, on: boolean): void {
  writeFileSync(join(group, file), on ? frozen : thawed);
  while (told[1].test(readFileSync(join(group, told[0]), 'utf8')) !== on);
}
