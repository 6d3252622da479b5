/** Does the daemon answer what its description says, to whom it may, and is bad input refused with nothing lost? Over its real socket. */
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {chmodSync, existsSync, readFileSync, statSync, writeFileSync} from 'node:fs';
import {connect, type Socket} from 'node:net';
import {fileURLToPath} from 'node:url';
import {Agent, request} from 'undici';
import test, {type ExecutionContext} from 'ava';
import {
  certificateSchema,
  failureSchema,
  holdSchema,
  lockSchema,
  statusSchema,
  verdictSchema,
} from '../../lib/daemon/api.js';
import {DaemonClient} from '../../lib/daemon/client.js';
import type {State} from '../../lib/recovery/verdict.js';
import {LIMITS} from '../../lib/daemon/server.js';
import {monotonic} from '../../lib/os/deadline.js';
import {actor} from '../helpers/actor.js';
import {daemon, startDaemon, type TestDaemon} from '../helpers/daemon.js';
import {testAsRoot} from '../helpers/here.js';
import {openScratch, type Scratch, scratch} from '../helpers/scratch.js';

const NAME = 'aim_lock_config';
const NOBODY = 65_534;

interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown> & {
    readonly error?: {readonly code?: string; readonly message: string};
  };
}

/** Asks as a program would that is not ours: method, path, and any text as the body. */
async function ask(
  t: ExecutionContext,
  {client}: TestDaemon,
  method: 'GET' | 'POST' | 'DELETE',
  path: string,
  body?: string,
): Promise<Answer> {
  const dispatcher = new Agent({connect: {socketPath: client.socket}});
  t.teardown(() => dispatcher.destroy());
  const answer = await request(`http://localhost${path}`, {
    method,
    dispatcher,
    headers: body === undefined ? {} : {'content-type': 'application/json'},
    body: body ?? null,
  });
  const text = await answer.body.text();
  return {status: answer.statusCode, body: text === '' ? {} : (JSON.parse(text) as Answer['body'])};
}

async function made(
  t: ExecutionContext,
  setting?: Parameters<typeof daemon>[2],
): Promise<{place: Scratch; it: TestDaemon}> {
  const place = scratch(t);
  await openScratch(place);
  return {place, it: await daemon(t, place, setting)};
}

test('docs/openapi.json is what the daemon says of itself', async t => {
  const {it} = await made(t);
  const {body} = await ask(t, it, 'GET', '/v1/openapi.json');
  const page = fileURLToPath(new URL('../../../docs/openapi.json', import.meta.url));
  t.deepEqual(JSON.parse(readFileSync(page, 'utf8')), body, 'npm run docs:openapi writes it anew');
});

test('each answer is as described, whatever the state of the lock', async t => {
  const {place, it} = await made(t);
  const check = async (state: State) => {
    const verdict = await ask(t, it, 'GET', `/v1/locks/${NAME}`);
    t.is(verdictSchema.parse(verdict.body).state, state);
    const list = await ask(t, it, 'GET', '/v1/locks');
    t.like(lockSchema.array().parse(list.body)[0], {name: NAME, state, hot: state !== 'FREE'});
  };
  await check('FREE');
  const owner = await actor(t, place);
  await owner.do('acquire', {purpose: 'tuning "ä" <b>'});
  await check('ALIVE');
  owner.stop();
  await check('FROZEN');
  await owner.kill();
  await check('DEAD');
  const certificate = await ask(t, it, 'POST', `/v1/locks/${NAME}/recovery`);
  t.is(certificate.status, 200);
  t.is(certificateSchema.parse(certificate.body).lock, NAME);
  await check('FREE');
  const hold = await ask(t, it, 'POST', '/v1/holds', JSON.stringify({lock: NAME, for: 60_000}));
  t.is(hold.status, 201);
  const {id} = holdSchema.parse(hold.body);
  t.is(statusSchema.parse((await ask(t, it, 'GET', '/v1/status')).body).holds, 1);
  t.is(holdSchema.array().parse((await ask(t, it, 'GET', '/v1/holds')).body)[0]?.id, id);
  t.deepEqual(await ask(t, it, 'DELETE', `/v1/holds/${id}`), {status: 204, body: {}});
  t.like(await ask(t, it, 'DELETE', `/v1/holds/${id}`), {status: 404});
  writeFileSync(`${place.roots.run}/locks/${NAME}/owner`, 'torn');
  t.is(verdictSchema.parse((await ask(t, it, 'GET', `/v1/locks/${NAME}`)).body).state, 'UNKNOWN');
});

const BREAK = `/v1/locks/${NAME}/break-glass`;

/** What is asked, and how it is refused. */
const BAD = [
  ['an unknown lock', 'GET', '/v1/locks/nobody', undefined, 404, 'ERR_UNKNOWN_LOCK', /nobody/],
  ['a name that is none', 'GET', '/v1/locks/..%2f..', undefined, 404, 'ERR_UNKNOWN_LOCK', /\.\./],
  ['an unknown path', 'GET', '/v2', undefined, 404, 'ERR_ARGUMENT', /GET \/v2/],
  [
    'an unknown field',
    'POST',
    '/v1/holds',
    `{"lock":"${NAME}","wat":1}`,
    400,
    'ERR_ARGUMENT',
    /additional properties|wat/,
  ],
  ['a missing field', 'POST', BREAK, '{"owner":1,"epoch":1}', 400, 'ERR_ARGUMENT', /reason/],
  ['text for a number', 'POST', '/v1/holds', `{"lock":"${NAME}","for":"90000"}`, 400, 'ERR_ARGUMENT', /for/],
  [
    'a hold of two days',
    'POST',
    '/v1/holds',
    `{"lock":"${NAME}","for":172800000}`,
    400,
    'ERR_ARGUMENT',
    /for/,
  ],
  ['no JSON', 'POST', '/v1/holds', '{"lock":', 400, 'ERR_ARGUMENT', /JSON/],
  [
    'a body of 100 kB',
    'POST',
    '/v1/holds',
    JSON.stringify({lock: 'x'.repeat(1e5)}),
    413,
    'ERR_ARGUMENT',
    /large/,
  ],
  [
    'a poisoned object',
    'POST',
    '/v1/holds',
    `{"lock":"${NAME}","__proto__":{"for":1}}`,
    400,
    'ERR_ARGUMENT',
    /JSON/,
  ],
  ['a recovery of a free lock', 'POST', `/v1/locks/${NAME}/recovery`, undefined, 409, 'ERR_NOT_DEAD', /free/],
  [
    'force against another owner',
    'POST',
    BREAK,
    '{"owner":1,"epoch":1,"reason":"because"}',
    409,
    'ERR_NOT_DEAD',
    /free/,
  ],
  ['a hold on nothing', 'POST', '/v1/holds', '{"lock":"nobody"}', 404, 'ERR_UNKNOWN_LOCK', /nobody/],
  ['the end of no hold', 'DELETE', '/v1/holds/1', undefined, 404, 'ERR_UNKNOWN_HOLD', /1/],
  ['too many lines', 'GET', '/v1/audit?last=1000', undefined, 400, 'ERR_ARGUMENT', /last/],
] as const;

test('bad input is refused, each with its status and reason, and changes nothing', async t => {
  const {it} = await made(t);
  for (const [what, method, path, body, status, code, message] of BAD) {
    const answer = await ask(t, it, method, path, body);
    t.is(answer.status, status, `${what}: ${JSON.stringify(answer.body)}`);
    const {error} = failureSchema.parse(answer.body);
    t.is(error.code, code, what);
    t.regex(error.message, message, what);
    t.is(typeof error['advice'], 'string', what);
  }
  t.like(await it.client.status(), {locks: 1, holds: 0});
  t.deepEqual(await it.client.audit(), []);
  const {stdout, stderr} = await it.end();
  t.notRegex(stdout + stderr, /"level":"error"/);
});

test('a process that asks and asks is told to wait', async t => {
  const {it} = await made(t);
  const socket = connect(it.client.socket).setEncoding('utf8');
  // One after the other without waiting for answers: on a slow machine nothing else is fast enough.
  socket.write('GET /v1/status HTTP/1.1\r\nhost: localhost\r\n\r\n'.repeat(2 * LIMITS.rate));
  let seen = '';
  for await (const answers of socket as AsyncIterable<string>) {
    seen = seen.slice(-1000) + answers;
    if (seen.includes('HTTP/1.1 429 ')) break;
  }
  t.regex(seen, /HTTP\/1\.1 429 /);
  await t.throwsAsync(it.client.status(), {code: 'ERR_DAEMON_ANSWER', message: /too many requests/});
});

test('a body of 10 MB is not taken in', async t => {
  const {it} = await made(t);
  const outcome = await ask(t, it, 'POST', '/v1/holds', JSON.stringify({lock: 'x'.repeat(1e7)})).catch(
    (error: unknown) => error as {code: string},
  );
  // The answer is there before the body has been sent; whoever goes on sending finds the door shut.
  t.true('status' in outcome ? outcome.status === 413 : ['EPIPE', 'ECONNRESET'].includes(outcome.code));
  t.like(await it.client.status(), {locks: 1});
});

test('half a request is cut off, and keeps nobody else waiting', async t => {
  const {it} = await made(t);
  const socket: Socket = connect(it.client.socket);
  t.teardown(() => socket.destroy());
  socket.write(
    'POST /v1/holds HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"lock"',
  );
  await once(socket, 'connect');
  t.like(await it.client.status(), {locks: 1});
  let text = '';
  socket.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  await once(socket, 'close');
  t.regex(text, /^(HTTP\/1\.1 408|$)/);
});

test('a thousand clients at once are answered', async t => {
  const {it} = await made(t);
  const clients = Array.from({length: 1000}, () => new DaemonClient(it.client.socket));
  const answers = await Promise.all(clients.map(client => client.status()));
  t.is(answers.filter(({pid}) => pid === it.pid).length, 1000);
  await Promise.all(clients.map(client => client.close()));
});

test('a listener that reads nothing is cut off, and the daemon goes on', async t => {
  const {place, it} = await made(t);
  const socket = connect(it.client.socket);
  t.teardown(() => socket.destroy());
  socket.write('GET /v1/events HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n\r\n');
  await once(socket, 'readable');
  const events = await it.listen();
  t.is((await it.client.status()).listeners, 2);
  const owner = await actor(t, place);
  // More than the buffers of the socket and of the daemon take.
  let listeners = 2;
  for (let round = 0; round < 20_000 && listeners === 2; round++) {
    await owner.do('acquire');
    await owner.do('release');
    if (round % 100 === 99) ({listeners} = await it.client.status());
    if (round % 100 === 0) await events.until('changed');
  }
  t.is(listeners, 1);
});

testAsRoot('who may connect looks; only root and whom the policy names takes back', async t => {
  const {place, it} = await made(t, {
    policy: 'locks:\n  "*":\n    recover: manual\n    break-glass: [daemon]\n',
  });
  t.is(statSync(it.client.socket).mode & 0o777, 0o660);
  chmodSync(place.directory, 0o755);
  chmodSync(it.client.socket, 0o666);
  const owner = await actor(t, place);
  await owner.do('acquire');
  await owner.kill();
  const program = fileURLToPath(new URL('../fixtures/ask-daemon.js', import.meta.url));
  const askAs = async (
    uid: number,
    method: string,
    path: string,
    body: object | null = null,
  ): Promise<Answer> => {
    const asked = {socket: it.client.socket, uid, groups: [], method, path, body};
    const child = spawn(process.execPath, [program, JSON.stringify(asked)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    await once(child, 'close');
    return JSON.parse(text) as Answer;
  };
  t.like(await askAs(NOBODY, 'GET', `/v1/locks/${NAME}`), {
    status: 200,
    body: {state: 'DEAD', complete: true},
  });
  const recovery = `/v1/locks/${NAME}/recovery`;
  const refused = await askAs(NOBODY, 'POST', recovery);
  t.is(refused.status, 403);
  t.regex(refused.body.error?.message ?? '', /only root or daemon may recover .*; this is uid 65534/);
  t.is((await askAs(NOBODY, 'POST', '/v1/holds', {lock: NAME})).status, 403);
  const epoch = (await it.client.examine(NAME)).epoch;
  const force = {owner: owner.pid, epoch, reason: 'because I can'};
  t.is((await askAs(NOBODY, 'POST', BREAK, force)).status, 403);
  t.like(await it.client.examine(NAME), {state: 'DEAD', epoch});
  const daemonUser = Number(/^daemon:[^:]*:(\d+):/m.exec(readFileSync('/etc/passwd', 'utf8'))?.[1]);
  const hold = await askAs(daemonUser, 'POST', '/v1/holds', {lock: NAME, for: 60_000});
  // Its holder has ended when it has said this; its hold ends with it.
  t.is(hold.status, 201);
  const recovered = await askAs(daemonUser, 'POST', recovery);
  t.is(recovered.status, 200, JSON.stringify(recovered.body));
  t.regex(String(recovered.body['reason']), new RegExp(`asked for by uid ${daemonUser},`));
});

/** Reads one figure of a daemon. */
function figures({client}: TestDaemon): (name: string) => Promise<number> {
  return async name => {
    const lines = (await client.metrics()).split('\n');
    return Number(lines.find(line => line.startsWith(`${name} `))?.split(' ')[1]);
  };
}

test('how long a lock is waited for and held is counted, also where the next owner comes at once', async t => {
  const {place, it} = await made(t);
  const config = await openScratch(place);
  const figure = figures(it);
  const events = await it.listen();
  const first = await config.acquire();
  for (let epoch: unknown; epoch !== first.epoch; ) ({epoch} = await events.until('changed', NAME));
  const asked = monotonic();
  const waiting = config.acquire();
  const before = await figure('locksmith_lock_wait_seconds_sum');
  await first.release();
  const second = await waiting;
  const atMost = monotonic() - asked;
  for (let epoch: unknown; epoch !== second.epoch; ) ({epoch} = await events.until('changed', NAME));
  t.is(await figure('locksmith_lock_held_seconds_count'), 1);
  t.is(await figure('locksmith_lock_wait_seconds_count'), 2);
  const waited = 1000 * ((await figure('locksmith_lock_wait_seconds_sum')) - before);
  t.true(waited > 0.5 && waited < atMost + 1, `${waited} of ${atMost} ms`);
  await second.release();
  for (let bit: unknown; bit !== 0; ) ({bit} = await events.until('changed', NAME));
  t.is(await figure('locksmith_lock_held_seconds_count'), 2);
});

test('what is taken back on request is counted and told, and the lock is seen as it is then', async t => {
  const {place, it} = await made(t);
  const figure = figures(it);
  const events = await it.listen();
  const owner = await actor(t, place);
  await owner.do('acquire');
  await owner.kill();
  await events.until('orphan', NAME);
  t.true((await figure('locksmith_stale_lock_age_seconds')) > 0);
  await it.client.recover(NAME);
  t.like(((await events.until('recovered', NAME)) as {certificate: object}).certificate, {forced: false});
  t.is(await figure('locksmith_stale_lock_age_seconds'), 0);
  t.is(await figure('locksmith_recoveries_total{outcome="recovered"}'), 1);
  const living = await actor(t, place);
  const {epoch} = (await living.do('acquire')) as unknown as {epoch: number};
  await it.client.breakGlass(NAME, {owner: living.pid, epoch, reason: 'to count it'});
  t.like(((await events.until('recovered', NAME)) as {certificate: object}).certificate, {forced: true});
  t.is(await figure('locksmith_break_glass_total'), 1);
  t.like((await it.client.locks())[0], {state: 'FREE', hot: false});
});

test('a socket that a killed daemon left is replaced; what is no socket is not', async t => {
  const {place, it} = await made(t);
  await it.kill();
  t.true(existsSync(it.client.socket));
  await t.throwsAsync(new DaemonClient(it.client.socket).status(), {code: 'ERR_NO_DAEMON'});
  const next = await daemon(t, place);
  t.like(await next.client.status(), {pid: next.pid});
  t.is((await next.end()).code, 0);
  t.false(existsSync(it.client.socket));
  await t.throwsAsync(new DaemonClient(it.client.socket).status(), {code: 'ERR_NO_DAEMON'});
  writeFileSync(it.client.socket, 'precious');
  const refused = await startDaemon(t, place).ended;
  t.is(refused.code, 64);
  t.is(readFileSync(it.client.socket, 'utf8'), 'precious');
});

test('a RUN that others can write to is refused', async t => {
  const place = scratch(t);
  await openScratch(place);
  chmodSync(place.roots.run, 0o777);
  const {code, stderr} = await startDaemon(t, place).ended;
  t.is(code, 77);
  t.regex(stderr, /can not be trusted/);
});
