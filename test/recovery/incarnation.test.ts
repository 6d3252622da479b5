/** Is an owner on record told from everybody else who has or had its pid? */
import {once} from 'node:events';
import test from 'ava';
import {type Owner, ownerFor} from '../../lib/lock/owner-record.js';
import {examineProcess, waitForExit} from '../../lib/os/process.js';
import {readSystem} from '../../lib/os/system.js';
import {examineOwner, type Incarnation} from '../../lib/recovery/incarnation.js';
import {asRoot, kernelIs, testWith} from '../helpers/here.js';
import {stopProcess} from '../helpers/proc-state.js';
import {observe, startFixture, startProgram, startUncollected} from '../helpers/program.js';

const system = readSystem();

function owner(changes: Partial<Owner> = {}): Owner {
  return {...ownerFor(system, 'a test'), ...changes};
}

/** Judges an owner with these changes: what, and in which words. */
function judge(changes: Partial<Owner>): [existence: string, words: string] {
  const {existence, evidence} = examineOwner(system, owner(changes));
  return [existence, `${evidence.saw}; ${evidence.follows}`];
}

/** Both identities of a process. */
function identities(pid: number): {identity: string; started: string} {
  const presence = examineProcess(system, pid);
  if (presence.kind !== 'running') throw new Error(presence.kind);
  const {identity, started = ''} = presence.facts;
  return {identity, started};
}

test('where another boot, machine or pid namespace is on record, no process is looked at', t => {
  const cases: [Partial<Owner>, string, RegExp][] = [
    [{bootId: 'other'}, 'gone', /has been rebooted/],
    [{bootId: 'other', machineId: 'another'}, 'unknown', /ran elsewhere/],
    [{bootId: 'other', machineId: undefined}, 'unknown', /ran elsewhere/],
    [{pidNamespace: 'pid:[1]'}, 'unknown', /can not be seen from here/],
  ];
  for (const [changes, existence, words] of cases) {
    const judged = judge(changes);
    t.is(judged[0], existence);
    t.regex(judged[1], words);
  }
});

test('the living are known by pidfd, and by start time with its limit said', t => {
  const {identity, started} = identities(process.pid);
  t.deepEqual(judge({identity})[0], 'running');
  t.notRegex(judge({identity})[1], /clock tick/);
  const byStart = judge({identity: started});
  t.is(byStart[0], 'running');
  t.regex(
    byStart[1],
    /told by its start time, which a process that got the same pid within a clock tick of 10 ms shares/,
  );
});

test('another identity of the same kind is another process; one of another kind is not compared', t => {
  const {identity, started} = identities(process.pid);
  const [ticks = '', namespace = ''] = started.split('@');
  t.is(judge({identity: `${identity}0`})[0], 'gone');
  t.is(judge({identity: `${ticks}0@${namespace}`})[0], 'gone');
  for (const strange of [`${ticks}@time:[1]`, `${ticks}0@time:[1]`, ticks, 'invented:7', '']) {
    const judged = judge({identity: strange});
    t.is(judged[0], 'unknown', strange);
    t.regex(judged[1], /can not be compared/);
  }
});

testWith(
  asRoot,
  'the start time of a living owner, read in another time namespace, is not its death',
  async t => {
    const child = startProgram(t, 'cat');
    const {identity, started} = identities(child.pid);
    const shifted = ['unshare', '--time', '--boottime', '1000000', '--monotonic', '1000000', '--fork'];
    const seen = async (name: string) =>
      (
        await observe<{incarnation: Incarnation}>(
          t,
          {owner: owner({pid: child.pid, identity: name})},
          ...shifted,
        )
      ).incarnation;
    const byStart = await seen(started);
    t.is(byStart.existence, 'unknown');
    t.regex(byStart.evidence.follows, /different time namespaces/);
    t.is((await seen(identity)).existence, kernelIs(6, 9) ? 'running' : 'unknown');
  },
);

testWith(
  asRoot ?? (kernelIs(6, 9) ? undefined : 'Linux 6.9'),
  'a pid that was reused within one clock tick is not mistaken by pidfd; by start time only for living',
  async t => {
    for (let round = 0; round < 5; round++) {
      const program = startFixture(t, 'same-pid');
      const [pid = '', first, second, ticks] = (await program.line()).split(' ');
      const now = identities(Number(pid));
      t.is(now.identity, `pidfd:${second}`);
      t.is(now.started.split('@')[0], `start:${ticks}`);
      const judgeHere = (identity: string) => judge({pid: Number(pid), identity});
      const [existence, words] = judgeHere(`pidfd:${first}`);
      t.is(existence, 'gone');
      t.regex(words, /another process has that pid: same-pid .* reused/);
      t.is(judgeHere(`pidfd:${second}`)[0], 'running');
      // The first and the second have the same name here. Whichever is meant, it is let live, and the doubt is said.
      t.is(judgeHere(now.started)[0], 'running');
      t.regex(judgeHere(now.started)[1], /within a clock tick/);
      await program.finish();
    }
  },
);

test('the ended are gone, whatever they were called', async t => {
  const pid = await startUncollected(t);
  const {identity, started} = identities(pid);
  t.is(judge({pid, identity})[0], 'running');
  const end = waitForExit(pid);
  process.kill(pid, 'SIGKILL');
  await end;
  t.regex(judge({pid, identity})[1], /it has ended and waits for its parent/);
  t.regex(judge({pid, identity: `${identity}0`})[1], /what has that pid now .* has ended too/);
  for (const name of [identity, started, `${identity}0`, 'start:1@time:[1]'])
    t.is(judge({pid, identity: name})[0], 'gone', name);
});

test('nobody under that pid, or a thread: gone', async t => {
  const child = startProgram(t, 'cat');
  await once(child.child, 'spawn');
  const {identity} = identities(child.pid);
  await child.kill();
  t.is(judge({pid: child.pid, identity})[0], 'gone');
  for (const pid of [0, -1]) t.is(judge({pid, identity})[0], 'unknown', 'what no process has proves nothing');
  const states = startFixture(t, 'states', 'threads');
  const thread = Number((await states.line()).split(' ')[2]);
  const [existence, words] = judge({pid: thread, identity});
  t.is(existence, 'gone');
  t.regex(words, /thread of another process/);
});

test('frozen, or one of its threads ended or stuck: the owner lives, and it is said', async t => {
  const threads = async (state: string) => {
    const pid = Number((await startFixture(t, 'states', state).line()).split(' ')[0]);
    return {pid, identity: identities(pid).identity};
  };
  const ended = await threads('leader-ended');
  t.is(judge(ended)[0], 'running');
  t.regex(judge(ended)[1], /^states exists, state .; its first thread has ended/);
  const stuck = await threads('in-kernel');
  t.is(judge(stuck)[0], 'running');
  t.regex(judge(stuck)[1], /even SIGKILL may have to wait/);
  stopProcess(ended.pid);
  t.is(judge(ended)[0], 'frozen');
  t.regex(judge(ended)[1], /stopped by a signal .*; its first thread has ended/);
});
