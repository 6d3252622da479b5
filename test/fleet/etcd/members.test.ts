/** Does a client go on while members are killed, stopped, isolated or hang, and does it know when it can not? */
import {once} from 'node:events';
import {setTimeout as pause} from 'node:timers/promises';
import test, {type ExecutionContext} from 'ava';
import type {Etcd, EtcdOptions, Session} from '../../../lib/fleet/etcd/etcd.js';
import {monotonic} from '../../../lib/os/deadline.js';
import {startEtcd, type TestEtcd, type TestMember} from '../../helpers/etcd.js';
import {Followed} from '../../helpers/followed.js';
import {FreezableFs} from '../../helpers/freezable-fs.js';
import {testAsRoot} from '../../helpers/here.js';
import {fixture} from '../../helpers/native.js';
import {startProgram} from '../../helpers/program.js';
import {TcpProxy} from '../../helpers/tcp-proxy.js';

/** Ways to the members, for clients that are to begin with one of them. */
class Ways {
  readonly #store: TestEtcd;
  readonly #ways: ReadonlyMap<TestMember, TcpProxy>;

  private constructor(store: TestEtcd, ways: ReadonlyMap<TestMember, TcpProxy>) {
    this.#store = store;
    this.#ways = ways;
  }

  static async to(t: ExecutionContext, store: TestEtcd): Promise<Ways> {
    const ways = new Map<TestMember, TcpProxy>();
    for (const member of store.members) ways.set(member, await TcpProxy.to(t, member.port));
    return new Ways(store, ways);
  }

  /** A client that asks that member, until it fails. */
  async connect(member: TestMember, options: Partial<EtcdOptions> = {}): Promise<Etcd> {
    const others = [...this.#ways].filter(([other]) => other !== member);
    for (const [, way] of others) way.refuse();
    const endpoints = [...this.#ways.values()].map(({endpoint}) => endpoint);
    const etcd = await this.#store.connect({endpoints, ...options});
    for (const [, way] of others) way.pass();
    return etcd;
  }

  get(member: TestMember): TcpProxy {
    const way = this.#ways.get(member);
    if (!way) throw new Error('there is no way to it');
    return way;
  }
}

/** Rejects with what comes of a write. */
async function put(session: Session, key: string, value: string): Promise<boolean> {
  const {applied} = await session.transact({when: [], then: [{put: key, value}]});
  return applied;
}

async function aFollower(store: TestEtcd): Promise<TestMember> {
  const [follower] = await store.followers();
  if (!follower) throw new Error('the cluster has no follower');
  return follower;
}

test('the leader is killed again and again amid writes: each is done once, watches miss nothing, sessions live', async t => {
  const store = await startEtcd(t, {members: 3});
  const etcd = await store.connect({timeout: 15_000});
  const session = await etcd.session({ttl: 30});
  const followed = await Followed.of(t, await store.connect(), 'k/');
  let count = 0;
  const killed = new AbortController();
  const writing = (async () => {
    for (; !killed.signal.aborted; count++) {
      const when = [{key: `k/once/${count}`, exists: false}];
      const then = [
        {put: `k/once/${count}`, value: ''},
        {put: 'k/count', value: String(count)},
      ];
      const {applied} = await session.transact({when, then});
      if (!applied) throw new Error(`write ${count} was done before`);
    }
  })();
  for (let round = 0; round < 3; round++) {
    const before = count;
    await followed.until(() => count > before + 5);
    const leader = await store.leader();
    await leader.kill();
    const reached = count;
    await followed.until(() => count > reached + 5);
    await leader.start();
  }
  killed.abort();
  await writing;
  await followed.until(() => followed.changes.length === 2 * count);
  t.is((await etcd.get('k/count'))?.version, count);
  const told = followed.changes.filter(({key}) => key === 'k/count').map(({value}) => value?.version);
  t.deepEqual(
    told,
    Array.from({length: count}, (_, index) => index + 1),
  );
  t.true(session.remaining() > 0);
});

test('a follower is stopped: no session of its clients is lost, and their mirrors go on elsewhere', async t => {
  const store = await startEtcd(t, {members: 3});
  const ways = await Ways.to(t, store);
  const follower = await aFollower(store);
  const clients = [];
  for (let count = 0; count < 12; count++) clients.push(await ways.connect(follower));
  const sessions = await Promise.all(clients.map(etcd => etcd.session({ttl: 5})));
  const followed = await Followed.of(t, clients[0] as Etcd, 'k/');
  t.true(ways.get(follower).connections >= 12);
  const [first] = sessions as [Session];
  t.true(await put(first, 'k/a', '0'));
  await followed.until(() => followed.content['k/a'] === '0');
  follower.freeze();
  t.true(await put(first, 'k/a', '1'));
  await followed.until(() => followed.content['k/a'] === '1');
  t.regex(followed.standings[0]?.why ?? '', new RegExp(ways.get(follower).endpoint));
  t.true(followed.mirror.current);
  // Longer than any of them lasts without being renewed.
  await pause(5000);
  for (const session of sessions) t.true(session.remaining() > 0 && !session.signal.aborted);
  follower.thaw();
  for (const session of sessions) t.true(await put(session, 'k/b', session.id));
});

test('a follower that is isolated is left within seconds', async t => {
  const store = await startEtcd(t, {members: 3, isolable: true});
  const ways = await Ways.to(t, store);
  const follower = await aFollower(store);
  const etcd = await ways.connect(follower);
  const session = await etcd.session({ttl: 5});
  const followed = await Followed.of(t, etcd, 'k/');
  t.true(await put(session, 'k/a', '1'));
  await followed.until(() => followed.content['k/a'] === '1');
  await store.isolate(follower);
  const others = await store.connect({endpoints: store.endpoints.filter(one => one !== follower.endpoint)});
  t.true(await put(await others.session(), 'k/a', '2'));
  await followed.until(() => followed.content['k/a'] === '2');
  t.regex(followed.standings[0]?.why ?? '', /no leader|no answer/);
  t.is((await etcd.get('k/a'))?.value.toString(), '2');
  t.true(await put(session, 'k/a', '3'));
});

test('a connection that swallows everything is noticed, and a watch on it misses nothing', async t => {
  const store = await startEtcd(t);
  const [member] = store.members as [TestMember];
  const ways = await Ways.to(t, store);
  const followed = await Followed.of(t, await ways.connect(member), 'k/');
  const session = await (await store.connect()).session();
  t.true(await put(session, 'k/a', '1'));
  await followed.until(() => followed.content['k/a'] === '1');
  const way = ways.get(member);
  way.blackHole();
  t.true(await put(session, 'k/a', '2'));
  t.true(await put(session, 'k/a', '3'));
  await followed.until(() => !followed.mirror.current);
  way.pass();
  await followed.until(() => followed.changes.length === 3);
  t.deepEqual(
    followed.changes.map(({value}) => value?.value.toString()),
    ['1', '2', '3'],
  );
});

testAsRoot('a member whose disk hangs is left by writes, reads, sessions and watches', async t => {
  const disk = await FreezableFs.mount(t);
  const directories = [`${disk.path}/data`];
  const store = await startEtcd(t, {members: 3, directories});
  const [hanging] = store.members as [TestMember];
  const ways = await Ways.to(t, store);
  const etcd = await ways.connect(hanging);
  const session = await etcd.session();
  const followed = await Followed.of(t, etcd, 'k/');
  t.true(await put(session, 'k/a', '1'));
  await followed.until(() => followed.content['k/a'] === '1');
  await disk.freeze();
  try {
    const others = await store.connect({
      endpoints: store.endpoints.filter(one => one !== hanging.endpoint),
      timeout: 20_000,
    });
    t.true(await put(await others.session(), 'k/a', '2'));
    await followed.until(() => followed.content['k/a'] === '2');
    t.is((await etcd.get('k/a'))?.value.toString(), '2');
    t.true(await put(session, 'k/a', '3'));
    t.true(((await others.leaseRemaining(session.lease)) ?? 0) > 0 && session.remaining() > 0);
  } finally {
    await disk.thaw();
  }
});

test('a loss is told by our own clock, before the store could give the place to another', async t => {
  const store = await startEtcd(t);
  const [member] = store.members as [TestMember];
  const etcd = await store.connect();
  const session = await etcd.session({ttl: 3});
  // It is renewed, for longer than it lasts.
  await pause(3500);
  const remaining = session.remaining();
  t.true(remaining > 0 && remaining <= 3000);
  member.freeze();
  const frozen = monotonic();
  // An answer may have been under way.
  const latest = frozen + session.remaining() + 3000;
  await once(session.signal, 'abort');
  t.true(monotonic() >= frozen + remaining - 5, 'it is not told while the lease lasts');
  t.true(monotonic() < latest + 10_000);
  t.like(session.signal.reason, {code: 'ERR_SESSION_LOST', lease: session.lease});
  t.is(session.remaining(), 0);
  const write = session.transact({when: [], then: []});
  await t.throwsAsync(write, {code: 'ERR_SESSION_LOST'});
  member.thaw();
  t.is(session.remaining(), 0);
});

test('a process that was stopped for longer than its lease lasts knows it before it does anything else', async t => {
  const store = await startEtcd(t);
  const etcd = await store.connect();
  const ttl = 2;
  const program = startProgram(
    t,
    process.execPath,
    fixture('stopped-session'),
    ...store.endpoints,
    String(ttl),
  );
  const lease = await program.line();
  const followed = await Followed.of(t, await store.connect({prefix: '/stopped/'}), 'before');
  await followed.until(() => followed.mirror.entries.size === 0);
  t.is(await etcd.leaseRemaining(lease), undefined);
  program.child.kill('SIGCONT');
  t.deepEqual(JSON.parse(await program.line()), {remaining: 0, refused: 'ERR_SESSION_LOST', lost: true});
  t.is((await program.ended).code, 0);
});

test('a lease that somebody revokes is lost with the next renewal', async t => {
  const store = await startEtcd(t);
  const etcd = await store.connect();
  const session = await etcd.session({ttl: 3});
  const revoked = monotonic();
  await etcd.revokeLease(session.lease);
  await once(session.signal, 'abort');
  t.true(monotonic() - revoked < 3000);
  t.regex(String(session.signal.reason), /etcd says that it is over/);
});
