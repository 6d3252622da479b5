/** Is a machine that is gone for good no longer counted, and one that is not gone still? */
import test from 'ava';
import {fleet, FleetBench, type Place} from '../../helpers/fleet-bench.js';

interface Told {
  readonly nodes: readonly {readonly node: string; readonly state: string}[];
}

async function states(desk: Place): Promise<Record<string, string>> {
  const {nodes} = JSON.parse((await fleet(desk, 'nodes', '--json')).stdout) as Told;
  return Object.fromEntries(nodes.map(({node, state}) => [node, state]));
}

test('a silent node is forgotten, one that is UP is not, and one that comes back is known again', async t => {
  const bench = await FleetBench.start(t, {nodes: 2});
  const {desk} = bench;
  const [gone, stays] = bench.nodes;
  if (!gone || !stays) throw new Error('there are no nodes');
  const agent = await bench.agentHere(gone);
  await bench.agentHere(stays);

  const early = await fleet(desk, 'forget', gone.name);
  t.is(early.code, 75, early.stderr);
  t.regex(early.stderr, new RegExp(`${gone.name} is UP: end its agent first`));
  t.deepEqual(await states(desk), {[gone.name]: 'UP', [stays.name]: 'UP'});

  await agent.end();
  t.deepEqual(await states(desk), {[gone.name]: 'SILENT', [stays.name]: 'UP'});
  const wrong = await fleet(desk, 'forget', `${gone.name}x`);
  t.is(wrong.code, 64, wrong.stderr);
  t.regex(wrong.stderr, new RegExp(`is called ${gone.name}x; did you mean .*${gone.name}.*\\?`));

  const {code, stdout, stderr} = await fleet(desk, 'forget', gone.name);
  t.is(code, 0, stderr);
  t.is(stdout, `${gone.name} is forgotten: nobody waits for it any more\n`);
  t.deepEqual(await states(desk), {[stays.name]: 'UP'});
  const again = await fleet(desk, 'forget', gone.name, '--json');
  t.is(again.code, 64);
  t.like(JSON.parse(again.stderr), {error: {code: 'ERR_ARGUMENT'}});

  const back = await bench.agentHere(gone);
  t.deepEqual(await states(desk), {[gone.name]: 'UP', [stays.name]: 'UP'});
  await back.end();
  t.is((await fleet(desk, 'forget', gone.name, '--json')).stdout, `{"node":"${gone.name}"}\n`);
});
