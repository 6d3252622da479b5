/** Is how a process ended known where it can be, and left open where it can't? */
import {once} from 'node:events';
import test from 'ava';
import {deathSeen, decodeStatus, describeEnding, type Ending, noteDeath} from '../../lib/os/death.js';
import {examineProcess, type Presence, waitForExit} from '../../lib/os/process.js';
import {readSystem} from '../../lib/os/system.js';
import {asRoot, kernelIs, testWith} from '../helpers/here.js';
import {observe, startFixture, startUncollected} from '../helpers/program.js';

const system = readSystem();

test('a status of wait(2) is decoded', t => {
  const cases: [status: number, ending: Ending, words: string][] = [
    [0, {code: 0}, 'exited with code 0'],
    [0x2a00, {code: 42}, 'exited with code 42'],
    [9, {signal: 'SIGKILL', coreDumped: false}, 'was ended by SIGKILL'],
    [0x8b, {signal: 'SIGSEGV', coreDumped: true}, 'was ended by SIGSEGV (core dumped)'],
    [40, {signal: 'signal 40', coreDumped: false}, 'was ended by signal 40'],
  ];
  for (const [status, ending, words] of cases) {
    t.deepEqual(decodeStatus(status), ending);
    t.is(describeEnding(decodeStatus(status)), words);
  }
});

function identityOf(pid: number): string {
  const presence = examineProcess(system, pid);
  return presence.kind === 'running' ? presence.facts.identity : presence.kind;
}

for (const [how, ending] of [
  ['exit', {code: 3}],
  ['segfault', {signal: 'SIGSEGV', coreDumped: false}],
] as const) {
  test(`a wait resolves with how it ended, and that is remembered: ${how}`, async t => {
    const program = startFixture(t, 'ends', how);
    await program.line();
    const identity = identityOf(program.pid);
    const end = waitForExit(program.pid);
    const before = Date.now();
    program.child.stdin.write('\n');
    const told = await end;
    // Before, it is known only if we come before the parent, which is this process too.
    if (!kernelIs(6, 15) && told === undefined) return t.pass();
    t.deepEqual(told, ending);
    const death = deathSeen(program.pid, identity);
    t.deepEqual(death?.ending, ending);
    t.true(death !== undefined && death.seen >= before && death.seen <= Date.now());
    t.is(deathSeen(program.pid, `${identity}0`), undefined);
  });
}

test('an end is known while nobody has collected the process', async t => {
  const pid = await startUncollected(t);
  const end = waitForExit(pid);
  process.kill(pid, 'SIGTERM');
  t.deepEqual(await end, {signal: 'SIGTERM', coreDumped: false});
  t.deepEqual(await waitForExit(pid), {signal: 'SIGTERM', coreDumped: false});
});

testWith(asRoot, 'the 0 that the kernel shows to strangers is not taken for an exit code', async t => {
  const pid = await startUncollected(t);
  const end = waitForExit(pid);
  process.kill(pid, 'SIGKILL');
  await end;
  const {presence} = await observe<{presence: Presence}>(t, {uid: 65_534, pid});
  t.is(presence.kind, 'ended');
  t.false('ending' in presence, 'JSON leaves out what is undefined');
});

test('a wait for a process that was collected knows nothing', async t => {
  const program = startFixture(t, 'ends', 'exit');
  await program.line();
  const gone = once(program.child, 'exit');
  program.child.stdin.write('\n');
  await gone;
  t.is(await waitForExit(program.pid), undefined);
});

test('a process whose first thread had ended tells how the last one did', async t => {
  const program = startFixture(t, 'states', 'leader-ended');
  const pid = Number((await program.line()).split(' ')[0]);
  const end = waitForExit(pid);
  process.kill(pid, 'SIGKILL');
  t.deepEqual(await end, {signal: 'SIGKILL', coreDumped: false});
});

test('an end that is learnt later is added, and the memory has an end', t => {
  noteDeath(1, 'x:first', {ending: undefined, seen: 5});
  noteDeath(1, 'x:first', {ending: {code: 1}, seen: 6});
  noteDeath(1, 'x:first', {ending: undefined, seen: 7});
  t.deepEqual(deathSeen(1, 'x:first'), {ending: {code: 1}, seen: 5});
  for (let pid = 0; pid < 2000; pid++) noteDeath(pid, 'x:many', {ending: {code: 0}, seen: pid});
  t.is(deathSeen(1, 'x:first'), undefined);
  t.is(deathSeen(900, 'x:many'), undefined);
  t.is(deathSeen(1999, 'x:many')?.seen, 1999);
});
