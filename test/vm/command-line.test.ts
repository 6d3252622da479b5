/** Does the command line find, explain and use the kernel's bits as root, and as a user with and without rights? */
import {execFile, execFileSync} from 'node:child_process';
import {chmodSync, chownSync, existsSync, mkdirSync, readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import test from 'ava';
import type {Finding} from '../../lib/cli/finding.js';
import type {FileVerdict} from '../../lib/recovery/file-verdict.js';
import {kernelScratch, shown, Stranger} from './helpers/kernel-lock.js';

const MAIN = fileURLToPath(new URL('../../lib/cli/main.js', import.meta.url));
const ALICE = {uid: 1000, gid: 1000};
const GROUP = 990;

interface Ended {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

function locksmith(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  user: {readonly uid?: number; readonly gid?: number} = {},
): Promise<Ended> {
  const {LOCKSMITH_RUN: _, LOCKSMITH_STATE: __, LOCKSMITH_BITS: ___, ...clean} = process.env;
  return new Promise(resolve => {
    const child = execFile(
      process.execPath,
      [MAIN, ...args],
      {env: {...clean, ...env}, ...user},
      (_error, stdout, stderr) => resolve({status: child.exitCode ?? -1, stdout, stderr}),
    );
  });
}

/** What the doctor found in one check. */
async function finding(check: string): Promise<Finding | undefined> {
  const {stdout} = await locksmith(['doctor', '--json']);
  return (JSON.parse(stdout) as (Finding & {check: string})[]).find(each => each.check === check);
}

test('the demo plays on the kernel’s bit, and leaves nothing in the kernel', async t => {
  const {status, stdout, stderr} = await locksmith(['demo']);
  t.is(status, 0, stderr);
  t.log(stdout);
  t.regex(stdout, /the lock bit of node-1 is kept by the kernel/);
  t.regex(stdout, /SIGKILL; \/sys\/locks\/aim_lock_config\/conf_locked is 1/);
  t.regex(stdout, /\/sys\/locks\/aim_lock_config\/owner: \d+ dead/);
  t.regex(stdout, /\/sys\/locks\/aim_lock_config\/conf_locked is 0/);
  t.regex(stdout, /ALL CLEAR\n$/);
  t.false(existsSync('/sys/locks/aim_lock_config'));
});

test('a ghost that Locksmith has never heard of is explained and taken back by the file’s path', async t => {
  const place = kernelScratch(t);
  writeFileSync('/sys/locks/create', place.name);
  const stranger = await Stranger.set(t, place);
  await stranger.kill();

  const explained = await locksmith(['explain', place.file, '--json']);
  const seen = JSON.parse(explained.stdout) as FileVerdict;
  t.like(seen, {name: null, hot: true, state: 'DEAD', next: [`locksmith recover ${place.file}`]});
  t.deepEqual(seen.bit?.owner, {pid: stranger.pid, alive: false});
  t.false(existsSync(`/run/locksmith/locks/${place.name}`), 'looking makes no lock');
  const byName = await locksmith(['explain', place.name]);
  t.is(byName.status, 2);
  t.regex(byName.stderr, new RegExp(`set by pid ${stranger.pid}, dead: give the path of the file`));
  const strays = await finding('stray bits');
  t.is(strays?.health, 'warn');
  t.true(strays?.saw.includes(`${place.name} (pid ${stranger.pid}, dead)`), strays?.saw);

  const recovered = await locksmith(['recover', place.file]);
  t.is(recovered.status, 0, recovered.stderr);
  t.is(shown(place, 'conf_locked'), '0');
  const bits = await finding('lock bits');
  t.is(bits?.health, 'ok');
  t.regex(bits?.saw ?? '', new RegExp(`kernel bits in /sys/locks: .*${place.name}`));
});

test('a stranger’s bit of a lock is HOT, and is cleared safely', async t => {
  const place = kernelScratch(t);
  t.is((await locksmith(['run', place.file, '--', 'true'])).status, 0);
  const stranger = await Stranger.set(t, place);
  await stranger.kill();
  const hot = await locksmith(['run', place.name, '-s', '-n', '--', 'true']);
  t.is(hot.status, 1);
  t.is(hot.stderr.split('\n')[0], `ERROR: ${place.name}.conf: HOT`);
  const cleared = await locksmith(['bit', place.name, '0']);
  t.is(cleared.status, 0, cleared.stderr);
  t.is(shown(place, 'conf_locked'), '0');
});

/** What udev would do when the module is loaded or a lock is made: the commands of the packaged rules. */
function applyRules(subsystem: 'module' | 'locks', devpath: string): void {
  const rules = readFileSync('/vm/packaging/udev/60-locksmith.rules', 'utf8');
  const rule = rules.split('\n').find(line => line.startsWith(`SUBSYSTEM=="${subsystem}"`)) ?? '';
  const commands = [...rule.matchAll(/RUN\+="([^"]*)"/g)].map(([, command = '']) => command);
  for (const command of commands) execFileSync('sh', ['-c', command.replaceAll('%p', devpath)]);
}

test('a user without rights is told which file refused him; a member of the group may', async t => {
  const place = kernelScratch(t);
  const home = join(place.directory, 'alice');
  mkdirSync(home);
  chownSync(home, ALICE.uid, ALICE.gid);
  chmodSync(place.directory, 0o755);
  const file = join(home, `${place.name}.conf`);
  writeFileSync(file, 'x\n');
  chownSync(file, ALICE.uid, ALICE.gid);
  const roots = {LOCKSMITH_RUN: join(home, 'run'), LOCKSMITH_STATE: join(home, 'state')};
  const inKernel = {...roots, LOCKSMITH_BITS: '/sys/locks'};

  const refused = await locksmith(['run', file, '--', 'true'], inKernel, ALICE);
  t.is(refused.status, 77);
  t.regex(refused.stderr, /EACCES.*\/sys\/locks\/create'\n {2}next: .*group locksmith/);
  const doctor = await locksmith(['doctor'], inKernel, ALICE);
  t.regex(doctor.stdout, /\/sys\/locks\/create is not writable for uid 1000/);

  applyRules('module', '/module/locksmith');
  t.teardown(() => {
    for (const each of ['create', 'remove']) {
      chownSync(`/sys/locks/${each}`, 0, 0);
      chmodSync(`/sys/locks/${each}`, 0o200);
    }
  });
  const member = {uid: ALICE.uid, gid: GROUP};
  const allowed = await locksmith(['run', file, '--', 'cat', `${place.bit}/owner`], inKernel, member);
  t.is(allowed.status, 0, allowed.stderr);
  t.regex(allowed.stdout, /^\d+ alive\n$/);
});
