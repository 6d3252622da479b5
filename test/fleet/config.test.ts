/** Is the fleet file believed only where nobody else can write it, and is every fault told with its place? */
import {chmodSync, mkdtempSync, rmSync, symlinkSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {isLockError, type LockError} from '../../lib/errors.js';
import {fleetConfigPath, readFleetConfig} from '../../lib/fleet/config.js';
import {generateKeys} from '../../lib/fleet/signing.js';
import {system} from '../../lib/os/system.js';

const LEAST = 'fleet: default\netcd: {endpoints: [http://127.0.0.1:2379]}\n';

/** A directory with a fleet file, keys of alice, bob and carol, and a password. */
function fleetOf(t: ExecutionContext, text: string): {readonly directory: string; readonly path: string} {
  const directory = mkdtempSync(join(tmpdir(), 'locksmith-fleet-'));
  t.teardown(() => rmSync(directory, {recursive: true}));
  for (const name of ['alice', 'bob', 'carol']) {
    const {publicKey, privateKey} = generateKeys();
    writeFileSync(join(directory, `${name}.pub`), publicKey, {mode: 0o644});
    writeFileSync(join(directory, `${name}.key`), privateKey, {mode: 0o600});
  }
  writeFileSync(join(directory, 'password'), 'secret \n', {mode: 0o600});
  const path = join(directory, 'fleet.yaml');
  writeFileSync(path, text, {mode: 0o644});
  return {directory, path};
}

function refusal(path: string): LockError {
  try {
    readFleetConfig(system(), path);
  } catch (error) {
    if (isLockError(error, 'ERR_FLEET_CONFIG')) return error;
    throw error;
  }
  throw new Error(`${path} was not refused`);
}

/** What is said of a text, without its directory. */
function faultOf(t: ExecutionContext, text: string): string {
  const {directory, path} = fleetOf(t, text);
  return refusal(path).message.replaceAll(`${directory}/`, '');
}

test('the shortest file has two lines, and everything else its default', t => {
  const config = readFleetConfig({...system(), node: 'node-7'}, fleetOf(t, LEAST).path);
  t.deepEqual(config, {
    fleet: 'default',
    node: 'node-7',
    labels: {},
    etcd: {endpoints: ['http://127.0.0.1:2379'], prefix: '/locksmith/default/', timeout: undefined},
    operators: {keys: [], atLeast: 1},
    drivers: {keys: [], atLeast: 1},
    unsignedCommands: false,
    largest: 1024 * 1024,
    sign: undefined,
    drive: undefined,
  });
});

test('all that can be said is read, files from where the fleet file is', t => {
  const {path} = fleetOf(
    t,
    `fleet: north
node: n1
labels: {site: oslo}
etcd:
  endpoints: [https://a:2379, https://b:2379]
  ca: alice.pub
  certificate: bob.pub
  key: bob.key
  user: locksmith
  password-file: password
  timeout: 2s
operators: [{name: alice, key: alice.pub}, {name: bob, key: bob.pub}]
drivers: [{name: carol, key: carol.pub}]
approvals: 1
unsigned-commands: true
largest: 8388608
sign: {name: alice, key: alice.key}
drive: {name: carol, key: carol.key}
`,
  );
  const config = readFleetConfig(system(), path);
  t.like(config, {fleet: 'north', node: 'n1', labels: {site: 'oslo'}, unsignedCommands: true});
  t.is(config.largest, 8 * 1024 * 1024);
  t.like(config.etcd, {prefix: '/locksmith/north/', timeout: 2000});
  t.deepEqual(config.etcd.user, {name: 'locksmith', password: 'secret '});
  t.true(config.etcd.tls?.key?.includes('PRIVATE KEY'));
  t.true(config.etcd.tls?.ca?.includes('PUBLIC KEY'));
  t.deepEqual([config.operators.keys.map(({name}) => name), config.operators.atLeast], [['alice', 'bob'], 2]);
  t.deepEqual([config.drivers.keys.map(({name}) => name), config.drivers.atLeast], [['carol'], 1]);
  t.deepEqual([config.sign?.name, config.drive?.name], ['alice', 'carol']);
});

test('LOCKSMITH_FLEET, else /etc/locksmith/fleet/fleet.yaml, is the file', t => {
  t.is(fleetConfigPath({...system(), env: {}}), '/etc/locksmith/fleet/fleet.yaml');
  t.is(fleetConfigPath({...system(), env: {LOCKSMITH_FLEET: '/a'}}), '/a');
  t.is(fleetConfigPath({...system(), env: {LOCKSMITH_FLEET: '/a'}}, '/b'), '/b');
});

test('a file that is not there is told with how to make one', t => {
  const {directory} = fleetOf(t, LEAST);
  for (const path of [join(directory, 'other.yaml'), join(directory, 'other', 'fleet.yaml')]) {
    const error = refusal(path);
    t.true(error['missing' as keyof LockError]);
    t.true(error.message.includes(path));
    t.regex(error.message, /"fleet: NAME".*endpoints.*fleet keygen/);
  }
});

const FAULTS: readonly (readonly [what: string, text: string, expected: RegExp])[] = [
  [
    'a key that nobody knows',
    `${LEAST}operaters: []\n`,
    /fleet\.yaml:3:1: operaters: unknown key; did you mean operators\?/,
  ],
  [
    'no endpoints',
    'fleet: a\netcd: {}\n',
    /fleet\.yaml:2:1: etcd\.endpoints: is missing: expected a list of URLs/,
  ],
  [
    'an empty list of endpoints',
    'fleet: a\netcd: {endpoints: []}\n',
    /2:8: etcd\.endpoints: expected at least one URL/,
  ],
  [
    'an endpoint that is no URL',
    'fleet: a\netcd: {endpoints: [etcd-1]}\n',
    /2:20: etcd\.endpoints\[0\]: expected the URL/,
  ],
  [
    'http and https',
    'fleet: a\netcd: {endpoints: [http://a, https://b]}\n',
    /endpoints: some are http, some https/,
  ],
  ['a name that is none', 'fleet: a/b\netcd: {endpoints: [http://a]}\n', /1:8: fleet: expected 1 to 63/],
  [
    'a certificate with http',
    'fleet: a\netcd: {endpoints: [http://a], ca: alice.pub}\n',
    /etcd\.ca: is of no use with http/,
  ],
  [
    'a certificate without its key',
    'fleet: a\netcd: {endpoints: [https://a], certificate: alice.pub}\n',
    /etcd\.certificate: certificate and key go together/,
  ],
  [
    'a user without a password',
    'fleet: a\netcd: {endpoints: [http://a], user: a}\n',
    /etcd\.user: user and password-file go together/,
  ],
  [
    'a time without its unit',
    'fleet: a\netcd: {endpoints: [http://a], timeout: 5}\n',
    /etcd\.timeout: expected a time with its unit/,
  ],
  [
    'a number as a label',
    `${LEAST}labels: {rack: 4}\n`,
    /3:16: labels\.rack: expected a text; a number needs quotes/,
  ],
  ['too many bytes', `${LEAST}largest: 8388609\n`, /largest: at most 8388608 bytes/],
  ['approvals without operators', `${LEAST}approvals: 1\n`, /3:12: approvals: nobody can approve/],
  [
    'more approvals than operators',
    `${LEAST}approvals: 1\noperators: [{name: alice, key: alice.pub}]\n`,
    /approvals: whoever starts something and 1 who approve are 2, and there are 1 operators/,
  ],
  [
    'a name twice',
    `${LEAST}operators: [{name: alice, key: alice.pub}, {name: alice, key: bob.pub}]\n`,
    /operators\[1\]\.name: alice is there already/,
  ],
  [
    'two names for one key',
    `${LEAST}operators: [{name: alice, key: alice.pub}, {name: bob, key: alice.pub}]\n`,
    /operators\[1\]\.key: is the key of alice too/,
  ],
  [
    'a key that is not there',
    `${LEAST}drivers: [{name: dora, key: dora.pub}]\n`,
    /3:29: drivers\[0\]\.key: ENOENT.*dora\.pub/,
  ],
  [
    'a file that is no key',
    `${LEAST}drivers: [{name: dora, key: password}]\n`,
    /drivers\[0\]\.key: password: the key of dora is no key in PEM/,
  ],
  [
    'a public key to sign with',
    `${LEAST}sign: {name: alice, key: alice.pub}\n`,
    /sign\.key: alice\.pub: others may read it \(mode 644\): chmod 600/,
  ],
  [
    'to sign as nobody who is trusted',
    `${LEAST}operators: [{name: alice, key: alice.pub}]\nsign: {name: bob, key: bob.key}\n`,
    /4:14: sign\.name: bob is none of the operators/,
  ],
  [
    'to sign with the key of somebody else',
    `${LEAST}drivers: [{name: alice, key: alice.pub}]\ndrive: {name: alice, key: bob.key}\n`,
    /drive\.key: is not the private key of what the drivers have for alice/,
  ],
  ['a key twice', `${LEAST}fleet: b\n`, /3:1: fleet: is there twice, first at fleet\.yaml:1/],
  ['no YAML', 'fleet: [\n', /fleet\.yaml:\d+:\d+/],
  ['nothing', '', /expected "fleet:", "etcd:"/],
];

for (const [what, text, expected] of FAULTS)
  test(`a fault is told with its place: ${what}`, t => {
    t.regex(faultOf(t, text), expected);
  });

test('all faults are told at once, in the order of their lines', t => {
  const message = faultOf(t, `fleet: a/b\netcd: {endpoints: [x]}\nlargest: no\n`);
  t.regex(
    message,
    /^the fleet file has 3 faults:\n  \S+:1:8: fleet: .*\n  \S+:2:20: .*\n  \S+:3:10: largest: /,
  );
});

test('a file, or a directory, that others may write to is not believed', t => {
  const {directory, path} = fleetOf(t, LEAST);
  chmodSync(path, 0o664);
  t.regex(refusal(path).message, /fleet\.yaml: others may write to it \(mode 664\)/);
  chmodSync(path, 0o644);
  chmodSync(directory, 0o777);
  t.regex(refusal(path).message, /others may write to it \(mode 777\)/);
});

test('a link to the fleet file is refused, one to a key is followed', t => {
  const {directory, path} = fleetOf(t, `${LEAST}operators: [{name: alice, key: link.pub}]\n`);
  symlinkSync('alice.pub', join(directory, 'link.pub'));
  t.is(readFleetConfig(system(), path).operators.keys.length, 1);
  const link = join(directory, 'link.yaml');
  symlinkSync('fleet.yaml', link);
  t.regex(refusal(link).message, /it is a symbolic link/);
});

for (const [what, text, file] of [
  ['a private key', `${LEAST}sign: {name: alice, key: alice.key}\n`, 'alice.key'],
  ['a password', 'fleet: a\netcd: {endpoints: [http://a], user: a, password-file: password}\n', 'password'],
] as const)
  test(`${what} that others may read is refused`, t => {
    const {directory, path} = fleetOf(t, text);
    t.truthy(readFleetConfig(system(), path));
    for (const mode of [0o604, 0o640]) {
      chmodSync(join(directory, file), mode);
      t.regex(
        refusal(path).message,
        new RegExp(`${file}: others may read it \\(mode ${mode.toString(8)}\\)`),
      );
    }
  });

test('a public key that others may write to is refused', t => {
  const {directory, path} = fleetOf(t, `${LEAST}operators: [{name: alice, key: alice.pub}]\n`);
  chmodSync(join(directory, 'alice.pub'), 0o666);
  t.regex(refusal(path).message, /operators\[0\]\.key: .*alice\.pub: others may write to it/);
});

test('a machine whose name can not be that of a node is told to give one', t => {
  const {path} = fleetOf(t, LEAST);
  const error = t.throws(() => readFleetConfig({...system(), node: 'a b'}, path));
  t.regex(
    error?.message ?? '',
    /fleet\.yaml:1:1: node: is missing: the name of this machine, "a b", is none/,
  );
});
