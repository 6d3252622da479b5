/** Do the commands of roll-outs do what they say, also when something is not there, not right or not finished? */
import {readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {MAIN, NAME} from '../../helpers/cli.js';
import {fleet, FleetBench, type FleetSetting, type Place, ready, start} from '../../helpers/fleet-bench.js';

const QUICK = [
  '--canary',
  '1',
  '--steps',
  '100%',
  '--soak',
  '10ms',
  '--where',
  'role=node',
  '--reason',
  'CR 1234',
];

/** A fleet whose agents run here, and a new content on the desk. */
async function running(t: ExecutionContext, setting: FleetSetting = {nodes: 3}) {
  const bench = await FleetBench.start(t, setting);
  await Promise.all(bench.nodes.map(node => bench.agentHere(node)));
  return {bench, next: contentOn(bench.desk), desk: bench.desk};
}

function contentOn({made}: Place, text = 'gain = 9\n'): string {
  const next = join(made.directory, `${NAME}.conf`);
  writeFileSync(next, text);
  return next;
}

function idIn(stdout: string): string {
  return /^roll-out (\S+) of /m.exec(stdout)?.[1] ?? '';
}

function contents({nodes}: FleetBench): string[] {
  return nodes.map(({made}) => readFileSync(made.file, 'utf8'));
}

function lines(stdout: string): Record<string, unknown>[] {
  return stdout
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as Record<string, unknown>);
}

test('with --json, each change is a line, and the last one has everything', async t => {
  const {desk, next} = await running(t);
  const {code, stdout, stderr} = await fleet(desk, 'rollout', 'start', next, ...QUICK, '--json');
  t.is(code, 0, stderr);
  const told = lines(stdout);
  t.like(told[0], {change: 'started', lock: NAME});
  t.true(told.some(({change, node, state}) => change === 'node' && node === 'node-2' && state === 'APPLIED'));
  t.true(told.some(({change, event}) => change === 'event' && event === 'converged'));
  const id = told[0]?.['id'] as string;
  t.like(told.at(-1), {change: 'end', id, active: false, state: {phase: 'converged'}, counts: {APPLIED: 3}});
  const status = lines((await fleet(desk, 'rollout', 'status', id, '--json')).stdout)[0];
  t.like(status, {id, active: false, plan: {reason: 'CR 1234', canary: 1}});
  t.deepEqual(lines((await fleet(desk, 'rollout', 'status', '--json')).stdout), [[]] as never);
  const history = JSON.parse((await fleet(desk, 'rollout', 'history', NAME, '--json')).stdout) as {
    id: string;
  }[];
  t.deepEqual(
    history.map(each => each.id),
    [id],
  );
  t.is((await fleet(desk, 'rollout', 'history', 'other', '--json')).stdout, '[]\n');
});

test('a node whose health probe fails stops it: all is put back, the reason told, and the status is 1', async t => {
  const {bench, desk, next} = await running(t);
  const {code, stdout, stderr} = await fleet(desk, 'rollout', 'start', next, ...QUICK, '--health', 'false');
  t.is(code, 1, stdout);
  t.regex(stderr, /^locksmith: roll-out \S+ of aim_lock_config was rolled back: /m);
  t.true(stderr.includes(bench.nodes[0]?.name ?? '?'));
  t.deepEqual(contents(bench), ['old\n', 'old\n', 'old\n']);
});

test('a content on stdin needs a lock; with --detach it is left to those who drive', async t => {
  const {bench, desk} = await running(t);
  const nameless = start(desk, 'rollout', 'start', '-', ...QUICK);
  nameless.child.stdin.end('new\n');
  t.is((await nameless.ended).code, 64);
  const begun = start(desk, 'rollout', 'start', '-', '--lock', NAME, '--detach', ...QUICK);
  begun.child.stdin.end('new\n');
  const {code, stdout, stderr} = await begun.ended;
  t.is(code, 0, stderr);
  t.regex(stderr, /goes on, as soon as somebody drives/);
  const watching = start(desk, 'rollout', 'status', idIn(stdout), '--follow');
  await watching.says('nobody drives now: locksmith fleet drive');
  const driver = start(desk, 'drive');
  const followed = await watching.ended;
  t.is(followed.code, 0, followed.stderr);
  t.deepEqual(contents(bench), ['new\n', 'new\n', 'new\n']);
  driver.child.kill('SIGTERM');
  const ended = await driver.ended;
  t.is(ended.code, 0);
  t.regex(ended.stderr, /"msg":"converged/);
});

test('the shell that started it is killed: an agent that drives goes on', async t => {
  const bench = await FleetBench.start(t, {nodes: 3, more: ''});
  const [first, ...others] = bench.nodes;
  await Promise.all(others.map(node => bench.agentHere(node)));
  if (!first) throw new Error('there is no node');
  const {desk} = bench;
  const door = join(desk.made.directory, 'door');
  // Health is not known before the test says so: until then the canary soaks.
  const health = ['--health', `test -e ${door}`, '--soak', '5s'];
  const shell = start(desk, 'rollout', 'start', contentOn(desk), ...QUICK, ...health);
  t.true(await shell.reaches('preparing'));
  await shell.kill();
  writeFileSync(door, '');
  await bench.agent(first, '--drive');
  const {code, stderr} = await fleet(desk, 'rollout', 'status', NAME, '--follow');
  t.is(code, 0, stderr);
  t.deepEqual(contents(bench), ['gain = 9\n', 'gain = 9\n', 'gain = 9\n']);
});

test('Ctrl-C ends only the watching, and says who goes on', async t => {
  const {bench, desk} = await running(t);
  const [first] = bench.nodes;
  const driver = start(desk, 'drive');
  await driver.says('"msg":"leading');
  const shell = start(desk, 'rollout', 'start', contentOn(desk), ...QUICK, '--soak', '20s');
  t.true(await shell.reaches('APPLIED'));
  shell.child.kill('SIGINT');
  const {code, stderr, stdout} = await shell.ended;
  t.is(code, 130);
  t.regex(stderr, new RegExp(`roll-out ${idIn(stdout)} goes on, driven by .*pid ${driver.pid}`));
  t.is(readFileSync(first?.made.file ?? '', 'utf8'), 'gain = 9\n');
  const aborted = await fleet(desk, 'rollout', 'abort', idIn(stdout), '--reason', 'enough', '--follow');
  t.is(aborted.code, 1, aborted.stdout);
  t.regex(aborted.stderr, /was rolled back: aborted by .*enough/);
  t.deepEqual(contents(bench), ['old\n', 'old\n', 'old\n']);
});

test('one that is paused stands still until it is promoted', async t => {
  const {bench, desk, next} = await running(t);
  const begun = await fleet(desk, 'rollout', 'start', next, '--detach', ...QUICK);
  const id = idIn(begun.stdout);
  const paused = await fleet(desk, 'rollout', 'pause', id, '--reason', 'wait for the night', '--follow');
  t.is(paused.code, 75, paused.stderr);
  t.regex(paused.stderr, /^PAUSED: roll-out \S+ of aim_lock_config: .*wait for the night/m);
  const promoted = await fleet(
    desk,
    'rollout',
    'promote',
    id,
    '--reason',
    'it is night',
    '--follow',
    '--json',
  );
  t.is(promoted.code, 0, promoted.stderr);
  t.like(lines(promoted.stdout)[0], {command: 'promote', reason: 'it is night'});
  t.deepEqual(contents(bench), ['gain = 9\n', 'gain = 9\n', 'gain = 9\n']);
});

test('a second roll-out of a lock is refused, and the first one named', async t => {
  const {desk, next} = await running(t);
  const first = await fleet(desk, 'rollout', 'start', next, '--detach', ...QUICK);
  const second = await fleet(desk, 'rollout', 'start', next, '--detach', ...QUICK);
  t.is(second.code, 75);
  t.true(second.stderr.includes(idIn(first.stdout)), second.stderr);
  t.is(second.stdout, '');
});

test('an id that nobody has is told, and so is a canary that is too large', async t => {
  const {desk, next} = await running(t, {nodes: 1});
  for (const words of [
    ['status', 'nope'],
    ['pause', 'nope', '--reason', 'x'],
    ['abort', 'nope', '--reason', 'x'],
  ]) {
    const {code, stderr} = await fleet(desk, 'rollout', ...words);
    t.is(code, 2, words.join(' '));
    t.regex(stderr, /nope[^]*locksmith fleet rollout history/);
  }
  const {code, stderr} = await fleet(desk, 'rollout', 'start', next, ...QUICK, '--canary', '2');
  t.is(code, 2);
  t.regex(stderr, /the canary is to have 2 nodes, and 1 match role=node/);
});

test('a content that is too large is refused before it is stored', async t => {
  const {desk} = await running(t, {nodes: 1, more: 'largest: 10'});
  const {code, stderr} = await fleet(desk, 'rollout', 'start', contentOn(desk, 'x'.repeat(11)), ...QUICK);
  t.is(code, 2);
  t.regex(stderr, /11/);
  t.is((await fleet(desk, 'rollout', 'history', '--json')).stdout, '[]\n');
});

test('an operator whose key the nodes do not trust starts nothing', async t => {
  const {bench, desk, next} = await running(t, {nodes: 1});
  const stranger = readFileSync(desk.config, 'utf8')
    .replace(/operators: .*/, 'operators: []')
    .replace('sign: {name: alice', 'sign: {name: driver')
    .replaceAll('alice.key', 'driver.key');
  writeFileSync(desk.config, stranger);
  const {code, stdout} = await fleet(desk, 'rollout', 'start', next, ...QUICK);
  t.not(code, 0);
  t.regex(stdout, /FAILED.*(signed|signature|trust)/i);
  t.deepEqual(contents(bench), ['old\n']);
});

test('without etcd, every command says so with 69, and names where it was looked for', async t => {
  const bench = await FleetBench.start(t, {nodes: 1});
  const {desk, etcd} = bench;
  writeFileSync(desk.config, readFileSync(desk.config, 'utf8').replace('timeout: 20s', 'timeout: 500ms'));
  await etcd.members[0]?.kill();
  for (const words of [
    ['nodes'],
    ['rollout', 'status'],
    ['proposals'],
    ['agent'],
    ['drive'],
    ['hold', NAME, '--reason', 'x'],
  ]) {
    const {code, stderr} = await fleet(desk, ...words);
    t.is(code, 69, `${words.join(' ')}: ${stderr}`);
    t.true(stderr.includes(etcd.endpoints[0] ?? '?'), stderr);
  }
});

test('a wrong password is told with 77, the right one is taken', async t => {
  const bench = await FleetBench.start(t, {nodes: 1});
  const {desk, etcd} = bench;
  for (const words of [
    ['user', 'add', 'root:secret'],
    ['user', 'grant-role', 'root', 'root'],
    ['auth', 'enable'],
  ])
    await etcd.ctl(...words).catch(async (error: Error) => {
      if (words[1] !== 'grant-role') throw error;
      await etcd.ctl('role', 'add', 'root');
      await etcd.ctl(...words);
    });
  const password = join(desk.config, '..', 'password');
  const text = readFileSync(desk.config, 'utf8').replace(
    'timeout:',
    'user: root, password-file: password, timeout:',
  );
  writeFileSync(desk.config, text);
  writeFileSync(password, 'wrong\n', {mode: 0o600});
  const refused = await fleet(desk, 'nodes');
  t.is(refused.code, 77, refused.stderr);
  t.regex(refused.stderr, /refuses: .*authentication failed/);
  writeFileSync(password, 'secret\n');
  t.is((await fleet(desk, 'nodes')).code, 0);
});

test('an agent is a program that says when it is ready, ends by SIGTERM, and is SILENT then', async t => {
  const bench = await FleetBench.start(t, {nodes: 1});
  const {desk} = bench;
  const [node] = bench.nodes;
  if (!node) throw new Error('there is no node');
  const agent = start(node, 'agent');
  await ready(agent);
  t.regex((await fleet(desk, 'nodes')).stdout, new RegExp(`^${node.name} +UP +`, 'm'));
  const second = await fleet(node, 'agent');
  t.is(second.code, 75, second.stderr);
  agent.child.kill('SIGTERM');
  t.is((await agent.ended).code, 0);
  t.regex((await fleet(desk, 'nodes')).stdout, new RegExp(`^${node.name} +SILENT +`, 'm'));
  const told = JSON.parse((await fleet(desk, 'nodes', '--json')).stdout) as {nodes: {state: string}[]};
  t.deepEqual(
    told.nodes.map(({state}) => state),
    ['SILENT'],
  );
});

test('on a terminal it is drawn in place, and given back with the result below', async t => {
  const {bench, desk, next} = await running(t);
  const words = ['fleet', 'rollout', 'start', next, '--config', desk.config, ...QUICK].map(
    word => `'${word}'`,
  );
  const command = `stty rows 30 cols 120; exec ${process.execPath} ${MAIN} ${words.join(' ')}`;
  const env = {...process.env, ...desk.made.env, NO_COLOR: '1'};
  const {code, stdout} = await desk.made.startCommand(['script', '-qefc', command, '/dev/null'], env).ended;
  t.is(code, 0, stdout);
  const last = stdout.slice(stdout.lastIndexOf('\u001b[H'));
  t.regex(last, /^ {2}canary +█{20} {2}1\/1 {2}1 APPLIED/m);
  t.regex(last, /^ {2}to 100 % +█{20} {2}2\/2 {2}2 APPLIED/m);
  t.true(last.includes('\u001b[?25hALL CLEAR: aim_lock_config converged on 3 nodes'));
  t.deepEqual(contents(bench), ['gain = 9\n', 'gain = 9\n', 'gain = 9\n']);
});

test('an agent that is to drive and has no key for it says so, and ends', async t => {
  const bench = await FleetBench.start(t, {nodes: 1});
  const [node] = bench.nodes;
  if (!node) throw new Error('there is no node');
  writeFileSync(node.config, readFileSync(node.config, 'utf8').replace(/^drive: .*$/m, ''));
  const {code, stderr} = await fleet(node, 'agent', '--drive');
  t.is(code, 77, stderr);
  t.regex(stderr, /orders have to be signed by one of driver: .*names no key to drive with/);
});

test('doctor reads the keys and asks etcd for a lease', async t => {
  const {desk} = await FleetBench.start(t, {nodes: 1});
  const env = {...process.env, ...desk.made.env, LOCKSMITH_FLEET: desk.config};
  const trusted = await desk.made.runUnder([], ['doctor'], {env});
  t.regex(
    trusted.stdout,
    /^ok +fleet +desk-alice in test, etcd answers on .*; plans of alice and orders of driver are believed$/m,
  );
  writeFileSync(desk.config, readFileSync(desk.config, 'utf8').replace(/^(operators|sign): .*\n/gm, ''));
  const open = await desk.made.runUnder([], ['doctor'], {env});
  t.regex(open.stdout, /^warn +fleet +.*plans of anybody/m);
});
