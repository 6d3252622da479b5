import {existsSync, rmSync} from 'node:fs';
import test from 'ava';
import {bench} from '../../helpers/cli.js';

test('the incident ends with ALL CLEAR, and its scratch directory is gone', async t => {
  const {code, stdout, stderr} = await bench(t).run(['demo']);
  t.is(code, 0, stderr);
  t.is(stdout.trimEnd().split('\n').at(-1), 'ALL CLEAR');
  t.true(stdout.includes('ERROR: aim_lock_config.conf: HOT'));
  const directory = /three nodes below (\S+)/.exec(stdout)?.[1] ?? '';
  t.true(directory.includes('locksmith-demo-'));
  t.false(existsSync(directory));
});

test('with --json each event is a line, and --keep keeps the directory', async t => {
  const {code, stdout} = await bench(t).run(['demo', '--json', '--keep']);
  t.is(code, 0);
  const events = stdout
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as {who: string; what: string});
  t.is(events.at(-1)?.what, 'ALL CLEAR');
  const directory = /below ([^ ,]+)/.exec(events[0]?.what ?? '')?.[1] ?? '';
  t.true(existsSync(directory));
  rmSync(directory, {recursive: true});
});

for (const [when, event] of [
  ['at its beginning', 'orchestrator'],
  ['in the middle of the recovery', 'recover '],
] as const)
  test(`Ctrl-C ${when} ends it at once, with its processes and its directory`, async t => {
    const demo = bench(t).start('demo');
    const directory = /three nodes below (\S+)/.exec(await demo.line())?.[1] ?? '';
    while (!(await demo.line()).includes(event));
    demo.child.kill('SIGINT');
    const {code, stderr} = await demo.ended;
    t.is(code, 130, stderr);
    t.false(existsSync(directory));
  });
