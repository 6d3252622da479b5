/** Does `locksmith recover` work where nothing else does: no environment, nothing writable, full disks, half-mounted systems, nobody who reads? */
import {execFileSync, spawn} from 'node:child_process';
import {once} from 'node:events';
import {
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import {writeFile} from 'node:fs/promises';
import {dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';
import test, {type ExecutionContext} from 'ava';
import {waitForExit} from '../../lib/os/process.js';
import {findConfigLock} from '../../lib/recovery/guarded-config.js';
import {bench, type Bench, MAIN, NAME, occupy, orphan, untilFree} from '../helpers/cli.js';
import {type Ended} from '../helpers/started.js';
import {testAsRoot} from '../helpers/here.js';
import {instrumented, sanitizers} from '../helpers/sanitizers.js';
import {compileShared} from '../helpers/native.js';
import {stopProcess} from '../helpers/proc-state.js';
import {tinyFileSystem} from '../helpers/tiny-fs.js';

/** Runs what follows in a mount namespace of its own, after a preparation by a shell. */
function mounted(prepare: string): string[] {
  return ['unshare', '--mount', 'sh', '-ec', `${prepare}; exec "$@"`, 'sh'];
}

/** Runs what follows with a redirection of a shell. */
function redirected(how: string): string[] {
  return ['sh', '-c', `exec "$@" ${how}`, 'sh'];
}

async function stateOf(made: Bench): Promise<string> {
  return (await made.json<{state: string}>('explain', NAME)).state;
}

async function orphanBench(t: ExecutionContext): Promise<Bench> {
  const made = bench(t);
  await orphan(made);
  return made;
}

/** The audit records among lines; steps and words begin otherwise. */
function recordsIn(text: string): string[] {
  return text.split('\n').filter(line => line.startsWith('{"seq":'));
}

/** A pipe with a name, which a shell reads a line from to go on. */
function doorOf(made: Bench): string {
  const door = join(made.directory, 'door');
  execFileSync('mkfifo', [door]);
  return door;
}

test('neither HOME nor PATH nor TERM is needed, nor stdin', async t => {
  const made = await orphanBench(t);
  const {code, stdout} = await made.runUnder(['/bin/sh', '-c', 'exec "$@" <&-', 'sh'], ['recover', NAME], {
    env: made.env,
  });
  t.is(code, 0);
  t.regex(stdout, /^ALL CLEAR/m);
});

for (const how of ['>&-', '2>&-', '>&- 2>&- <&-']) {
  test(`with ${how} the recovery comes to its end`, async t => {
    const made = await orphanBench(t);
    t.is((await made.runUnder(redirected(how), ['recover', NAME])).code, 0);
    t.is(await stateOf(made), 'FREE');
  });
}

test('a reader of stdout and stderr who goes away in the middle ends nothing', async t => {
  const made = await orphanBench(t);
  const recovering = made.start('recover', NAME, '--json');
  await recovering.line();
  recovering.child.stdout.destroy();
  recovering.child.stderr.destroy();
  await once(recovering.child, 'close');
  t.is(recovering.child.exitCode, 0);
  t.is(await stateOf(made), 'FREE');
});

test('a full pipe that nobody reads delays the end of the words, not of the recovery', async t => {
  const made = await orphanBench(t);
  const pipe = doorOf(made);
  const fd = openSync(pipe, constants.O_RDWR | constants.O_NONBLOCK);
  try {
    for (;;) writeSync(fd, Buffer.alloc(4096, '.'));
  } catch (error) {
    t.is((error as NodeJS.ErrnoException).code, 'EAGAIN');
  }
  const env = {...process.env, ...made.env};
  const child = spawn(process.execPath, [MAIN, 'recover', NAME], {env, stdio: ['ignore', fd, fd]});
  t.teardown(() => child.kill('SIGKILL'));
  const owned = await findConfigLock(NAME, made.roots)?.acquire({onOrphan: 'wait'});
  await owned?.release();
  t.is(child.exitCode, null);
  const reader = spawn('cat', [pipe], {stdio: ['ignore', 'pipe', 'inherit']});
  t.teardown(() => reader.kill('SIGKILL'));
  let text = '';
  reader.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
  closeSync(fd);
  await once(reader, 'close');
  t.regex(text, /^ALL CLEAR/m);
});

test('a clock that was set back changes nothing but the times that are shown', async t => {
  const made = await orphanBench(t);
  await made.run(['recover', NAME]);
  await orphan(made);
  const {epoch} = await made.json<{epoch: number}>('explain', NAME);
  const preload = [process.env['LD_PRELOAD'], compileShared(t, 'wrong-clock')].filter(Boolean).join(':');
  const {code, stdout, stderr} = await made.runUnder(
    ['env', `LD_PRELOAD=${preload}`],
    ['recover', NAME, '--json'],
  );
  t.is(code, 0, stderr);
  const {certificate} = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as {
    certificate: {at: string; epochs: {after: number}; took: number};
  };
  t.is(certificate.at, '1970-01-01T01:00:00.000Z');
  t.true(certificate.epochs.after > epoch);
  t.true(certificate.took > 0);
  t.like(await made.json('log', '--verify'), {ok: true, records: 4});
});

const READ_ONLY = (path: string) => `mount --bind ${path} ${path} && mount -o remount,bind,ro ${path}`;

testAsRoot('on a read-only /etc the lock is taken back, where nothing is left there', async t => {
  const made = await orphanBench(t);
  const {code, stderr} = await made.runUnder(mounted(READ_ONLY(dirname(made.file))), ['recover', NAME]);
  t.is(code, 0, stderr);
  t.is(await stateOf(made), 'FREE');
});

testAsRoot(
  'on a read-only /etc an update that was cut short keeps the bit set, until it can be cleaned',
  async t => {
    const made = bench(t);
    const door = doorOf(made);
    const updating = made.start('update', made.file, '--validate', `echo in >&2; read go < ${door}`);
    updating.child.stdin.end('new\n');
    await updating.says('in');
    await updating.kill();
    const shadows = () => readdirSync(dirname(made.file)).filter(name => name.includes('.shadow.'));
    t.is(shadows().length, 1);
    const {code, stderr} = await made.runUnder(mounted(READ_ONLY(dirname(made.file))), ['recover', NAME]);
    t.is(code, 2);
    t.regex(stderr, /EROFS.*\.shadow\./);
    t.is(await stateOf(made), 'DEAD');
    t.is((await made.run(['recover', NAME])).code, 0);
    t.deepEqual(shadows(), []);
    t.is(readFileSync(made.file, 'utf8'), 'old\n');
    await writeFile(door, 'go\n', {flag: 'r+'});
  },
);

testAsRoot('without /sys, soft bits are all that is needed', async t => {
  const made = await orphanBench(t);
  const {code, stderr} = await made.runUnder(mounted('umount -l /sys'), ['recover', NAME]);
  t.is(code, 0, stderr);
});

test('a STATE that is not there is not made: it may be on a file system that is not mounted', async t => {
  const made = await orphanBench(t);
  renameSync(made.roots.state, `${made.roots.state}.away`);
  const {code, stderr} = await made.run(['recover', NAME]);
  t.is(code, 2);
  t.regex(stderr, /is its file system mounted\?[^]*--audit-to/);
  t.false(existsSync(made.roots.state));
  t.is(await stateOf(made), 'DEAD');
});

test('a STATE without the epochs of the lock is that of another file system, and gets no record', async t => {
  const made = await orphanBench(t);
  renameSync(made.roots.state, `${made.roots.state}.away`);
  mkdirSync(made.roots.state);
  t.is((await made.run(['recover', NAME])).code, 2);
  t.deepEqual(readdirSync(made.roots.state), []);
  rmdirSync(made.roots.state);
  renameSync(`${made.roots.state}.away`, made.roots.state);
  t.is((await made.run(['recover', NAME])).code, 0);
});

test('without STATE the records may go elsewhere, and are imported when it is back', async t => {
  const made = await orphanBench(t);
  renameSync(made.roots.state, `${made.roots.state}.away`);
  const path = join(made.directory, 'usb.jsonl');
  t.is((await made.run(['recover', NAME, '--audit-to', path, '--reason', 'drill'])).code, 0);
  t.false(existsSync(made.roots.state));
  const {code, stdout} = await made.run(['log', '--verify', '--from', path]);
  t.is(code, 0);
  t.regex(stdout, /usb\.jsonl: 2 records, the chain is whole/);
  t.regex((await made.run(['log', '--from', path])).stdout, /recover\.intent.*drill\n.*all-clear/);
  renameSync(`${made.roots.state}.away`, made.roots.state);
  t.regex((await made.run(['log', '--import', path])).stdout, /2 records imported, 0 were there already/);
  t.regex((await made.run(['log', '--import', path])).stdout, /0 records imported, 2 were there already/);
  t.regex((await made.run(['log', NAME])).stdout, /imported .*all-clear of .*: untouched.*: drill$/m);
  t.like(await made.json('log', '--verify'), {ok: true, records: 2});
});

testAsRoot('the system’s STATE is not made where /var is not mounted', async t => {
  const made = bench(t);
  const env = {...sanitizers(), LOCKSMITH_RUN: made.roots.run, PATH: process.env['PATH'] ?? ''};
  const {code, stderr} = await made.runUnder(
    mounted('mount -t tmpfs none /var; trap "ls -A /var" EXIT'),
    ['run', made.file, '--', 'true'],
    {env},
  );
  t.is(code, 2);
  t.regex(stderr, /there is no \/var\/lib: is its file system mounted\?/);
});

testAsRoot('a read-only STATE refuses the recovery before anything is changed', async t => {
  const made = await orphanBench(t);
  const {code, stderr} = await made.runUnder(mounted(READ_ONLY(made.roots.state)), ['recover', NAME]);
  t.is(code, 2);
  t.regex(stderr, /takes no record, so nothing was done to aim_lock_config: EROFS[^]*--audit-to/);
  t.is(await stateOf(made), 'DEAD');
});

testAsRoot('a full disk refuses the recovery before anything is changed; with room it goes on', async t => {
  const disk = tinyFileSystem.mount(t, '64k');
  const made = bench(t);
  const roots = {...made.env, LOCKSMITH_STATE: join(disk, 'state')};
  const env = {...process.env, ...roots} as Record<string, string>;
  const run = (...args: string[]) => made.runUnder(['env'], args, {env});
  await run('run', made.file, '--', 'sh', '-c', 'kill -9 $PPID; kill -9 $$');
  await untilFree(made);
  t.is((await run('recover', NAME)).code, 0);
  await run('run', made.file, '--', 'sh', '-c', 'kill -9 $PPID; kill -9 $$');
  await untilFree(made);
  const log = join(disk, 'state', 'audit.jsonl');
  const {size} = statSync(log);
  const full = join(disk, 'full');
  execFileSync('sh', ['-c', `cat /dev/zero > ${full} 2>/dev/null || true`]);
  // Longer than a page: what is left of the last one is not enough.
  const long = ['--reason', 'x'.repeat(5000)];
  const {code, stderr} = await run('recover', NAME, ...long);
  t.is(code, 2);
  t.regex(stderr, /takes no record, so nothing was done to aim_lock_config: ENOSPC[^]*--audit-to -/);
  t.is(statSync(log).size, size);
  t.like(JSON.parse((await run('explain', NAME, '--json')).stdout), {state: 'DEAD'});
  truncateSync(full, 0);
  t.is((await run('recover', NAME, ...long)).code, 0);
  t.like(JSON.parse((await run('log', '--verify', '--json')).stdout), {ok: true, records: 4});
});

test('--audit-to - prints the records on stdout, and all words on stderr', async t => {
  const made = await orphanBench(t);
  renameSync(made.roots.state, `${made.roots.state}.away`);
  const {code, stdout, stderr} = await made.run(['recover', NAME, '--audit-to', '-']);
  t.is(code, 0);
  t.is(recordsIn(stdout).length, 2);
  t.is(`${recordsIn(stdout).join('\n')}\n`, stdout);
  t.regex(stderr, /verdict +DEAD[^]*^ALL CLEAR/m);
  const saved = join(made.directory, 'saved.jsonl');
  writeFileSync(saved, stdout);
  t.like(await made.json('log', '--verify', '--from', saved), {ok: true, records: 2});
});

test('with --json, records and steps are told apart by how their lines begin', async t => {
  const made = await orphanBench(t);
  const {code, stdout} = await made.run(['recover', NAME, '--audit-to', '-', '--json']);
  t.is(code, 0);
  const lines = stdout.trimEnd().split('\n');
  const begins = (line: string) => ['{"seq":', '{"step":'].filter(start => line.startsWith(start)).length;
  t.true(lines.every(line => begins(line) === 1));
  const events = recordsIn(stdout).map(line => (JSON.parse(line) as {event: string}).event);
  t.deepEqual(events, ['recover.intent', 'all-clear']);
  const at = (start: string) => lines.findIndex(line => line.startsWith(start));
  t.true(at('{"seq":1,') < at('{"step":"intent"'));
  t.true(at('{"step":"clear"') < at('{"seq":2,') && at('{"seq":2,') < at('{"step":"all-clear"'));
});

for (const how of ['>&-', '>/dev/null']) {
  test(`--audit-to - with ${how} is refused: the record would be lost`, async t => {
    const made = await orphanBench(t);
    const {code, stderr} = await made.runUnder(redirected(how), ['recover', NAME, '--audit-to', '-']);
    t.is(code, 2);
    t.regex(stderr, /stdout is closed, or leads to \/dev\/null/);
    t.is(await stateOf(made), 'DEAD');
  });
}

test('--audit-to never harms a file that is no log', async t => {
  const made = await orphanBench(t);
  writeFileSync(made.file, 'gain = 7');
  const {code, stderr} = await made.run(['recover', NAME, '--audit-to', made.file]);
  t.is(code, 2);
  t.regex(stderr, /is no audit record/);
  t.is(readFileSync(made.file, 'utf8'), 'gain = 7');
  t.is(await stateOf(made), 'DEAD');
});

test('a reader of the records who goes away after the intent: 74, and the lock is free', async t => {
  const made = await orphanBench(t);
  const door = doorOf(made);
  const recovering = made.start('recover', NAME, '--audit-to', '-', '--validate', `read go < ${door}`);
  t.regex(await recovering.line(), /^\{"seq":1,.*"recover\.intent"/);
  recovering.child.stdout.destroy();
  await writeFile(door, 'go\n');
  const {code, stderr} = await recovering.ended;
  t.is(code, 74);
  t.regex(stderr, /aim_lock_config is clean and free, but stdout took no record of that: .*EPIPE/);
  t.is(await stateOf(made), 'FREE');
});

test('by force, too: the records go elsewhere, and without the last one the lock is free, though a frozen owner keeps its descriptor', async t => {
  const made = bench(t);
  const {started, shell} = await occupy(made);
  stopProcess(shell);
  stopProcess(started.pid);
  const {epoch} = await made.json<{epoch: number}>('explain', NAME);
  const door = doorOf(made);
  const named = ['--owner', String(started.pid), '--epoch', String(epoch), '--reason', 'drill'];
  const forcing = made.start(
    'break-glass',
    NAME,
    ...named,
    '--audit-to',
    '-',
    '--validate',
    `read go < ${door}`,
  );
  t.regex(await forcing.line(), /^\{"seq":1,.*"break-glass\.intent"/);
  forcing.child.stdout.destroy();
  await writeFile(door, 'go\n');
  t.is((await forcing.ended).code, 74);
  t.is(await stateOf(made), 'FREE');
  t.is((await made.run(['run', NAME, '-n', '--', 'true'])).code, 0);
  const gone = waitForExit(shell);
  process.kill(shell, 'SIGKILL');
  await gone;
});

const SCRIPT = fileURLToPath(new URL('../../../packaging/rescue/locksmith-rescue', import.meta.url));

/** Runs the script of a rescue shell, in a mount namespace that was prepared. */
async function rescue(made: Bench, prepare: string, ...args: string[]): Promise<Ended> {
  const bin = join(made.directory, 'bin');
  mkdirSync(bin);
  writeFileSync(join(bin, 'locksmith'), `#!/bin/sh\nexec ${process.execPath} ${MAIN} "$@"\n`, {mode: 0o755});
  const env = {...made.env, PATH: `${bin}:/usr/sbin:/usr/bin:/sbin:/bin`};
  const started = made.startCommand([...mounted(prepare), SCRIPT, ...args], env);
  started.child.stdin.end();
  return started.ended;
}

testAsRoot(
  'the rescue script comes to ALL CLEAR without /proc and /sys, and with a STATE that takes no record',
  async t => {
    const made = await orphanBench(t);
    const path = join(made.directory, 'usb.jsonl');
    const bare = `${READ_ONLY(made.roots.state)}; umount -l /sys${instrumented ? '' : '; umount -l /proc'}`;
    const {code, stdout, stderr} = await rescue(made, bare, NAME, path);
    t.is(code, 0, stderr);
    t.regex(stderr, /takes no record, so nothing was done/);
    t.regex(stdout, /^ALL CLEAR/m);
    t.like(await made.json('log', '--verify', '--from', path), {ok: true, records: 2});
  },
);

testAsRoot(
  'the rescue script shows a person what it leaves to him, and ends with the status of the recovery',
  async t => {
    const made = bench(t);
    const {started} = await occupy(made);
    const {code, stdout} = await rescue(made, 'true', NAME);
    t.is(code, 1);
    t.true(stdout.includes(`pid ${started.pid}`));
    t.regex(stdout, /^Evidence$/m);
  },
);
