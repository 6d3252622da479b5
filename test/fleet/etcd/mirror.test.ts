/** Does a mirror miss nothing, and tell nothing twice, whatever becomes of its watch? */
import {join} from 'node:path';
import test from 'ava';
import type {Etcd, Session} from '../../../lib/fleet/etcd/etcd.js';
import {PREFIX, startEtcd} from '../../helpers/etcd.js';
import {Followed} from '../../helpers/followed.js';
import {fixture} from '../../helpers/native.js';
import {startProgram} from '../../helpers/program.js';
import {scratch} from '../../helpers/scratch.js';
import {TcpProxy} from '../../helpers/tcp-proxy.js';

async function put(session: Session, key: string, value: string): Promise<void> {
  await session.transact({when: [], then: [{put: key, value}]});
}

/** Versions of one key, in the order in which they were told. */
function versions({changes}: Followed, key: string): number[] {
  return changes.filter(change => change.key === key).map(({value}) => value?.version ?? 0);
}

test('3,000 writes while its connections are cut: each is told, once and in order', async t => {
  const store = await startEtcd(t);
  const way = await TcpProxy.to(t, store.members[0]?.port ?? 0);
  const follower = await store.connect({endpoints: [way.endpoint]});
  const sessions = await Promise.all(Array.from({length: 10}, async () => (await store.connect()).session()));
  const followed = await Followed.of(t, follower, 'now/');
  const absentWay = await TcpProxy.to(t, store.members[0]?.port ?? 0);
  const absent = await Followed.of(t, await store.connect({endpoints: [absentWay.endpoint]}), 'now/');
  absentWay.refuse();
  const writing = sessions.map(async (session, index) => {
    for (let count = 1; count <= 300; count++) {
      await put(session, `now/${index}`, String(count));
      if (index === 0 && count % 30 === 0) way.cut();
    }
  });
  await Promise.all(writing);
  absentWay.pass();
  const all = Array.from({length: 300}, (_, count) => count + 1);
  for (const each of [followed, absent]) {
    await each.until(() => each.changes.length === 3000);
    for (const index of sessions.keys()) t.deepEqual(versions(each, `now/${index}`), all);
  }
  const revisions = followed.told.map(({revision}) => revision);
  t.deepEqual(
    revisions,
    revisions.toSorted((a, b) => a - b),
  );
  t.true(followed.standings.some(({current, why}) => !current && why?.includes(way.endpoint)));
  t.true(followed.mirror.current);
});

test('what a watch can not tell any more, as the store was compacted, is told as differences', async t => {
  const store = await startEtcd(t);
  const way = await TcpProxy.to(t, store.members[0]?.port ?? 0);
  const etcd = await store.connect();
  const session = await etcd.session();
  for (const key of ['kept', 'changed', 'deleted', 'made-again']) await put(session, `k/${key}`, 'old');
  const followed = await Followed.of(t, await store.connect({endpoints: [way.endpoint]}), 'k/');
  t.is(followed.mirror.entries.size, 4);
  way.refuse();
  await followed.until(() => !followed.mirror.current);
  await put(session, 'k/changed', 'between');
  await session.transact({when: [], then: [{delete: 'k/deleted'}, {delete: 'k/made-again'}]});
  await put(session, 'k/made-again', 'old');
  await put(session, 'k/changed', 'new');
  const {revision} = await etcd.list('');
  await store.ctl('compact', String(revision));
  way.pass();
  await followed.until(() => followed.told.length > 0 && followed.mirror.current);
  t.deepEqual(
    followed.changes.map(({key, value, before}) => [key, before?.value.toString(), value?.value.toString()]),
    [
      ['k/deleted', 'old', undefined],
      ['k/made-again', 'old', 'old'],
      ['k/changed', 'old', 'new'],
    ],
  );
  await put(session, 'k/changed', 'newer');
  await followed.until(() => followed.content['k/changed'] === 'newer');
  t.deepEqual(versions(followed, 'k/changed'), [3, 4]);
});

test('a store that was restored from a backup is noticed: what it has forgotten is told as gone', async t => {
  const store = await startEtcd(t);
  const etcd = await store.connect();
  let session = await etcd.session();
  await put(session, 'k/old', '1');
  const backup = join(scratch(t).directory, 'backup');
  await store.ctl('snapshot', 'save', backup);
  await put(session, 'k/old', '2');
  await put(session, 'k/new', '1');
  const followed = await Followed.of(t, etcd, 'k/');
  t.deepEqual(followed.content, {'k/old': '2', 'k/new': '1'});
  const before = followed.mirror.revision;
  await store.restore(backup);
  await followed.until(() => followed.told.length > 0);
  t.deepEqual(followed.content, {'k/old': '1'});
  t.true(followed.mirror.revision < before);
  // Whether that lease is in the backup or not: it goes on with a new one.
  await session.close();
  session = await etcd.session();
  await put(session, 'k/later', '1');
  await followed.until(() => followed.content['k/later'] === '1');
  t.deepEqual(followed.content, {'k/old': '1', 'k/later': '1'});
});

test('an answer that comes in fragments is told as one', async t => {
  const store = await startEtcd(t);
  const etcd = await store.connect();
  const session = await etcd.session();
  const way = await TcpProxy.to(t, store.members[0]?.port ?? 0);
  const followed = await Followed.of(t, await store.connect({endpoints: [way.endpoint]}), 'k/');
  way.refuse();
  await followed.until(() => !followed.mirror.current);
  const large = 'x'.repeat(1_400_000);
  for (let count = 0; count < 8; count++) await put(session, `k/${count}`, large);
  way.pass();
  await followed.until(() => followed.changes.length === 8);
  t.is(followed.told.length, 1);
  t.is(followed.mirror.entries.size, 8);
});

test('a listener that throws is an uncaught exception, and the mirror goes on', async t => {
  const store = await startEtcd(t);
  const program = startProgram(t, process.execPath, fixture('throwing-listener'), ...store.endpoints);
  t.is(await program.line(), 'uncaught: the listener failed');
  t.is(await program.line(), 'heard: 2');
  t.is((await program.ended).code, 0);
});

test('a mirror that is closed, by its signal or with its client, tells nothing more', async t => {
  const store = await startEtcd(t);
  const etcd = await store.connect();
  const other: Etcd = await store.connect();
  const session = await etcd.session();
  const closing = new AbortController();
  let told = 0;
  const onChanges = () => void told++;
  const bySignal = await etcd.mirror('k/', {onChanges, signal: closing.signal});
  const byClient = await other.mirror('k/', {onChanges});
  const byItself = await etcd.mirror('k/', {onChanges});
  const followed = await Followed.of(t, etcd, 'k/');
  closing.abort();
  byItself.close();
  await other.close();
  await put(session, 'k/a', '1');
  await followed.until(() => followed.changes.length === 1);
  t.is(told, 0);
  for (const mirror of [bySignal, byClient, byItself]) t.false(mirror.current);
  const late = etcd.mirror('k/', {onChanges, signal: closing.signal});
  await t.throwsAsync(late, {any: true, name: 'AbortError'});
});

test('a prefix is not the prefix of another', async t => {
  const store = await startEtcd(t);
  const [etcd, other] = [await store.connect(), await store.connect({prefix: `${PREFIX.slice(0, -1)}s/`})];
  await put(await other.session(), 'k', 'other');
  await put(await etcd.session(), 'k', 'ours');
  t.deepEqual(
    (await etcd.list('k')).items.map(({value}) => value.toString()),
    ['ours'],
  );
});
