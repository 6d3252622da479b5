/** Is a process frozen exactly when none of its threads can run, and is said what else holds it? Each state is made for real. */
import {readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {setImmediate} from 'node:timers/promises';
import test, {type ExecutionContext} from 'ava';
import {examineProcess, type Presence, type ProcessFacts} from '../../lib/os/process.js';
import {readSystem} from '../../lib/os/system.js';
import {FREEZER_V1, FREEZER_V2, lacksFreezer, nestedGroups, setFrozen} from '../helpers/freezer.js';
import {testWith} from '../helpers/here.js';
import {scratch} from '../helpers/native.js';
import {awaitState, stopProcess} from '../helpers/proc-state.js';
import {observe, startFixture, startProgram} from '../helpers/program.js';

const system = readSystem();

function facts(t: ExecutionContext, pid: number): ProcessFacts {
  const presence = examineProcess(system, pid);
  if (presence.kind !== 'running') return t.fail(`pid ${pid} is ${presence.kind}`);
  return presence.facts;
}

/** Starts fixtures/states.c; its pid and the ids of its threads. */
async function inState(t: ExecutionContext, state: string): Promise<[number, ...number[]]> {
  const started = startFixture(t, 'states', state);
  return (await started.line()).split(' ').map(Number) as [number, ...number[]];
}

test('a leader that has ended is no death while another thread lives', async t => {
  const [pid] = await inState(t, 'leader-ended');
  const {state, frozen, remarks, command} = facts(t, pid);
  t.true(['S', 'R'].includes(state), state);
  t.is(frozen, undefined);
  t.is(command, 'states');
  t.deepEqual(remarks, ['its first thread has ended, 1 of its threads live']);
});

test('SIGSTOP freezes a process whose leader has ended as well', async t => {
  const [pid, , second] = await inState(t, 'leader-ended');
  stopProcess(pid);
  t.is(facts(t, pid).frozen, 'it is stopped by a signal (state T)');
  t.is(facts(t, pid).state, 'T');
  process.kill(pid, 'SIGCONT');
  awaitState(`${pid}/task/${second}`, 'RS');
  t.is(facts(t, pid).frozen, undefined);
});

test('a debugger freezes a process when it has stopped all threads, not when it has stopped one', async t => {
  const [pid, ...threads] = await inState(t, 'threads');
  const one = startFixture(t, 'tracer', String(threads[0]));
  t.is(await one.line(), 'stopped');
  t.is(facts(t, pid).frozen, undefined);
  t.deepEqual(facts(t, pid).remarks, ['1 of its 2 threads can not run: a debugger has stopped it (state t)']);
  await one.finish();
  const both = startFixture(t, 'tracer', ...threads.map(String));
  t.is(await both.line(), 'stopped');
  t.is(facts(t, pid).frozen, 'a debugger has stopped it (state t)');
  await both.finish();
  t.is(facts(t, pid).frozen, undefined);
});

test('an uninterruptible sleep is alive and not frozen, but said', async t => {
  const [pid] = await inState(t, 'in-kernel');
  const {state, frozen, remarks} = facts(t, pid);
  t.is(state, 'D');
  t.is(frozen, undefined);
  t.regex(remarks.join(), /^it waits in the kernel \(state D\), and even SIGKILL may have to wait/);
});

test('exec in between changes the name and not the identity', async t => {
  const shell = startProgram(t, 'sh', '-c', 'echo up; read line; exec cat');
  await shell.line();
  const before = facts(t, shell.pid);
  shell.child.stdin.write('go\nthere\n');
  t.is(await shell.line(), 'there');
  const after = facts(t, shell.pid);
  t.deepEqual([before.command, after.command], ['sh', 'cat']);
  t.is(after.identity, before.identity);
  t.is(after.started, before.started);
});

test('exec from a thread that is not the first, again and again, never looks like an end', async t => {
  const program = startFixture(t, 'states', 'execs');
  const pid = Number(await program.line());
  const {identity, started} = facts(t, pid);
  const over = new AbortController();
  const ready = program.line().finally(() => over.abort());
  program.child.stdin.write('\n');
  let looks = 0;
  for (; !over.signal.aborted; looks++) {
    const now = facts(t, pid);
    t.is(now.identity, identity);
    t.is(now.started, started);
    await setImmediate();
  }
  await ready;
  t.log(`${looks} looks`);
  t.true(looks > 1);
});

test('a name with control characters can not fake a line', async t => {
  const named = startProgram(t, 'sh', '-c', 'printf "x) Z 1\\n\\033[2J" > /proc/$$/comm; echo up; read line');
  await named.line();
  t.is(facts(t, named.pid).command, 'x) Z 1??[2J');
});

// --- cgroup freezers ---

for (const freezer of [FREEZER_V1, FREEZER_V2]) {
  testWith(
    lacksFreezer(freezer),
    `${freezer.name}: a frozen cgroup freezes its processes, its own or one above it`,
    async t => {
      const {parent, inner, path} = nestedGroups(t, freezer);
      const child = startProgram(t, 'cat');
      writeFileSync(join(inner, 'cgroup.procs'), String(child.pid));
      t.is(facts(t, child.pid).frozen, undefined);
      for (const group of [inner, parent]) {
        setFrozen(group, freezer, true);
        while (!freezer.told[1].test(readFileSync(join(inner, freezer.told[0]), 'utf8')));
        t.is(facts(t, child.pid).frozen, `its cgroup ${path} is frozen${freezer.label}`);
        t.deepEqual(facts(t, child.pid).remarks, []);
        setFrozen(group, freezer, false);
        while (freezer.told[1].test(readFileSync(join(inner, freezer.told[0]), 'utf8')));
        t.is(facts(t, child.pid).frozen, undefined);
      }
    },
  );
}

testWith(
  lacksFreezer(FREEZER_V1),
  'cgroup v1 can freeze one thread of two: it is said, and the process is not frozen',
  async t => {
    const freezer = FREEZER_V1;
    const {inner} = nestedGroups(t, freezer);
    const [pid, , second] = await inState(t, 'threads');
    writeFileSync(join(inner, 'tasks'), String(second));
    setFrozen(inner, freezer, true);
    const {frozen, remarks} = facts(t, pid);
    t.is(frozen, undefined);
    t.regex(remarks.join(), /^1 of its 2 threads can not run: its cgroup .* is frozen \(v1\)$/);
  },
);

/** The frozen state of a process as seen by an observer whose mounts a shell script has changed. */
async function frozenSeen(t: ExecutionContext, pid: number, script: string): Promise<string | undefined> {
  const command = ['unshare', '-m', 'sh', '-c', `set -e; ${script}; exec "$@"`, 'sh'];
  const {presence} = await observe<{presence: Presence}>(t, {pid}, ...command);
  if (presence.kind !== 'running') return t.fail(presence.kind);
  return presence.facts.frozen;
}

testWith(
  lacksFreezer(FREEZER_V1),
  'cgroups are found where the observer has them mounted, a part of them too, and never guessed',
  async t => {
    const freezer = FREEZER_V1;
    const {inner, parent, path} = nestedGroups(t, freezer);
    const place = scratch(t);
    const child = startProgram(t, 'cat');
    writeFileSync(join(inner, 'cgroup.procs'), String(child.pid));
    const cover = `mount -t tmpfs none ${freezer.point}; mkdir -p '${inner}'; echo FROZEN > '${inner}/freezer.state'`;
    t.is(await frozenSeen(t, child.pid, cover), undefined, 'a file that another mount shows in its place');
    setFrozen(inner, freezer, true);
    const frozen = `its cgroup ${path} is frozen (v1)`;
    const hide = `umount -l ${freezer.point}`;
    t.is(await frozenSeen(t, child.pid, 'true'), frozen);
    t.is(await frozenSeen(t, child.pid, hide), undefined, 'hidden');
    for (const group of [parent, inner])
      t.is(await frozenSeen(t, child.pid, `mount --bind '${group}' ${place}; ${hide}`), frozen);
  },
);
