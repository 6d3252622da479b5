/** What may be done by the page's loopback address? To look, from there; nothing else, whoever asks and whatever he calls the host. */
import {existsSync} from 'node:fs';
import {networkInterfaces} from 'node:os';
import {request as ask} from 'node:http';
import test from 'ava';
import {isLockError} from '../../lib/errors.js';
import {parseLoopback} from '../../lib/daemon/loopback.js';
import {actor} from '../helpers/actor.js';
import {bench} from '../helpers/cli.js';
import {askSocket, pageDaemon} from '../helpers/page-daemon.js';

interface Reply {
  readonly status: number | undefined;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly text: string;
}

/** One request with any Host header; the body of an event stream is not waited for. */
function http(
  url: string,
  {
    method = 'GET',
    host,
    headers = {},
  }: {method?: string; host?: string; headers?: Record<string, string>} = {},
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const sent = ask(
      url,
      {method, headers: {...headers, ...(host !== undefined && {host})}, agent: false},
      answer => {
        const {statusCode: status, headers: got} = answer;
        const end = (text: string) => resolve({status, headers: got, text});
        if (got['content-type'] === 'text/event-stream') {
          sent.destroy();
          return end('');
        }
        let text = '';
        answer.on('data', (chunk: Buffer) => (text += chunk.toString()));
        answer.on('end', () => end(text));
      },
    );
    sent.on('error', reject);
    sent.end();
  });
}

const LOOKS = [
  '/',
  '/main.js',
  '/style.css',
  '/icon.svg',
  '/v1/status',
  '/v1/locks',
  '/v1/locks/aim_lock_config',
  '/v1/holds',
  '/v1/audit',
  '/v1/events',
];

test('by loopback one looks, and nothing else', async t => {
  const made = bench(t);
  const owner = await actor(t, made);
  await owner.do('acquire');
  const {url} = await pageDaemon(made);
  for (const path of LOOKS) t.is((await http(new URL(path, url).href)).status, 200, path);
  const id = '/v1/holds/00000000-0000-4000-8000-000000000000';
  const acts = [
    ['POST', '/v1/locks/aim_lock_config/recovery'],
    ['POST', '/v1/locks/aim_lock_config/break-glass'],
    ['POST', '/v1/holds'],
    ['DELETE', id],
    ['GET', '/metrics'],
    ['GET', '/v1/openapi.json'],
  ] as const;
  for (const [method, path] of acts) {
    const {status, text} = await http(new URL(path, url).href, {method});
    t.is(status, 403, `${method} ${path}`);
    t.regex(text, /ERR_NOT_PERMITTED.*one can only look/);
  }
  for (const path of ['/nothing', '/..%2f..%2fetc/passwd', '/page/main.js', '/tsconfig.json', '/constructor'])
    t.is((await http(new URL(path, url).href)).status, 404, path);
  t.is((await askSocket<{state: string}>(t, made, '/v1/locks/aim_lock_config')).body.state, 'ALIVE');
});

test('no route of the daemon is open on loopback that is not meant to be', async t => {
  const made = bench(t);
  const {url} = await pageDaemon(made);
  const {body} = await askSocket<{paths: Record<string, Record<string, unknown>>}>(
    t,
    made,
    '/v1/openapi.json',
  );
  // Of a fleet there is nothing here to be seen.
  const looks = [...LOOKS, '/v1/fleet', '/v1/fleet/rollouts/{id}'];
  const meant = new Set(looks.map(path => path.replace('aim_lock_config', '{name}')));
  const routes = Object.entries(body.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map(method => [method, path] as const),
  );
  t.true(routes.length > 8);
  for (const [method, path] of routes) {
    const {status} = await http(new URL(path.replace(/\{\w+\}/, 'x'), url).href, {
      method: method.toUpperCase(),
    });
    if (method === 'get' && meant.has(path)) t.not(status, 403, path);
    else t.is(status, 403, `${method} ${path}`);
  }
});

test('only who names this address is answered, and no other site gets to read', async t => {
  const {url} = await pageDaemon(bench(t));
  const {host, port} = new URL(url);
  for (const name of [host, `localhost:${port}`]) t.is((await http(url, {host: name})).status, 200, name);
  const others = [
    'evil.example',
    `evil.example:${port}`,
    '127.0.0.1',
    'localhost',
    `127.0.0.2:${port}`,
    `${host}.evil.example`,
  ];
  for (const name of others) {
    for (const path of ['/', '/v1/locks', '/v1/events', '/nothing'])
      t.is((await http(new URL(path, url).href, {host: name})).status, 403, `${name} ${path}`);
  }
  for (const path of ['/', '/v1/locks', '/v1/events', '/nothing']) {
    const {headers} = await http(new URL(path, url).href, {headers: {origin: 'http://evil.example'}});
    t.deepEqual(
      Object.keys(headers).filter(name => name.startsWith('access-control')),
      [],
      path,
    );
    t.regex(
      String(headers['content-security-policy']),
      /^default-src 'none'; script-src 'self'; style-src 'self';/,
    );
    t.notRegex(String(headers['content-security-policy']), /unsafe|\*|https?:|data:/);
    t.like(headers, {'x-content-type-options': 'nosniff', 'cross-origin-resource-policy': 'same-origin'});
  }
});

test('the socket has the page too; a browser that somebody lets through to it only looks', async t => {
  const made = bench(t);
  await pageDaemon(made);
  const act = (headers: Record<string, string>) =>
    askSocket<{error: {code: string}}>(t, made, '/v1/locks/nothing/recovery', {method: 'POST', headers});
  for (const headers of [{origin: 'http://evil.example'}, {'sec-fetch-site': 'cross-site'}])
    t.like(await act(headers), {status: 403, body: {error: {code: 'ERR_NOT_PERMITTED'}}});
  t.like(await act({}), {status: 404, body: {error: {code: 'ERR_UNKNOWN_LOCK'}}});
  t.is((await askSocket(t, made, '/v1/locks', {headers: {origin: 'http://localhost'}})).status, 200);
});

test('the page is on loopback by IPv6 as well', async t => {
  if (!networkInterfaces()['lo']?.some(({address}) => address === '::1')) return void t.pass();
  const {url} = await pageDaemon(bench(t), {address: '[::1]:0'});
  t.regex(url, /^http:\/\/\[::1\]:\d+\/$/);
  t.is((await http(url)).status, 200);
});

test('what is no loopback address is refused before anything begins', async t => {
  const made = bench(t);
  for (const address of [
    '0.0.0.0:7357',
    '[::]:7357',
    '192.0.2.1:7357',
    'localhost:7357',
    '127.0.0.1',
    ':7357',
    '7357',
    '127.0.0.1:65536',
    '[::ffff:192.0.2.1]:7357',
    '127.1:7357',
    '',
  ]) {
    t.true(
      isLockError(
        t.throws(() => parseLoopback(address)),
        'ERR_ARGUMENT',
      ),
      address,
    );
  }
  t.like(await made.run(['daemon', '--page', '0.0.0.0:7357']), {code: 64, stdout: ''});
  t.false(existsSync(made.roots.run));
  t.deepEqual(parseLoopback('127.0.0.1:7357'), {host: '127.0.0.1', port: 7357});
  t.deepEqual(parseLoopback('[::1]:0'), {host: '::1', port: 0});
  t.deepEqual(parseLoopback('127.9.9.9:80'), {host: '127.9.9.9', port: 80});
});

test('without --page nothing listens but the socket', async t => {
  const made = bench(t);
  const started = made.start('daemon');
  await started.says('"msg":"ready"');
  t.is((await askSocket(t, made, '/v1/status')).status, 200);
  started.child.kill('SIGTERM');
  const {code, stderr} = await started.ended;
  t.is(code, 0);
  t.false(stderr.includes('"page"'));
  t.false(stderr.includes('Server listening'));
});
