import {fileURLToPath} from 'node:url';
import test from 'ava';
import {parseQuiesce, QUIESCE_OPTION} from '../../lib/cli/quiesce.js';
import {cgroup, goesOn, isFrozen, noCgroups, read, startOrchestrator} from '../helpers/cgroup.js';
import {bench, guardedBench, orphan, untilFree} from '../helpers/cli.js';
import {testWith} from '../helpers/here.js';
import {startProgram} from '../helpers/program.js';
import {noSystemd, startSystemd} from '../helpers/systemd.js';

test('an adapter is a freezer or a unit; a unit is frozen unless it says otherwise', t => {
  const unit = (name: string, how: 'freeze' | 'stop') => ({kind: 'unit' as const, unit: name, how});
  t.deepEqual(parseQuiesce('freezer:/sys/fs/cgroup/a:b'), {kind: 'freezer', cgroup: '/sys/fs/cgroup/a:b'});
  t.deepEqual(parseQuiesce('unit:aim.service'), unit('aim.service', 'freeze'));
  t.deepEqual(parseQuiesce('unit:aim.service:freeze'), unit('aim.service', 'freeze'));
  t.deepEqual(parseQuiesce('unit:aim@a:b.service:stop'), unit('aim@a:b.service', 'stop'));
});

test('several come to a list', t => {
  const all = ['unit:a', 'unit:b:stop'].reduce<unknown>(
    (before, text) => QUIESCE_OPTION.parse?.(text, before),
    undefined,
  );
  t.like(all, {0: {unit: 'a'}, 1: {unit: 'b'}, length: 2});
});

test('what is none is refused', t => {
  for (const text of [
    '',
    'freezer',
    'freezer:',
    'freezer:relative',
    'unit:',
    'unit::stop',
    'unit:/a',
    'command:x',
  ])
    t.throws(() => parseQuiesce(text), undefined, text);
});

testWith(noCgroups, 'a hold shows who was stopped, and by which sign', async t => {
  const made = await guardedBench(t);
  const directory = cgroup(t);
  const orchestrator = await startOrchestrator(t, directory);
  const hold = made.start('hold', made.name, '--for', '60s', '--quiesce', `freezer:${directory}`);
  t.regex(await hold.line(), /^HOLD aim_lock_config: acknowledged after/);
  t.regex(await hold.line(), /^ {2}freezer .*: cgroup\.events says frozen 1, after .*s$/);
  t.true(isFrozen(directory));
  hold.child.kill('SIGINT');
  t.like(await hold.ended, {code: 0});
  await goesOn(orchestrator);
  const refused = await made.run(['hold', made.name, '--quiesce', `freezer:${made.directory}`]);
  t.is(refused.code, 1);
  t.regex(refused.stderr, /it is not the directory of a cgroup v2 with a freezer\n {2}next: /);
  t.is((await made.run(['hold', made.name, '--quiesce', 'freezer'])).code, 64);
});

testWith(noCgroups, 'a recovery shows it in its step', async t => {
  const made = bench(t);
  await orphan(made);
  const directory = cgroup(t);
  await startOrchestrator(t, directory);
  const {code, stdout} = await made.run(['recover', made.name, '--quiesce', `freezer:${directory}`]);
  t.is(code, 0);
  t.regex(stdout, /^ +freezer .*: cgroup\.events says frozen 1, after .*$/m);
  t.is(read(directory, 'cgroup.freeze'), '0');
});

testWith(
  noSystemd,
  'what does not go on after ALL CLEAR is told beside it, and after a failure beside that',
  async t => {
    const made = bench(t);
    const systemd = await startSystemd(t, made.directory);
    const main = fileURLToPath(new URL('../../lib/cli/main.js', import.meta.url));
    const roots = Object.entries(made.roots).map(([root, path]) => `LOCKSMITH_${root.toUpperCase()}=${path}`);
    const run = (...words: string[]) =>
      startProgram(t, ...systemd.inside, 'env', ...roots, process.execPath, main, ...words).finish();
    const recover = async (status: number) => {
      systemd.define('aim.service', '[Service]\nExecStart=/bin/sleep infinity\n');
      systemd.ctl('start', 'aim.service');
      // An owner among the processes that the recovery can see.
      await run('run', made.file, '--', 'sh', '-c', 'kill -9 $PPID $$');
      await untilFree(made);
      const unit = `${made.directory}/units/aim.service`;
      const breakIt = `printf '[Service]\\nType=oneshot\\nExecStart=/bin/false\\n' > ${unit}; systemctl daemon-reload; exit ${status}`;
      return run('recover', made.name, '--quiesce', 'unit:aim.service:stop', '--validate', breakIt);
    };
    const clear = await recover(0);
    t.is(clear.code, 2);
    t.regex(clear.stdout, /^ALL CLEAR: aim_lock_config after /m);
    t.regex(clear.stderr, /does not go on: unit aim\.service .*by hand: systemctl start aim\.service/);
    const refused = await recover(1);
    t.is(refused.code, 2);
    t.notRegex(refused.stdout, /ALL CLEAR/);
    t.regex(refused.stderr, /could not be made consistent|validat[^]*does not go on/);
  },
);
