/** Is `locksmith daemon` a good service of a real systemd: ready, watched, restarted, reloaded, stopped, and shut in as far as it can be? */
import {existsSync, readFileSync, rmSync, statSync} from 'node:fs';
import {readFile} from 'node:fs/promises';
import test, {type ExecutionContext} from 'ava';
import {waitForExit} from '../../../lib/os/process.js';
import type {Actor} from '../../helpers/actor.js';
import {OLD} from '../../helpers/scratch.js';
import {
  bit,
  Door,
  dropIn,
  ETC,
  events,
  get,
  Journal,
  mainPid,
  metric,
  midway,
  post,
  run,
  show,
  SOCKET,
  systemctl,
  systemLock,
  writePolicy,
} from '../helpers/service.js';

const GROUP = 990;

/** Ghosts of locks that are called so are recovered unasked; others are not. */
const AUTOMATIC = `
  auto-*:
    recover: automatic
`;

interface Status {
  readonly pid: number;
  readonly policy: {readonly problem: string | null};
}

// Other tests in this machine leave locks without bits behind.
test.before(() => rmSync('/run/locksmith', {recursive: true, force: true}));

/** Has it read the policy, and gives what it says of it. */
async function reload(journal: Journal): Promise<string> {
  const {status, stderr} = await systemctl('reload', 'locksmith');
  return status === 0 ? journal.says(/"event":"policy"/) : stderr;
}

test.serial('a start returns when all locks were examined and the ghosts recovered', async t => {
  const door = new Door(t, 'validator');
  writePolicy(`locks:
  auto-*:
    recover: automatic
    validate: read line < ${door.path}
`);
  const place = systemLock(t, 'auto-start');
  const {owner, shadow} = await midway(t, place);
  await owner.kill();
  t.is(bit(place.name), '1');

  let returned = false;
  const start = systemctl('start', 'locksmith').finally(() => (returned = true));
  const reached = await door.reached();
  t.is(show('ActiveState'), 'activating');
  t.false(returned);
  await door.open(reached);
  const {status, stderr} = await start;
  t.is(status, 0, stderr);

  t.is(bit(place.name), '0');
  t.is(readFileSync(place.file, 'utf8'), OLD);
  t.false(existsSync(shadow));
  t.deepEqual([show('ActiveState'), show('WatchdogUSec')], ['active', '1min']);
  const shown = await systemctl('status', '--no-pager', 'locksmith');
  t.regex(shown.stdout, /Status: "watches 1 locks, 0 of them set, 0 being recovered"/);
});

test.serial('a second daemon is refused', async t => {
  const {status, stderr} = await run('locksmith', 'daemon');
  t.is(status, 75, stderr);
  t.regex(stderr, new RegExp(`pid ${mainPid()}\\b.* is the daemon of /run/locksmith already`));
});

/** What a user gets who asks the daemon: an HTTP status, or the name of an error. */
async function asked(user: string, ...groups: string[]): Promise<string> {
  const client = `require('node:http').get({socketPath: '${SOCKET}', path: '/v1/status'}, ({statusCode}) => {
    console.log(statusCode); process.exit();
  }).on('error', ({code}) => console.log(code))`;
  const properties = groups.map(group => `--property=SupplementaryGroups=${group}`);
  const {stdout, stderr} = await run(
    'systemd-run',
    '--quiet',
    '--pipe',
    '--wait',
    '--collect',
    `--uid=${user}`,
    ...properties,
    'node',
    '-e',
    client,
  );
  return stdout.trim() || stderr;
}

test.serial('members of the group may connect, others may not', async t => {
  const {uid, gid, mode} = statSync(SOCKET);
  t.deepEqual([uid, gid, mode & 0o777], [0, GROUP, 0o660]);
  t.is(await asked('alice', 'locksmith'), '200');
  t.is(await asked('bob'), 'EACCES');
});

test.serial('what the policy says works from inside the unit: commands, units, freezers', async t => {
  const seen = `${ETC}/seen`;
  const cgroup = '/sys/fs/cgroup/system.slice/feeder.service';
  for (const unit of ['aim', 'feeder']) {
    const {status, stderr} = await run('systemd-run', '--quiet', `--unit=${unit}`, 'sleep', 'infinity');
    t.is(status, 0, stderr);
    t.teardown(() => systemctl('stop', unit));
  }
  t.teardown(() => rmSync(seen, {force: true}));
  writePolicy(`locks:${AUTOMATIC}
    validate: systemd-run --quiet --pipe --wait --collect tee -a ${seen} && echo validated $1 >> ${seen}
    quiesce:
      - unit: aim.service
        how: freeze
      - freezer: ${cgroup}
      - stop: |
          systemctl show --property=FreezerState aim >> ${seen}
          cat ${cgroup}/cgroup.freeze >> ${seen}
          dd if=/dev/kmsg bs=8192 count=1 of=/dev/null && echo the kernel log >> ${seen}
          touch /usr/intruder || echo not /usr >> ${seen}
          echo 1 > /proc/sys/kernel/domainname || echo not the settings of the kernel >> ${seen}
        resume: echo resumed >> ${seen}
        within: 30s
`);
  const journal = new Journal(t);
  t.regex(await reload(journal), /the policy was read/);
  const place = systemLock(t, 'auto-quiesce');
  const {owner} = await midway(t, place);
  await owner.kill();
  t.regex(await journal.says(/ALL CLEAR|could not be recovered/), /ALL CLEAR: auto-quiesce/);
  t.deepEqual(readFileSync(seen, 'utf8').split('\n'), [
    'FreezerState=frozen',
    '1',
    'the kernel log',
    'not /usr',
    'not the settings of the kernel',
    OLD.trim(),
    `validated ${place.file}`,
    'resumed',
    '',
  ]);
  t.is(show('FreezerState', 'aim'), 'running');
  t.is(readFileSync(`${cgroup}/cgroup.freeze`, 'utf8'), '0\n');
});

/** Has the daemon take a lock by force from its owner. */
async function force(t: ExecutionContext, name: string, kill: boolean): Promise<Actor> {
  const place = systemLock(t, name);
  const {owner} = await midway(t, place);
  const {epoch} = await get<{epoch: number}>(`/v1/locks/${name}`);
  const order = {owner: owner.pid, epoch, reason: 'a test', kill};
  const {status, answer} = await post(`/v1/locks/${name}/break-glass`, order);
  t.is(status, 200, JSON.stringify(answer));
  t.is(bit(name), '0');
  return owner;
}

test.serial(
  'a lock is taken from a living owner, who is fenced or ended, where root asks for that',
  async t => {
    const fenced = await force(t, 'manual-force', false);
    t.is((await fenced.do('finish-update')).error, 'ERR_FENCED');
    const ended = await force(t, 'manual-kill', true);
    await waitForExit(ended.pid);
  },
);

test.serial('killed: systemd starts it again, and a ghost of the time between is recovered', async t => {
  const door = new Door(t, 'restart');
  writePolicy(`locks:${AUTOMATIC}`);
  dropIn(t, `ExecStartPre=/bin/sh -c 'read line < ${door.path}'`);
  const place = systemLock(t, 'auto-between');
  const {owner} = await midway(t, place);
  const journal = new Journal(t);
  const before = mainPid();
  process.kill(before, 'SIGKILL');
  const reached = await door.reached();
  // It is down, and nobody has asked for another but systemd.
  await owner.kill();
  t.is(bit(place.name), '1');
  await door.open(reached);
  await journal.started();
  t.is(bit(place.name), '0', 'recovered before it was ready');
  t.not(mainPid(), before);
  t.is(show('NRestarts'), '1');
});

test.serial('killed in a hold: what the hold stopped goes on, however long that takes', async t => {
  const [door, end] = [new Door(t, 'resume'), new Door(t, 'resumed')];
  writePolicy(`locks:
  manual-hold:
    quiesce:
      - stop: "true"
        resume: read line < ${door.path} && echo resumed > ${end.path}
        within: 2m
`);
  const journal = new Journal(t);
  t.regex(await reload(journal), /the policy was read/);
  const place = systemLock(t, 'manual-hold');
  await (await midway(t, place)).owner.do('finish-update');
  const {status, answer} = await post('/v1/holds', {lock: place.name, for: 120_000});
  t.is(status, 201, JSON.stringify(answer));
  process.kill(mainPid(), 'SIGKILL');
  const reached = await door.reached();
  await journal.started();
  await door.open(reached);
  t.is(await readFile(end.path, 'utf8'), 'resumed\n');
});

test.serial('frozen: the watchdog ends it, and systemd starts it again', async t => {
  dropIn(t, 'WatchdogSec=10');
  t.is((await systemctl('restart', 'locksmith')).status, 0);
  const before = mainPid();
  await events('swept', 3);
  t.is(mainPid(), before, 'while it works it is let live, for longer than the watchdog waits');
  t.is(show('NRestarts'), '0');
  const journal = new Journal(t);
  process.kill(before, 'SIGSTOP');
  await journal.says(/Watchdog timeout/);
  await journal.started();
  t.not(mainPid(), before);
  t.is(show('NRestarts'), '1');
});

test.serial('reload: a policy with a fault is told, and the old one stays; a good one is taken', async t => {
  const place = systemLock(t, 'manual-reload');
  const {owner} = await midway(t, place);
  const journal = new Journal(t);
  await owner.kill();
  await journal.says(/manual-reload was left in the middle, and the policy leaves it to people/);

  writePolicy('locks:\n  manual-reload:\n    recover: sometimes\n');
  t.regex(await reload(journal), /"level":"error".*the new policy has a fault, and the old one stays/);
  t.regex((await get<Status>('/v1/status')).policy.problem ?? '', /tests\.yaml:3/);
  t.regex(show('StatusText'), /the new policy has a fault/);
  t.is(bit(place.name), '1');

  writePolicy('locks:\n  manual-reload:\n    recover: automatic\n');
  t.regex(await reload(journal), /the policy was read/);
  await journal.says(/ALL CLEAR: manual-reload/);
  t.is(bit(place.name), '0');
  t.is((await get<Status>('/v1/status')).policy.problem, null);
  t.notRegex(show('StatusText'), /fault/);
});

test.serial('a stop ends it cleanly, and leaves all locks', async t => {
  const place = systemLock(t, 'manual-stop');
  const {owner} = await midway(t, place);
  t.is(await metric('locksmith_troubles_total'), '0', 'nothing was forbidden that it needs');
  t.is((await systemctl('stop', 'locksmith')).status, 0);
  t.deepEqual([show('Result'), show('ExecMainStatus'), show('ActiveState')], ['success', '0', 'inactive']);
  t.false(existsSync(SOCKET));
  t.is(bit(place.name), '1');
  t.is((await owner.do('finish-update')).error, undefined, 'its owner has not noticed');
});

test.serial(
  'a start with a fault in the policy fails, and succeeds by itself when that is corrected',
  async t => {
    const journal = new Journal(t);
    writePolicy('locks: []\n');
    t.is((await systemctl('start', 'locksmith')).status, 1);
    writePolicy('locks: {}\n');
    await journal.started();
    t.is((await systemctl('stop', 'locksmith')).status, 0);
  },
);

test.serial('the page says what systemd-analyze says of the unit', async t => {
  const {stdout} = await run('systemd-analyze', 'security', '--no-pager', 'locksmith');
  const [, figure] = /Overall exposure level for locksmith\.service: (\S+)/.exec(stdout) ?? [];
  const page = readFileSync('/vm/docs/operations.md', 'utf8');
  t.is(/`systemd-analyze security locksmith`[^|]*?: (\d\.\d)/.exec(page)?.[1], figure);
});
