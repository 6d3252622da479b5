import {chmodSync, closeSync, openSync} from 'node:fs';
import anyTest, {type ExecutionContext, type ImplementationFn} from 'ava';
import {type Bench, bench, guardedBench, MAIN, NAME, occupy, orphan} from '../helpers/cli.js';
import {AUTOMATIC, daemon} from '../helpers/daemon.js';
import {asRoot, testWith} from '../helpers/here.js';
import {stopProcess} from '../helpers/proc-state.js';
import type {Ended} from '../helpers/started.js';
import {outcome, shapes, type Way, WAYS} from '../helpers/ways.js';

/** One after the other: a daemon that gets no processor for two seconds counts as stopped. */
const test = anyTest.serial;

function testAsRoot(title: string, run: ImplementationFn<[]>): void {
  testWith(asRoot, title, run, test);
}

/** Something that is done in both ways, each in a place of its own. */
type Play = (made: Bench, way: Way, t: ExecutionContext) => Promise<Ended>;

async function bothWays(t: ExecutionContext, play: Play): Promise<[Told, Told]> {
  const tell = async (way: Way) => {
    const made = await guardedBench(t);
    if (way === 'daemon') await daemon(t, made);
    return {made, ended: await play(made, way, t)};
  };
  return [await tell('direct'), await tell('daemon')];
}

interface Told {
  readonly made: Bench;
  readonly ended: Ended;
}

/** It ends the same, with that status, and says the same. */
async function isAlike(t: ExecutionContext, status: number, play: Play): Promise<void> {
  const [direct, there] = await bothWays(t, play);
  t.is(direct.ended.code, status, direct.ended.stderr);
  t.deepEqual(outcome(there.ended, there.made), outcome(direct.ended, direct.made));
}

/** The same of what changes nothing, so in one place, for people and for scripts. */
async function refusesAlike(
  t: ExecutionContext,
  made: Bench,
  status: number,
  args: readonly string[],
): Promise<void> {
  for (const json of [[], ['--json']]) {
    const direct = await made.run([...args, ...json, '--via', 'direct']);
    const there = await made.run([...args, ...json, '--via', 'daemon']);
    t.is(direct.code, status, `${args.join(' ')}: ${direct.stderr}`);
    t.deepEqual(outcome(there, made), outcome(direct, made));
  }
}

/** How the lock is when somebody looks. */
const SITUATIONS: readonly (readonly [state: string, make: (made: Bench) => Promise<unknown>])[] = [
  ['FREE', async () => undefined],
  ['ALIVE', made => occupy(made, '--purpose', 'nightly tuning')],
  ['FROZEN', async made => stopProcess((await occupy(made)).started.pid)],
  ['DEAD', orphan],
];

interface Looked {
  readonly evidence: readonly {readonly looked: string}[];
}

/** How an owner ended is known to the daemon, which was there. */
function withoutEnd(report: Looked): object {
  return {...report, evidence: report.evidence.filter(({looked}) => !looked.startsWith('end of pid'))};
}

function comparable(ended: Ended | undefined): string | undefined {
  return ended?.stdout
    .replaceAll(/\([^()]* ago\)/g, '')
    .replaceAll(/ {2}looked {3}end of pid [^]*?\n\n/g, '');
}

for (const [state, make] of SITUATIONS)
  test(`${state} looks the same through the daemon, for people and for scripts`, async t => {
    const made = await guardedBench(t);
    await daemon(t, made);
    await make(made);
    for (const args of [
      ['explain', made.name],
      ['explain', made.file],
      ['ls', '-o', 'NAME,STATE,HOT,EPOCH,OWNER,SINCE,WAITERS,FILE'],
    ]) {
      const [direct, there] = await Promise.all(WAYS.map(way => made.run([...args, '--via', way])));
      t.is(direct?.code, 0, direct?.stderr);
      t.true(direct?.stdout.includes(state));
      t.is(comparable(there), comparable(direct));
    }
    for (const args of [['explain', made.name], ['ls']]) {
      const [plain, asked] = await Promise.all(
        WAYS.map(way => made.json<Looked | Looked[]>(...args, '--via', way)),
      );
      t.deepEqual([asked ?? []].flat().map(withoutEnd), [plain ?? []].flat().map(withoutEnd));
    }
  });

test('recover, dead owner: the same steps and certificate, 0', async t => {
  await isAlike(t, 0, async (made, way) => {
    await orphan(made);
    return made.run(['recover', NAME, '--reason', 'drill', '--hold', '80s', '--via', way]);
  });
});

test('recover with --json, dead owner: the same fields', async t => {
  const [direct, there] = await bothWays(t, async (made, way) => {
    await orphan(made);
    return made.run(['recover', made.file, '--json', '--via', way]);
  });
  t.is(there.ended.code, 0);
  t.is(there.ended.stderr, '');
  t.deepEqual(shapes(there.ended), shapes(direct.ended));
});

test('what is free, alive, unknown or no name at all is refused alike', async t => {
  const made = await guardedBench(t);
  await daemon(t, made);
  await refusesAlike(t, made, 0, ['recover', NAME]);
  await refusesAlike(t, made, 0, ['recover', made.file]);
  for (const verb of ['recover', 'explain', 'hold']) {
    await refusesAlike(t, made, 2, [verb, 'aim_lock_confg']);
    await refusesAlike(t, made, 64, [verb, '.hidden']);
  }
  await refusesAlike(t, made, 1, ['break-glass', NAME, '--owner', '1', '--epoch', '1', '--reason', 'why']);
  await refusesAlike(t, made, 64, ['hold', NAME, '--for', '2d']);
  await occupy(made);
  await refusesAlike(t, made, 1, ['recover', NAME]);
  await refusesAlike(t, made, 1, ['hold', NAME, '--for', '300ms']);
  await refusesAlike(t, made, 1, ['break-glass', NAME, '--owner', '1', '--epoch', '1', '--reason', 'why']);
});

test('break-glass, living owner: the same steps and certificate, 0', async t => {
  await isAlike(t, 0, async (made, way) => {
    await occupy(made);
    const {owner, epoch} = await made.json<{owner: {pid: number}; epoch: number}>('explain', NAME);
    const named = ['--owner', String(owner.pid), '--epoch', String(epoch), '--reason', 'it hangs'];
    return made.run(['break-glass', NAME, ...named, '--via', way]);
  });
});

test('what fails after ALL CLEAR comes after it: the certificate is shown, then 2', async t => {
  const broken = "locks:\n  '*':\n    quiesce: [{stop: 'true', resume: exit 3, within: 60s}]\n";
  const ends = [];
  for (const way of WAYS) {
    const made = await guardedBench(t);
    await daemon(t, made, {policy: broken});
    await orphan(made);
    const ended = await made.run(['recover', NAME, '--via', way]);
    t.is(ended.code, 2);
    t.regex(ended.stdout, /^ALL CLEAR/m);
    t.regex(ended.stderr, /does not go on/);
    ends.push(outcome(ended, made));
  }
  t.deepEqual(ends[1], ends[0]);
});

/** A run of each verb that has a way to choose; all of them look, or find nothing to do. */
const VERBS: readonly (readonly string[])[] = [
  ['ls'],
  ['explain', NAME],
  ['recover', NAME],
  ['hold', NAME, '--', 'true'],
];

test('without a daemon all goes on directly; --via daemon ends with 69, and nothing is said unasked', async t => {
  const made = await guardedBench(t);
  for (const [verb = '', ...args] of [...VERBS, ['break-glass', NAME, '--owner', '1', '--epoch', '1']]) {
    const all = verb === 'break-glass' ? [...args, '--reason', 'why not'] : args;
    const {code, stdout, stderr} = await made.run([verb, '--via', 'daemon', '--json', ...all]);
    t.is(code, 69, verb);
    t.is(stdout, '');
    t.like(JSON.parse(stderr), {error: {code: 'ERR_NO_DAEMON', path: `${made.roots.run}/daemon.sock`}});
  }
  for (const [verb = '', ...args] of VERBS) {
    t.like(await made.run([verb, ...args]), {code: 0, stderr: ''}, verb);
    t.like(await made.run([verb, '--via', 'direct', '-v', ...args]), {code: 0}, verb);
  }
  const {stderr} = await made.run(['recover', NAME, '-v']);
  t.is(stderr, `locksmith: acted directly: no daemon answers on ${made.roots.run}/daemon.sock\n`);
});

test('a daemon that was killed is none, though its socket is there', async t => {
  const made = await guardedBench(t);
  await (await daemon(t, made)).kill();
  t.like(await made.run(['recover', NAME]), {code: 0, stderr: ''});
  t.is((await made.run(['recover', NAME, '--via', 'daemon'])).code, 69);
});

testAsRoot('root looks for himself, and acts through the daemon; --verbose says so', async t => {
  const made = await guardedBench(t);
  await daemon(t, made);
  const asked = `locksmith: asked the daemon on ${made.roots.run}/daemon.sock\n`;
  for (const [verb = '', ...args] of VERBS) {
    const looks = verb === 'ls' || verb === 'explain';
    const {code, stderr} = await made.run([verb, '--verbose', ...args]);
    t.is(code, 0, verb);
    t.is(stderr, looks ? 'locksmith: looked directly: root sees for himself\n' : asked);
    t.is((await made.run([verb, '-v', '--via', 'daemon', ...args])).stderr, asked, verb);
    t.regex((await made.run([verb, '-v', '--via', 'direct', ...args])).stderr, /directly: as --via says\n$/);
  }
  const json = await made.run(['recover', NAME, '-v', '--json']);
  t.deepEqual(JSON.parse(json.stderr), {note: asked.slice('locksmith: '.length, -1)});
  t.is(json.stdout.trim().split('\n').length, 3);
});

testAsRoot('a daemon that is stopped is gone around, and that is said; --via daemon refuses', async t => {
  const made = await guardedBench(t);
  const it = await daemon(t, made);
  stopProcess(it.pid);
  const said =
    /^locksmith: acted directly: the daemon on \S+ has not answered for 2 s: it is stopped, or stuck\n$/;
  for (const [verb = '', ...args] of VERBS.slice(2)) {
    const {code, stderr} = await made.run([verb, ...args]);
    t.is(code, 0, verb);
    t.regex(stderr, said, verb);
  }
  t.like(await made.run(['ls']), {code: 0, stderr: ''});
  const refused = await made.run(['recover', NAME, '--via', 'daemon', '--json']);
  t.is(refused.code, 69);
  t.like(JSON.parse(refused.stderr), {error: {code: 'ERR_NO_DAEMON', silent: true}});
  const {stdout} = await made.run(['doctor']);
  t.regex(stdout, /^warn +daemon +the daemon on \S+ has not answered/m);
});

test('what the daemon can not do is done directly, and refused with --via daemon by its name', async t => {
  const made = await guardedBench(t);
  await daemon(t, made);
  const recover = ['recover', NAME];
  const options = [
    [['ls', '--all', '-o', 'KIND'], '--all'],
    [['explain', '--all', NAME], '--all'],
    [['explain', made.directory], 'a file that no lock guards'],
    [[...recover, '--dry-run'], '--dry-run'],
    [[...recover, '--validate', 'true'], '--validate'],
    [[...recover, '--audit-to', `${made.directory}/audit`], '--audit-to'],
    [[...recover, '--policy', made.policy], '--policy'],
    [[...recover, '--no-policy'], '--no-policy'],
    [[...recover, '--quiesce', 'freezer:/sys/fs/cgroup/x'], '--quiesce'],
    [[...recover, '--reason', 'x'.repeat(201)], 'a --reason of 201 letters'],
    [['hold', NAME, '--no-policy', '--for', '1s'], '--no-policy'],
  ] as const;
  for (const [args, named] of options) {
    const refused = await made.run([...args, '--via', 'daemon']);
    t.is(refused.code, 64, named);
    t.true(refused.stderr.includes(`can not be asked for ${named}`), refused.stderr);
    t.true(refused.stderr.includes('--via direct'));
    const {code, stderr} = await made.run([...args, '-v']);
    t.is(code, 0, stderr);
    t.regex(stderr, /directly: /, named);
  }
  t.is((await made.run(['ls', '--via', 'nowhere'])).code, 64);
});

/** The command's own words: a program that counts for coverage complains as well that nobody may write down the counts. */
function ownWords({stderr}: Ended): string[] {
  return stderr.split('\n').filter(line => line.startsWith('locksmith: '));
}

/** Runs it as nobody, who may come up to the socket. */
async function asNobody(made: Bench, ...args: string[]): Promise<Ended> {
  const nobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];
  return made.runUnder(nobody, args, {env: {...made.env, PATH: process.env['PATH'] ?? ''}});
}

testAsRoot('a user asks the daemon, which sees what he may not see', async t => {
  const made = await guardedBench(t);
  const it = await daemon(t, made);
  chmodSync(made.directory, 0o755);
  chmodSync(it.client.socket, 0o666);
  const {started} = await occupy(made);
  const state = async (...args: string[]) => {
    const {stdout, stderr} = await asNobody(made, 'explain', NAME, '--json', ...args);
    return (JSON.parse(stdout || stderr) as {state?: string; complete?: boolean}) ?? {};
  };
  t.like(await state(), {state: 'ALIVE', complete: true, owner: {pid: started.pid}});
  t.not((await state('--via', 'direct')).complete, true);
  t.deepEqual(ownWords(await asNobody(made, 'ls', '-v')), [
    `locksmith: asked the daemon on ${it.client.socket}`,
  ]);
  t.regex((await asNobody(made, 'ls')).stdout, /ALIVE/);
  stopProcess(it.pid);
  t.regex((await asNobody(made, 'ls')).stderr, /^locksmith: looked directly: the daemon on .* is stopped/);
});

testAsRoot('a daemon that is not for us is none, and --verbose says it', async t => {
  const made = await guardedBench(t);
  const it = await daemon(t, made);
  chmodSync(made.directory, 0o755);
  t.regex((await asNobody(made, 'ls', '-v')).stderr, /^locksmith: looked directly: .*EACCES/);
  t.deepEqual(ownWords(await asNobody(made, 'ls')), []);
  t.is((await asNobody(made, 'ls', '--via', 'daemon')).code, 77);
  chmodSync(it.client.socket, 0o666);
  await orphan(made);
  const refused = await asNobody(made, 'recover', NAME, '-v');
  t.is(refused.code, 77);
  t.regex(refused.stderr, /acted directly: the daemon says: only root .* may recover/);
  t.regex((await asNobody(made, 'recover', NAME, '--via', 'daemon')).stderr, /^locksmith: only root/);
});

testAsRoot('a user without locks of his own asks the daemon of the system', async t => {
  const made = bench(t);
  const [run, state] = ['/run/locksmith', made.roots.state];
  const roots = {run, state, bits: `${run}/bits`};
  // /run is another one for these processes.
  const under = ['unshare', '--mount', 'sh', '-c', 'mount -t tmpfs tmpfs /run && exec "$@"', 'sh'];
  const it = await daemon(t, {...made, roots}, {under});
  const inside = ['nsenter', `--mount=/proc/${it.pid}/ns/mnt`];
  const env = {...made.env, PATH: process.env['PATH'] ?? '', LOCKSMITH_RUN: run, LOCKSMITH_BITS: roots.bits};
  t.is((await made.runUnder(inside, ['run', made.file, '--', 'true'], {env})).code, 0);
  // Not by runUnder, which adds node and its program: they would be made unexecutable with it.
  await made.startCommand([...inside, 'chmod', '666', `${run}/daemon.sock`], env).ended;
  chmodSync(made.directory, 0o755);
  const user = [...inside, 'setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];
  const own = {PATH: process.env['PATH'] ?? '', XDG_RUNTIME_DIR: `${made.directory}/own`};
  const rest = Object.entries(made.env).filter(([key]) => !/_(RUN|STATE|BITS)$/.test(key));
  const as = (...args: string[]) =>
    made.startCommand([...user, process.execPath, ...args], {...Object.fromEntries(rest), ...own}).ended;
  const asked = await as(MAIN, 'ls', '-v', '-o', 'NAME,STATE');
  t.deepEqual(ownWords(asked), [`locksmith: asked the daemon on ${run}/daemon.sock`]);
  t.regex(asked.stdout, /aim_lock_config +FREE/);
  t.is((await as(MAIN, 'explain', NAME)).code, 0);
  t.regex((await as(MAIN, 'recover', NAME)).stderr, /^locksmith: only root may recover/);
});

testAsRoot('Ctrl-C ends that a recovery is followed, and the daemon brings it to its end', async t => {
  const made = await guardedBench(t);
  const it = await daemon(t, made);
  await orphan(made);
  const events = await it.listen();
  const fd = openSync(made.file, 'r+');
  const recovering = made.start('recover', NAME, '--hold', '80s');
  t.true(await recovering.reaches('has the file open for writing'));
  recovering.child.kill('SIGINT');
  const {code, stderr} = await recovering.ended;
  closeSync(fd);
  t.is(code, 130);
  t.regex(stderr, /^locksmith: the daemon brings to its end what it has begun/);
  await events.until('recovered', NAME);
  t.is((await made.json<{state: string}>('explain', NAME)).state, 'FREE');
});

test('what the policy of the daemon says holds: it recovers by itself, and nothing is left to do', async t => {
  const made = await guardedBench(t);
  const it = await daemon(t, made, {policy: AUTOMATIC});
  const events = await it.listen();
  await orphan(made);
  await events.until('recovered', NAME);
  const {code, stdout} = await made.run(['recover', NAME, '--via', 'daemon']);
  t.is(code, 0);
  t.regex(stdout, /There is nothing to recover/);
  t.regex((await made.run(['doctor'])).stdout, new RegExp(`^ok +daemon +pid ${it.pid} answers on `, 'm'));
});
