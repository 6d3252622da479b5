/** Is what a session says of a write true, whatever becomes of its answer? */
import test from 'ava';
import type {Etcd, Session} from '../../../lib/fleet/etcd/etcd.js';
import type {Ends} from '../../helpers/scratch.js';
import {Shared, startEtcd, type TestEtcd} from '../../helpers/etcd.js';
import {TcpProxy} from '../../helpers/tcp-proxy.js';

const ROUNDS = 15;

let store: TestEtcd;
const shared = new Shared();
test.before(async () => {
  store = await startEtcd(shared);
});
test.after.always(() => shared.end());

/** A client that reaches the one member by two ways. */
async function twoWays(t: Ends, prefix: string, timeout = 20_000): Promise<{ways: TcpProxy[]; etcd: Etcd}> {
  const port = store.members[0]?.port ?? 0;
  const ways = [await TcpProxy.to(t, port), await TcpProxy.to(t, port)];
  const endpoints = ways.map(({endpoint}) => endpoint);
  return {ways, etcd: await store.connect({endpoints, prefix, timeout}, t)};
}

/** What becomes of the way that these bytes take, when they come: once. */
function onceSeen(ways: readonly TcpProxy[], text: string, then: (way: TcpProxy) => void): void {
  for (const way of ways)
    way.onRequest = bytes => {
      if (!bytes.includes(text)) return;
      for (const each of ways) each.onRequest = undefined;
      then(way);
    };
}

/** Each write is applied once, although its way is hurt each time. */
async function writes(
  etcd: Etcd,
  session: Session,
  ways: readonly TcpProxy[],
  hurt: (way: TcpProxy) => void,
) {
  const outcomes = [];
  for (let round = 1; round <= ROUNDS; round++) {
    let before: number | undefined;
    onceSeen(ways, `round ${round}!`, way => {
      before = round;
      hurt(way);
    });
    const {applied} = await session.transact({
      when: [{key: `round/${round}`, exists: false}],
      then: [
        {put: 'count', value: `round ${round}!`},
        {put: `round/${round}`, value: ''},
      ],
    });
    const {value, version} = (await etcd.get('count')) ?? {};
    outcomes.push({round, hurt: before, applied, value: value?.toString(), version});
    for (const way of ways) {
      way.onLost = undefined;
      way.pass();
      await way.release();
      way.cut();
    }
  }
  return outcomes;
}

const EXPECTED = Array.from({length: ROUNDS}, (_, index) => {
  const round = index + 1;
  return {round, hurt: round, applied: true, value: `round ${round}!`, version: round};
});

test('a write whose answer is lost was done, once', async t => {
  const {ways, etcd} = await twoWays(t, '/answers/');
  const session = await etcd.session();
  t.deepEqual(
    await writes(etcd, session, ways, way => {
      way.onLost = () => way.cut();
      way.answers = 'lose';
    }),
    EXPECTED,
  );
});

test('a write that is lost itself is done all the same, once', async t => {
  const {ways, etcd} = await twoWays(t, '/requests/');
  const session = await etcd.session();
  t.deepEqual(
    await writes(etcd, session, ways, way => {
      way.onLost = () => way.cut();
      way.requests = 'lose';
    }),
    EXPECTED,
  );
});

test('a write that arrives late does nothing any more once its outcome was told', async t => {
  const {ways, etcd} = await twoWays(t, '/late/');
  const session = await etcd.session();
  t.deepEqual(
    await writes(etcd, session, ways, way => {
      way.requests = 'hold';
      setImmediate(() => way.cutClients());
    }),
    EXPECTED,
  );
  t.is((await etcd.get('count'))?.version, ROUNDS);
});

test('an outcome that can not be read back is told as unknown, and settled before the next write', async t => {
  const {ways, etcd} = await twoWays(t, '/unknown/', 3000);
  const session = await etcd.session();
  onceSeen(ways, 'first', way => {
    way.requests = 'hold';
    for (const other of ways) if (other !== way) other.blackHole();
  });
  const first = session.transact({when: [], then: [{put: 'first', value: 'first'}]});
  await t.throwsAsync(first, {code: 'ERR_OUTCOME_UNKNOWN', message: /may have been done.*no answer for/});
  const unsent = session.transact({when: [], then: [{put: 'unsent', value: ''}]});
  await t.throwsAsync(unsent, {code: 'ERR_STORE_UNREACHABLE'});
  for (const way of ways) {
    way.pass();
    await way.release();
    way.cut();
  }
  // That was in time: nothing had been settled yet.
  t.is((await etcd.get('first'))?.version, 1);
  t.true((await session.transact({when: [{key: 'first', exists: true}], then: []})).applied);
  t.is(await etcd.get('unsent'), undefined);
});

test('a write that was sent and then abandoned is settled before the next one', async t => {
  const {ways, etcd} = await twoWays(t, '/abandoned/', 6000);
  const session = await etcd.session();
  const abandoning = new AbortController();
  onceSeen(ways, 'first', way => {
    way.requests = 'hold';
    abandoning.abort(new Error('enough'));
  });
  const first = session.transact({when: [], then: [{put: 'first', value: 'first'}]}, abandoning);
  await t.throwsAsync(first, {code: 'ERR_OUTCOME_UNKNOWN', message: /enough/});
  for (const way of ways) way.pass();
  t.true((await session.transact({when: [], then: [{put: 'second', value: ''}]})).applied);
  for (const way of ways) await way.release();
  t.is(await etcd.get('first'), undefined);
  const never = session.transact({when: [], then: [{put: 'third', value: ''}]}, abandoning);
  await t.throwsAsync(never, {message: 'enough'});
  t.is(await etcd.get('third'), undefined);
});

test('a session whose lease was revoked behind its back can write nothing, and is lost', async t => {
  const etcd = await store.connect({prefix: '/revoked/'}, t);
  const session = await etcd.session();
  await etcd.revokeLease(session.lease);
  const write = session.transact({when: [], then: [{put: 'key', value: 'x'}]});
  await t.throwsAsync(write, {code: 'ERR_SESSION_LOST'});
  t.is(session.remaining(), 0);
  t.regex(String(session.signal.reason), /its lease is over/);
  t.is(await etcd.get('key'), undefined);
  await t.notThrowsAsync(session.close());
});

test('a session writes no more once it is closed, and closing is no loss', async t => {
  const etcd = await store.connect({prefix: '/closed/'}, t);
  const session = await etcd.session();
  const last = session.transact({when: [], then: [{put: 'key', value: 'x', lease: 'session'}]});
  await session.close();
  t.true((await last).applied);
  t.is(await etcd.get('key'), undefined);
  t.is(await etcd.leaseRemaining(session.lease), undefined);
  t.false(session.signal.aborted);
  const late = session.transact({when: [], then: []});
  await t.throwsAsync(late, {code: 'ERR_SESSION_LOST', message: /closed/});
});
