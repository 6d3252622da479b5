/** What does a client read and write, on a store in good health? */
import test from 'ava';
import {Channels, Etcd} from '../../../lib/fleet/etcd/etcd.js';
import {Followed} from '../../helpers/followed.js';
import {PREFIX, Shared, startEtcd, type TestEtcd} from '../../helpers/etcd.js';
import {startProgram} from '../../helpers/program.js';
import {fixture} from '../../helpers/native.js';

let store: TestEtcd;

const shared = new Shared();
test.before(async () => {
  store = await startEtcd(shared);
});
test.after.always(() => shared.end());

test('what a session writes is read, listed and mirrored', async t => {
  const etcd = await store.connect({prefix: '/a/'}, t);
  t.is(await etcd.get('nodes/a'), undefined);
  const session = await etcd.session();
  const followed = await Followed.of(t, etcd, 'nodes/');
  t.is(followed.mirror.entries.size, 0);
  const bytes = Buffer.of(0, 255);
  const {applied, revision} = await session.transact({
    when: [{key: 'nodes/a', exists: false}],
    then: [
      {put: 'nodes/a', value: 'größer', lease: 'session'},
      {put: 'nodes/b', value: bytes},
      {put: 'nodes', value: 'not below'},
    ],
  });
  t.true(applied);
  const a = {
    key: 'nodes/a',
    modRevision: revision,
    createRevision: revision,
    version: 1,
    lease: session.lease,
  };
  t.like(await etcd.get('nodes/a'), {...a, value: Buffer.from('größer')});
  const listed = await etcd.list('nodes/');
  t.like(listed, {items: [a, {key: 'nodes/b', value: bytes, lease: '0'}]});
  t.is(listed.items.length, 2);
  t.true(listed.revision >= revision);
  await session.transact({when: [], then: [{delete: 'nodes/b'}]});
  await followed.until(() => followed.changes.length === 3);
  t.like(followed.changes[2], {key: 'nodes/b', value: undefined, before: {value: bytes}});
  t.deepEqual(followed.content, {'nodes/a': 'größer'});
  await session.close();
  await followed.until(() => followed.mirror.entries.size === 0);
  t.true(followed.mirror.current);
  t.deepEqual(followed.standings, []);
});

test('nothing is done when a compare fails, whatever it compares', async t => {
  const etcd = await store.connect({prefix: '/compares/'}, t);
  await using session = await etcd.session();
  const {revision} = await session.transact({when: [], then: [{put: 'there', value: '1'}]});
  const later = await session.transact({
    when: [{key: 'there', exists: true}],
    then: [{put: 'there', value: '2'}],
  });
  t.true(later.applied);
  const holds = [
    {key: 'there', modRevision: later.revision},
    {key: 'there', createRevision: revision},
    {key: 'missing', exists: false},
    {key: 'missing', modRevision: 0},
  ];
  for (const compare of holds)
    t.true((await session.transact({when: [compare], then: []})).applied, JSON.stringify(compare));
  const fails = [
    {key: 'there', modRevision: revision},
    {key: 'there', createRevision: later.revision},
    {key: 'there', exists: false},
    {key: 'missing', exists: true},
  ];
  for (const compare of fails) {
    const {applied} = await session.transact({when: [compare], then: [{put: 'there', value: '3'}]});
    t.false(applied, JSON.stringify(compare));
  }
  t.is((await etcd.get('there'))?.value.toString(), '2');
  const twice = session.transact({when: [], then: [{delete: 'there'}, {put: 'there', value: '3'}]});
  await t.throwsAsync(twice, {code: 'ERR_STORE_ANSWER', message: /duplicate key/});
  const unknownLease = session.transact({when: [], then: [{put: 'there', value: '3', lease: '4711'}]});
  await t.throwsAsync(unknownLease, {code: 'ERR_STORE_ANSWER', message: /lease not found/});
  const large = session.transact({when: [], then: [{put: 'there', value: Buffer.alloc(2 << 20)}]});
  await t.throwsAsync(large, {code: 'ERR_TOO_LARGE'});
  t.true((await session.transact({when: [], then: [{delete: 'there'}]})).applied);
});

test('all below a prefix is deleted at once, and nothing else', async t => {
  const etcd = await store.connect({prefix: '/prefixes/'}, t);
  await using session = await etcd.session();
  const puts = ['r/1', 'r/1/', 'r/1/a', 'r/1/nodes/b', 'r/10/a', 'r/2/a'].map(put => ({put, value: 'x'}));
  const {revision} = await session.transact({when: [], then: puts});
  const then = [{deletePrefix: 'r/1/'}, {delete: 'r/2/a'}];
  const early = await session.transact({when: [{key: 'r/1/a', notAfter: revision - 1}], then});
  t.false(early.applied);
  const when = ['r/1/a', 'not there'].map(key => ({key, notAfter: revision}));
  t.true((await session.transact({when, then})).applied);
  t.deepEqual(
    (await etcd.list('r/')).items.map(({key}) => key),
    ['r/1', 'r/10/a'],
  );
  // The receipt would go with it.
  const everything = session.transact({when: [], then: [{deletePrefix: ''}]});
  await t.throwsAsync(everything, {code: 'ERR_STORE_ANSWER', message: /duplicate key/});
  t.true((await session.transact({when: [], then: []})).applied);
});

test('a list is of one revision, however many keys come and go while it is read', async t => {
  const etcd = await store.connect({prefix: '/list/'}, t);
  const session = await etcd.session();
  const names = Array.from({length: 300}, (_, index) => `k/${String(index).padStart(3, '0')}`);
  for (let from = 0; from < names.length; from += 100) {
    const then = names.slice(from, from + 100).map(put => ({put, value: '1'}));
    await session.transact({when: [], then});
  }
  const listing = etcd.list('k/');
  const last = names.at(-1) ?? '';
  const changed = session.transact({when: [], then: [{put: last, value: '2'}, {delete: names[200] ?? ''}]});
  const [{items, revision}, later] = await Promise.all([listing, changed]);
  const isOld = revision < later.revision;
  t.is(items.length, isOld ? 300 : 299);
  t.is(items.at(-1)?.value.toString(), isOld ? '1' : '2');
  t.deepEqual((await etcd.list('k/00')).items.length, 10);
});

test('a lease that nobody keeps lasts as long as it was granted for, or until it is revoked', async t => {
  const etcd = await store.connect({prefix: '/leases/'}, t);
  await using session = await etcd.session();
  const {id} = await etcd.grantLease(100);
  t.true(((await etcd.leaseRemaining(id)) ?? 0) > 50_000);
  await session.transact({when: [], then: [{put: 'hold', value: 'x', lease: id}]});
  t.is((await etcd.get('hold'))?.lease, id);
  await etcd.revokeLease(id);
  t.is(await etcd.get('hold'), undefined);
  t.is(await etcd.leaseRemaining(id), undefined);
  await t.notThrowsAsync(etcd.revokeLease(id));
});

test('transactions of a session are done one after the other', async t => {
  const etcd = await store.connect({prefix: '/order/'}, t);
  await using session = await etcd.session();
  const writes = Array.from({length: 50}, (_, index) =>
    session.transact({when: [], then: [{put: 'key', value: String(index)}]}),
  );
  const revisions = (await Promise.all(writes)).map(({revision}) => revision);
  t.deepEqual(
    revisions,
    revisions.toSorted((a, b) => a - b),
  );
  t.is((await etcd.get('key'))?.value.toString(), '49');
});

test('an endpoint, a prefix or channels that can not be meant are refused', async t => {
  const wrong = ['127.0.0.1:2379', 'http://127.0.0.1', 'ftp://a:1', 'http://user@a:1', 'http://a:1/path', ''];
  for (const endpoint of wrong) {
    const error = await t.throwsAsync(
      Etcd.connect({endpoints: [endpoint], prefix: PREFIX}),
      undefined,
      endpoint,
    );
    t.like(error, {code: 'ERR_FLEET_CONFIG'});
  }
  const none = Etcd.connect({endpoints: [], prefix: PREFIX});
  await t.throwsAsync(none, {code: 'ERR_FLEET_CONFIG'});
  await t.throwsAsync(store.connect({prefix: ''}, t), {code: 'ERR_FLEET_CONFIG'});
  const plain = store.connect({tls: {ca: Buffer.from('')}}, t);
  await t.throwsAsync(plain, {code: 'ERR_FLEET_CONFIG', message: /is not https/});
  using channels = new Channels({endpoints: ['http://127.0.0.1:1']});
  const other = store.connect({channels}, t);
  await t.throwsAsync(other, {code: 'ERR_FLEET_CONFIG', message: /lead to/});
});

test('many clients share their connections, and one that closes leaves them to the others', async t => {
  const {endpoints} = store;
  using channels = new Channels({endpoints});
  const clients = await Promise.all(
    Array.from({length: 50}, () => store.connect({prefix: '/shared/', channels}, t)),
  );
  const followed = await Promise.all(clients.map(etcd => Followed.of(t, etcd, 'now/')));
  await clients[1]?.close();
  followed.splice(1, 1);
  const session = await clients[0]?.session();
  await session?.transact({when: [], then: [{put: 'now/x', value: '1'}]});
  await Promise.all(followed.map(each => each.until(() => each.changes.length === 1)));
  t.is(followed.length, 49);
  for (const {content} of followed) t.deepEqual(content, {'now/x': '1'});
  await t.throwsAsync(clients[1]?.get('x') ?? Promise.resolve());
  await Promise.all(clients.map(etcd => etcd.close()));
});

test('a process ends by itself once its client is closed', async t => {
  const program = startProgram(t, process.execPath, fixture('etcd-client'), store.endpoints.join(','));
  t.is(await program.line(), 'followed');
  const {code, stderr} = await program.ended;
  t.is(stderr, '');
  t.is(code, 0);
});
