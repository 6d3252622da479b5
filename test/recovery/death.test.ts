/** Does a verdict say how its owner ended, where that is known, and nothing where it is not? */
import {once} from 'node:events';
import {readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {type Owner, ownerFor} from '../../lib/lock/owner-record.js';
import {examineProcess, waitForExit} from '../../lib/os/process.js';
import {isFirstPidNamespace, isFirstTimeNamespace, readSystem, type System} from '../../lib/os/system.js';
import {explainDeath} from '../../lib/recovery/death.js';
import {actor} from '../helpers/actor.js';
import {kernelIs, testWith} from '../helpers/here.js';
import {awaitState} from '../helpers/proc-state.js';
import {startProgram, startUncollected} from '../helpers/program.js';
import {openScratch, scratch} from '../helpers/scratch.js';

/** Without the kernel's log, for what has no part in it. */
const system = readSystem({kernelLog: '/nowhere/kmsg'});
const firstTime = isFirstTimeNamespace(system) ? undefined : 'the first time namespace';
const first = isFirstPidNamespace(system) ? firstTime : 'the first pid namespace';

async function started(t: ExecutionContext): Promise<{owner: Owner; kill: () => Promise<void>}> {
  const child = startProgram(t, 'cat');
  await once(child.child, 'spawn');
  const presence = examineProcess(system, child.pid);
  const identity = presence.kind === 'running' ? presence.facts.identity : '';
  return {owner: {...ownerFor(system, 'a test'), pid: child.pid, identity}, kill: () => child.kill()};
}

async function words(from: System, owner: Owner): Promise<string[]> {
  return (await explainDeath(from, owner)).map(({looked, saw, follows}) => `${looked}: ${saw}: ${follows}`);
}

const ISO = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/;

test('the living, and those who ended unseen, have no explanation', async t => {
  const {owner, kill} = await started(t);
  t.deepEqual(await words(system, owner), []);
  await kill();
  t.deepEqual(await words(system, owner), []);
  t.deepEqual(await words(system, {...owner, pidNamespace: 'pid:[1]'}), []);
});

test('a death that this process has seen is told with its time', async t => {
  const {owner, kill} = await started(t);
  const end = waitForExit(owner.pid);
  await kill();
  const ending = await end;
  const [line = '', ...more] = await words(system, owner);
  t.deepEqual(more, []);
  t.regex(line, ISO);
  t.true(line.startsWith(`end of pid ${owner.pid} (${owner.identity}): `));
  if (ending === undefined && !kernelIs(6, 15)) t.regex(line, /this process saw it at/);
  else t.regex(line, /: it was ended by SIGKILL, seen by this process at .*: that is how the owner ended$/);
  // The same pid, another incarnation: that is not its death.
  t.deepEqual(await words(system, {...owner, identity: `${owner.identity}0`}), []);
});

test('a zombie tells how it ended, also to those who have not seen it', async t => {
  const pid = await startUncollected(t);
  const presence = examineProcess(system, pid);
  const identity = presence.kind === 'running' ? presence.facts.identity : '';
  process.kill(pid, 'SIGTERM');
  awaitState(pid, 'Z');
  const owner = {...ownerFor(system, 'a test'), pid, identity};
  t.regex((await words(system, owner)).join(), /: it was ended by SIGTERM: /);
  t.deepEqual(await words(system, {...owner, identity: `${identity}0`}), []);
});

testWith(firstTime, 'after a reboot it is said when this boot began', async t => {
  const owner = {...ownerFor(system, 'a test'), bootId: 'the one before', machineId: 'ours'};
  const [line = '', ...more] = await words({...system, machineId: 'ours'}, owner);
  t.deepEqual(more, []);
  const began = Date.parse(ISO.exec(line)?.[0] ?? '');
  const uptime = Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]);
  t.true(Math.abs(Date.now() - began - uptime * 1000) < 5000, 'btime has whole seconds');
  t.deepEqual(await words({...system, machineId: 'another'}, owner), [], 'another machine');
  t.deepEqual(await words({...system, machineId: 'ours', timeNamespace: 'time:[1]'}, owner), []);
});

testWith(first, 'what the kernel logged of the owner while it had the lock is told', async t => {
  const {owner, kill} = await started(t);
  const stamp = (ago: number) => Number(process.hrtime.bigint() / 1000n) - ago * 1000;
  const line = `Out of memory: Killed process ${owner.pid} (cat) total-vm:1kB`;
  const kernelLog = join(scratch(t).directory, 'kmsg');
  writeFileSync(
    kernelLog,
    `3,1,${stamp(9000)},-;${line} too early\n3,2,${stamp(1000)},-;${line}\n11,3,${stamp(500)},-;${line} forged\n`,
  );
  const since = new Date(Date.now() - 5000).toISOString();
  t.deepEqual(await words({...system, kernelLog}, {...owner, since}), [], 'it lives');
  await kill();
  const told = await words({...system, kernelLog}, {...owner, since});
  t.is(told.length, 1);
  t.regex(told[0] ?? '', ISO);
  t.true(told[0]?.endsWith(`: ${line}: the kernel killed it for want of memory`), told[0]);
});

test('the verdict on a dead owner says how it ended, and is the same without', async t => {
  const place = scratch(t);
  const config = await openScratch(place);
  const owner = await actor(t, place);
  await owner.do('begin-update');
  const end = waitForExit(owner.pid);
  await owner.kill();
  const ending = await end;
  const verdict = await config.examine();
  t.is(verdict.state, 'DEAD');
  const said = verdict.evidence.find(({looked}) => looked.startsWith(`end of pid ${owner.pid} `));
  t.truthy(said);
  if (ending !== undefined) t.regex(said?.saw ?? '', /it was ended by SIGKILL, seen by this process at/);
});
