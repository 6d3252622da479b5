/** What does a client say of a store that refuses it, is full, or is not there? */
import test from 'ava';
import {Etcd} from '../../../lib/fleet/etcd/etcd.js';
import type {LockError} from '../../../lib/errors.js';
import {TestCertificates} from '../../helpers/certificates.js';
import {PREFIX, startEtcd, type TestEtcd} from '../../helpers/etcd.js';
import {Followed} from '../../helpers/followed.js';
import {scratch} from '../../helpers/scratch.js';

const NOBODY = 'http://127.0.0.1:1';

test('members that do not answer are named, with what each said', async t => {
  const endpoints = [NOBODY, 'http://127.0.0.1:2'];
  const connecting = Etcd.connect({endpoints, prefix: PREFIX, timeout: 3000});
  const error = await t.throwsAsync<LockError>(connecting, {code: 'ERR_STORE_UNREACHABLE'});
  for (const port of [1, 2])
    t.true(error?.message.includes(`:${port} (connect ECONNREFUSED 127.0.0.1:${port})`));
});

test('a wait for a store that is not there ends with its signal', async t => {
  const reason = new Error('enough');
  const connecting = Etcd.connect({endpoints: [NOBODY], prefix: PREFIX}, AbortSignal.abort(reason));
  t.is(await t.throwsAsync(connecting), reason);
  const aborting = new AbortController();
  const waiting = Etcd.connect({endpoints: [NOBODY], prefix: PREFIX}, aborting.signal);
  setImmediate(() => aborting.abort(reason));
  t.is(await t.throwsAsync(waiting), reason);
});

test('TLS with certificates of both sides; one that is refused is a refusal at once, in words', async t => {
  const [certificates, others] = await Promise.all([
    TestCertificates.in(scratch(t).directory),
    TestCertificates.in(scratch(t).directory),
  ]);
  await certificates.issue('expired', 0);
  const store = await startEtcd(t, {certificates});
  const etcd = await store.connect();
  await using session = await etcd.session();
  t.true((await session.transact({when: [], then: [{put: 'a', value: 'b'}]})).applied);
  const {tls} = certificates;
  const refused = [
    {
      tls: certificates.tlsOf('expired'),
      message: /bad certificate; our certificate CN=expired is valid until/,
    },
    {tls: {...others.tls, ca: tls.ca}, message: /bad certificate; our certificate CN=client/},
    {tls: {ca: tls.ca}, message: /bad certificate; we have no certificate/},
    {tls: {...tls, ca: others.tls.ca}, message: /unable to verify the first certificate/},
  ];
  for (const {tls: wrong, message} of refused)
    await t.throwsAsync(store.connect({tls: wrong}), {code: 'ERR_STORE_REFUSED', message});
  const unfit = store.connect({tls: {...tls, key: others.tls.key}});
  await t.throwsAsync(unfit, {code: 'ERR_FLEET_CONFIG', message: /key values mismatch/});
});

/** root may do all, `node` all below nodes/. */
async function withUsers(store: TestEtcd): Promise<void> {
  await store.ctl('user', 'add', 'root:secret');
  await store.ctl('user', 'grant-role', 'root', 'root');
  await store.ctl('user', 'add', 'node:word');
  await store.ctl('role', 'add', 'nodes');
  await store.ctl('role', 'grant-permission', 'nodes', 'readwrite', '--prefix=true', `${PREFIX}nodes/`);
  await store.ctl('user', 'grant-role', 'node', 'nodes');
  await store.ctl('auth', 'enable');
}

test('users: a wrong password and a key that the role does not give are refused, and an expired token is made anew', async t => {
  const store = await startEtcd(t);
  await withUsers(store);
  const user = {name: 'node', password: 'word'};
  await t.throwsAsync(store.connect(), {code: 'ERR_STORE_REFUSED', message: /user name is empty/});
  const wrong = store.connect({user: {name: 'node', password: 'sword'}});
  await t.throwsAsync(wrong, {code: 'ERR_STORE_REFUSED', message: /invalid user ID or password/});
  await t.throwsAsync(store.connect({user}), {code: 'ERR_STORE_REFUSED', message: /permission denied/});

  const prefix = `${PREFIX}nodes/`;
  const etcd = await store.connect({user, prefix});
  await using session = await etcd.session();
  const followed = await Followed.of(t, etcd, '');
  t.true((await session.transact({when: [], then: [{put: 'a', value: '1'}]})).applied);

  // It keeps tokens in memory.
  const [member] = store.members;
  await member?.kill();
  await member?.start();
  t.is((await etcd.get('a'))?.value.toString(), '1');
  t.true((await session.transact({when: [], then: [{put: 'a', value: '2'}]})).applied);
  await followed.until(() => followed.content['a'] === '2');
  t.true(session.remaining() > 0);
});

test('a store that is full refuses to write, goes on reading, and loses no session', async t => {
  const store = await startEtcd(t, {options: ['--quota-backend-bytes', String(16 << 20)]});
  const etcd = await store.connect();
  await using session = await etcd.session({ttl: 3});
  const fill = async () => {
    for (;;) await session.transact({when: [], then: [{put: 'blob', value: Buffer.alloc(1 << 20)}]});
  };
  await t.throwsAsync(fill, {code: 'ERR_STORE_FULL', message: /database space exceeded/});
  const {version} = (await etcd.get('blob')) ?? {};
  const again = session.transact({when: [], then: [{put: 'blob', value: ''}]});
  await t.throwsAsync(again, {code: 'ERR_STORE_FULL'});
  t.is((await etcd.get('blob'))?.version, version);
  const {revision} = await etcd.list('');
  await store.ctl('compact', String(revision));
  await store.ctl('defrag');
  await store.ctl('alarm', 'disarm');
  t.true((await session.transact({when: [], then: [{put: 'blob', value: ''}]})).applied);
});
