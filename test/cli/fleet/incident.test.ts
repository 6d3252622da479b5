/** The incident on many machines: one node of the canary has a ghost. From the roll-out that it pauses to ALL CLEAR on every node, with the commands that people type. */
import {readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import test from 'ava';
import {auditRecords, verifyAudit} from '../../../lib/recovery/audit.js';
import {NAME, orphan} from '../../helpers/cli.js';
import {fleet, FleetBench} from '../../helpers/fleet-bench.js';

test('a ghost on the canary pauses the roll-out; recovered and promoted, it converges on all twelve', async t => {
  const bench = await FleetBench.start(t, {nodes: 12});
  const {desk, nodes} = bench;
  const [canary, ...others] = nodes;
  if (!canary) throw new Error('there is no node');
  const pid = await orphan(canary.made);
  await bench.agent(canary, '--drive');
  await Promise.all(others.map(node => bench.agentHere(node)));

  const next = join(desk.made.directory, `${NAME}.conf`);
  writeFileSync(next, 'gain = 9\n');
  const how = ['--canary', '1', '--steps', '50%,100%', '--soak', '100ms', '--where', 'role=node'];
  const started = await fleet(desk, 'rollout', 'start', next, ...how, '--reason', 'CR 1234');
  t.is(started.code, 75, started.stderr);
  const [, id = ''] = /^roll-out (\S+) of aim_lock_config: 9 bytes/m.exec(started.stdout) ?? [];
  t.regex(
    started.stdout,
    new RegExp(`canary  ${canary.name}  REFUSED_HOT  lock mismatch: ${NAME} HOT.*pid ${pid} on`),
  );
  t.regex(started.stderr, new RegExp(`^PAUSED: roll-out ${id} of ${NAME}`, 'm'));
  t.true(started.stderr.includes(`locksmith fleet rollout promote ${id}`));
  t.is(readFileSync(canary.made.file, 'utf8'), 'old\n');

  const {stdout: table} = await fleet(desk, 'nodes', '--where', 'role=node');
  t.is(table.trim().split('\n').length, 13);
  t.regex(table, new RegExp(`^${canary.name} +UP +.* ${NAME} DEAD \\(pid ${pid} on .*nightly tuning`, 'm'));

  const status = await fleet(desk, 'rollout', 'status', NAME);
  t.regex(
    status.stdout,
    new RegExp(`^ {4}-> on ${canary.name}: locksmith explain ${NAME}, then locksmith recover`, 'm'),
  );

  const recovered = await canary.made.run(['recover', NAME]);
  t.is(recovered.code, 0, recovered.stderr);
  const promoted = await fleet(desk, 'rollout', 'promote', id, '--reason', 'recovered', '--follow');
  t.is(promoted.code, 0, promoted.stderr);
  t.regex(promoted.stdout, /^ALL CLEAR: aim_lock_config converged on 12 nodes/m);

  for (const {name, made} of nodes) {
    t.is(readFileSync(made.file, 'utf8'), 'gain = 9\n', name);
    const {ok, problems} = await verifyAudit(made.roots.state);
    t.true(ok, `${name}: ${JSON.stringify(problems)}`);
    const events = new Set<string>();
    for await (const record of auditRecords(made.roots.state))
      if (record['rollout'] === id) events.add(record.event);
    t.true(events.has('fleet-applied'), `${name}: ${[...events].join(' ')}`);
  }
  const {code, stdout: log} = await canary.made.run(['log', '--verify']);
  t.is(code, 0);
  t.true(log.includes('the chain is whole'));
  const told = await canary.made.run(['log', NAME]);
  t.regex(told.stdout, new RegExp(`all-clear[^]*fleet-applied .*roll-out ${id}, epoch \\d+$`, 'm'));
});
