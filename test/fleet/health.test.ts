/** Is a node only called well when its probes saw it, and not called ill when they could not look? */
import {createServer, type RequestListener} from 'node:http';
import type {AddressInfo} from 'node:net';
import {once} from 'node:events';
import {existsSync, readFileSync} from 'node:fs';
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import type {Probe} from '../../lib/fleet/documents.js';
import {soak} from '../../lib/fleet/health.js';
import {metricValue} from '../../lib/fleet/metric-text.js';
import {runProbe} from '../../lib/fleet/probe.js';
import {waitForExit} from '../../lib/os/process.js';
import {monotonic} from '../../lib/os/deadline.js';
import {scratch} from '../helpers/scratch.js';

const AMPLE = 60_000;
const never = new AbortController().signal;

const command = (text: string, within = AMPLE): Probe => ({kind: 'command', command: text, within});

async function resultOf(probe: Probe): Promise<string> {
  return (await runProbe(probe, never)).result;
}

async function serve(t: ExecutionContext, answer: RequestListener): Promise<string> {
  const server = createServer(answer).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

test('a command passes by exit status 0, fails by another, and one that can not be run says nothing', async t => {
  t.is(await resultOf(command('true')), 'passed');
  t.is(await resultOf(command('exit 3')), 'failed');
  t.is(await resultOf(command('kill -SEGV $$')), 'failed');
  t.is(await resultOf(command('/no/such/program')), 'inconclusive');
  t.is(await resultOf(command('exit 126')), 'inconclusive');
});

test('what a command says is told, as much of it as a person reads', async t => {
  const answer = await runProbe(command('yes word | head -c 100000; echo the pump stands >&2; exit 1'), never);
  t.true('why' in answer);
  const {why} = answer as {why: string};
  t.regex(why, /exited with code 1: .*the pump stands/s);
  t.true(why.length < 1000);
});

test('a command that takes too long is killed with its whole group, and says nothing', async t => {
  const file = join(scratch(t).directory, 'pid');
  const answer = await runProbe(command(`sleep 1000 & echo $! > ${file}.new; mv ${file}.new ${file}; wait`, 2000), never);
  t.is(answer.result, 'inconclusive');
  t.true(existsSync(file));
  await waitForExit(Number(readFileSync(file, 'utf8')));
  t.pass();
});

test('an HTTP answer passes by 2xx; another status and a refused connection fail', async t => {
  const url = await serve(t, (request, response) => {
    response.writeHead(Number(request.url?.slice(1) || 200), {location: '/200'}).end('body');
  });
  const http = (path: string, base = url): Probe => ({kind: 'http', url: `${base}${path}`, within: AMPLE});
  t.is(await resultOf(http('')), 'passed');
  t.is(await resultOf(http('204')), 'passed');
  t.is(await resultOf(http('302')), 'failed');
  t.is(await resultOf(http('404')), 'failed');
  t.is(await resultOf(http('503')), 'failed');
  const gone = createServer().listen(0, '127.0.0.1');
  await once(gone, 'listening');
  const {port} = gone.address() as AddressInfo;
  gone.close();
  await once(gone, 'close');
  t.is(await resultOf(http('', `http://127.0.0.1:${port}/`)), 'failed');
});

test('no HTTP answer in time says nothing', async t => {
  const url = await serve(t, () => undefined);
  const answer = await runProbe({kind: 'http', url, within: 200}, never);
  t.is(answer.result, 'inconclusive');
});

const METRICS = `# HELP queue Jobs that wait.
# TYPE queue gauge
queue 3
requests_total{code="500",method="get"} 7 1712345678
requests_total{method="get",code="200"} 1e3
path{file="C:\\\\x \\"y\\" {z}"} +Inf
odd NaN
`;

test('a metric is compared with its threshold; one that is not there says nothing', async t => {
  const url = await serve(t, (_request, response) => response.end(METRICS));
  const metric = (name: string, compare: '<' | '>' | '==', threshold: number): Probe => ({
    kind: 'metric',
    url,
    metric: name,
    compare,
    threshold,
    within: AMPLE,
  });
  t.is(await resultOf(metric('queue', '<', 4)), 'passed');
  t.is(await resultOf(metric('queue', '>', 4)), 'failed');
  t.is(await resultOf(metric('queue', '==', 3)), 'passed');
  t.is(await resultOf(metric('requests_total{method="get",code="500"}', '<', 5)), 'failed');
  t.is(await resultOf(metric('requests_total{code="200",method="get"}', '==', 1000)), 'passed');
  t.is(await resultOf(metric('requests_total', '<', 5)), 'inconclusive');
  t.is(await resultOf(metric('odd', '<', 5)), 'inconclusive');
  t.is(await resultOf(metric('no_such', '<', 5)), 'inconclusive');
});

test('a metric with quotes and braces in its labels is found', t => {
  t.is(metricValue(METRICS, 'path{file="C:\\\\x \\"y\\" {z}"}'), Number.POSITIVE_INFINITY);
});

test('an answer without an end is not read to its end', async t => {
  const url = await serve(t, (_request, response) => {
    const line = Buffer.alloc(65_536, 'a');
    const more = () => {
      while (!response.destroyed && response.write(line));
    };
    response.on('drain', more);
    more();
  });
  const probe: Probe = {kind: 'metric', url, metric: 'a', compare: '<', threshold: 1, within: AMPLE};
  t.is(await resultOf(probe), 'inconclusive');
});

test('without a probe the soak time alone passes', async t => {
  const begin = monotonic();
  t.is((await soak([], 100, never)).result, 'passed');
  t.true(monotonic() - begin >= 99);
});

test('each probe runs at least once, and again until the time is over', async t => {
  const file = join(scratch(t).directory, 'runs');
  t.is((await soak([command(`echo run >> ${file}`)], 0, never)).result, 'passed');
  t.is(readFileSync(file, 'utf8'), 'run\n');
  t.is((await soak([command(`echo run >> ${file}`)], 500, never, 10)).result, 'passed');
  t.true(readFileSync(file, 'utf8').split('\n').length > 3);
});

test('the first failure ends the soak', async t => {
  const file = join(scratch(t).directory, 'runs');
  const begin = monotonic();
  const third = command(`echo run >> ${file}; test $(wc -l < ${file}) -lt 3`);
  const answer = await soak([command('true'), third], 100 * AMPLE, never, 10);
  t.is(answer.result, 'failed');
  t.is(readFileSync(file, 'utf8'), 'run\nrun\nrun\n');
  t.true(monotonic() - begin < 10 * AMPLE);
});

test('what could not be seen at first counts no more once it was seen', async t => {
  const file = join(scratch(t).directory, 'ran');
  const late = command(`test -e ${file} || { touch ${file}; exit 127; }`);
  t.is((await soak([late], 1000, never, 10)).result, 'passed');
  t.is((await soak([command('exit 127')], 50, never, 10)).result, 'inconclusive');
});

test('a soak that is cut short rejects with the reason, and leaves no command behind', async t => {
  const file = join(scratch(t).directory, 'pid');
  const controller = new AbortController();
  const soaking = soak([command(`echo $$ > ${file}.new; mv ${file}.new ${file}; sleep 1000`)], AMPLE, controller.signal);
  while (!existsSync(file)) await new Promise(resolve => setTimeout(resolve, 10));
  const reason = new Error('enough');
  controller.abort(reason);
  t.is(await t.throwsAsync(soaking), reason);
  await waitForExit(Number(readFileSync(file, 'utf8')));
});
