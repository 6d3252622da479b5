import {once} from 'node:events';
import test from 'ava';
import {actor} from '../../helpers/actor.js';
import {type Bench, bench, MAIN} from '../../helpers/cli.js';
import {askSocket, endDaemon, pageDaemon, writePolicy} from '../../helpers/page-daemon.js';
import type {Started} from '../../helpers/started.js';

/** A daemon, and a watch that hears it. */
async function watched(
  made: Bench,
  ...options: string[]
): Promise<{daemon: Awaited<ReturnType<typeof pageDaemon>>; watch: Started}> {
  const daemon = await pageDaemon(made);
  const watch = made.start('watch', ...options);
  await watch.line();
  return {daemon, watch};
}

/** `locksmith watch` on a terminal of its own; what is written to its stdin is typed there. */
function onTerminal(made: Bench): Started {
  const command = `stty rows 30 cols 120; exec ${process.execPath} ${MAIN} watch`;
  return made.startCommand(['script', '-qefc', command, '/dev/null'], {
    ...process.env,
    ...made.env,
    NO_COLOR: '1',
  });
}

/** How long the next row that has an owner says that he has it. */
async function nextAge(watch: Started): Promise<string> {
  for (;;) {
    const [, age] = /@\S+ +(\d[\d.]* m?s) /.exec(await watch.line()) ?? [];
    if (age !== undefined) return age;
  }
}

test('each event is a line: taken, alive, dead, left to people', async t => {
  const made = bench(t);
  const {watch} = await watched(made);
  const owner = await actor(t, made);
  await owner.do('acquire', {purpose: 'nightly tuning'});
  const who = `pid ${owner.pid} on `;
  t.true(await watch.reaches(`aim_lock_config  is watched, for ${made.file}`));
  t.true(await watch.reaches(`aim_lock_config  HOT: ${who}`));
  t.true(await watch.reaches(`aim_lock_config  ALIVE: ${who}`));
  await owner.kill();
  t.true(await watch.reaches(`aim_lock_config  the owner, ${who}`));
  t.true(await watch.reaches(`aim_lock_config  DEAD: ${who}`));
  t.true(await watch.reaches('left to people: locksmith recover'));
  watch.child.kill('SIGINT');
  const {code, stderr, stdout} = await watch.ended;
  t.is(code, 0);
  t.is(stderr, '');
  for (const line of stdout.trim().split('\n')) t.regex(line, /^\d{4}-\d\d-\d\dT[\d:.]+Z {2}\S/);
});

test('a recovery and a hold are lines too', async t => {
  const made = bench(t);
  writePolicy(made, 'locks:\n  aim_lock_config:\n    recover: automatic\n');
  const {watch} = await watched(made);
  const owner = await actor(t, made);
  await owner.do('acquire');
  await owner.kill();
  t.true(await watch.reaches('is being recovered: '));
  t.true(await watch.reaches('ALL CLEAR after'));
  await askSocket(t, made, '/v1/holds', {method: 'POST', body: {lock: made.name, for: 300, reason: 'disk'}});
  t.true(await watch.reaches('on hold for'));
  t.true(await watch.reaches('the hold has ended: deadline'));
});

test('with --json each event is a line of JSON, the status first', async t => {
  const made = bench(t);
  await pageDaemon(made);
  const watch = made.start('watch', '--json');
  const hello = JSON.parse(await watch.line()) as Record<string, unknown>;
  t.like(hello, {event: 'hello', status: {locks: 0}});
  const owner = await actor(t, made);
  await owner.do('acquire');
  const seen: Record<string, unknown>[] = [];
  while (seen.at(-1)?.['event'] !== 'verdict')
    seen.push(JSON.parse(await watch.line()) as Record<string, unknown>);
  t.like(seen[0], {event: 'appeared', lock: made.name, file: made.file});
  t.like(seen.at(-1), {lock: made.name, verdict: {state: 'ALIVE', owner: {pid: owner.pid}}});
});

test('without a daemon, and with one that ends, it ends with 69', async t => {
  const made = bench(t);
  const {code, stdout, stderr} = await made.run(['watch', '--json']);
  t.is(code, 69);
  t.is(stdout, '');
  const {error} = JSON.parse(stderr) as {error: Record<string, unknown>};
  t.like(error, {code: 'ERR_NO_DAEMON', path: `${made.roots.run}/daemon.sock`});
  t.is((await made.run(['watch', '--socket', `${made.directory}/none.sock`])).code, 69);
  const {daemon, watch} = await watched(made);
  await endDaemon(daemon);
  const ended = await watch.ended;
  t.is(ended.code, 69);
  t.regex(ended.stderr, /^locksmith: the daemon has ended/);
});

test('it ends when nobody reads any more', async t => {
  const made = bench(t);
  const {watch} = await watched(made);
  watch.child.stdout.destroy();
  await (await actor(t, made)).do('acquire');
  await once(watch.child, 'exit');
  t.is(watch.child.exitCode, 0);
});

test('on a terminal it redraws in place, waits for the next daemon, and gives the terminal back', async t => {
  const made = bench(t);
  const first = await pageDaemon(made);
  const watch = onTerminal(made);
  t.true(await watch.reaches('Locksmith on '));
  const owner = await actor(t, made);
  await owner.do('acquire', {purpose: 'nightly\u001b[2Jtuning'});
  t.true(await watch.reaches(`ALIVE  HOT  ${owner.pid}@`));
  t.true(await watch.reaches('nightly\\x1b[2Jtuning'));
  // The age counts on by itself.
  const age = await nextAge(watch);
  while ((await nextAge(watch)) === age);
  await endDaemon(first);
  t.true(await watch.reaches('CUT OFF since'));
  await owner.do('release');
  const next = await pageDaemon(made);
  t.true(await watch.reaches(`pid ${next.started.pid}`));
  t.true(await watch.reaches('aim_lock_config  FREE'));
  await askSocket(t, made, '/v1/holds', {method: 'POST', body: {lock: made.name, for: 60_000}});
  t.true(await watch.reaches('aim_lock_config  ends in '));
  watch.child.stdin.write('\u0003');
  const {code, stdout} = await watch.ended;
  t.is(code, 0);
  t.is(stdout.split('\u001b[2J').length, 2);
  t.true(stdout.trimEnd().endsWith('\u001b[?7h\u001b[?25h'));
});

test('on a terminal, too, it ends with 69 when there is no daemon, and leaves the terminal alone', async t => {
  const {code, stdout} = await onTerminal(bench(t)).ended;
  t.is(code, 69);
  t.true(stdout.includes('no daemon answers'));
  t.false(stdout.includes('\u001b[?25l'));
});
