/** What does a client read and write, on a store in good health? */
import test from 'ava';
import {Followed} from '../../helpers/followed.js';
import {startEtcd} from '../../helpers/etcd.js';

test('what a session writes is read, listed and mirrored', async t => {
  const store = await startEtcd(t);
  const etcd = await store.connect();
  t.is(await etcd.get('nodes/a'), undefined);
  const session = await etcd.session();
  const followed = await Followed.of(t, etcd, 'nodes/');
  t.is(followed.mirror.entries.size, 0);
  const {applied, revision} = await session.transact({
    when: [{key: 'nodes/a', exists: false}],
    then: [
      {put: 'nodes/a', value: 'one', lease: 'session'},
      {put: 'nodes/b', value: Buffer.of(0, 255)},
    ],
  });
  t.true(applied);
  t.like(await etcd.get('nodes/a'), {key: 'nodes/a', modRevision: revision, lease: session.lease});
  await session.transact({when: [], then: [{delete: 'nodes/b'}]});
  await followed.until(() => followed.told.length === 2);
  t.is(followed.told[0]?.changes.length, 2);
  t.deepEqual(followed.content, {'nodes/a': 'one'});
});
