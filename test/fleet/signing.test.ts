/** Is only believed what the right keys have signed, to the letter? */
import test from 'ava';
import {isLockError} from '../../lib/errors.js';
import {command, type Command, fleetHold} from '../../lib/fleet/documents.js';
import {cosign, generateKeys, readPrivateKey, readPublicKey, seal, unseal} from '../../lib/fleet/signing.js';

function keyPair(name: string) {
  const {publicKey, privateKey} = generateKeys();
  return {
    trusted: {name, key: readPublicKey(publicKey, name)},
    signing: {name, key: readPrivateKey(privateKey, name)},
  };
}

const alice = keyPair('alice');
const bob = keyPair('bob');
const mallory = keyPair('mallory');
const both = [alice.trusted, bob.trusted];

const document: Command = {
  v: 1,
  kind: 'command',
  fleet: 'default',
  rollout: 'r1',
  seq: 1,
  command: 'abort',
  reason: 'because',
  by: {node: 'n', uid: 0, pid: 1},
  at: '2026-01-01T00:00:00.000Z',
};

const open = (envelope: unknown, keys = both, atLeast = 1) =>
  unseal(command, JSON.stringify(envelope), 'a/key', {keys, atLeast});

test('what a trusted key has signed is believed as it was', t => {
  t.deepEqual(open(seal(document, [alice.signing])), document);
});

test('a letter that was changed, another key, and a key under the name of another are refused', t => {
  const sealed = seal(document, [alice.signing]);
  const changed = {...sealed, document: sealed.document.replace('abort', 'pause')};
  const disguised = seal(document, [{...mallory.signing, name: 'alice'}]);
  for (const envelope of [changed, disguised, seal(document, [mallory.signing]), seal(document, [])])
    t.true(
      isLockError(
        t.throws(() => open(envelope)),
        'ERR_SIGNATURE',
      ),
    );
});

test('two of them have to sign where an approval is demanded, and the same one twice is one', t => {
  const once = seal(document, [alice.signing]);
  const refusal = t.throws(() => open(cosign(once, 'command', alice.signing), both, 2));
  t.regex(String(refusal), /signed by alice, needed: 2 of alice, bob/);
  t.deepEqual(open(cosign(once, 'command', bob.signing), both, 2), document);
});

test('a signature of one kind of document is none of another', t => {
  const asHold = cosign({document: JSON.stringify(document), signatures: []}, 'hold', alice.signing);
  t.true(
    isLockError(
      t.throws(() => open(asHold)),
      'ERR_SIGNATURE',
    ),
  );
});

test('without keys everything is believed that has its shape, and nothing else', t => {
  t.deepEqual(open(seal(document, []), []), document);
  const wrong = t.throws(() =>
    unseal(fleetHold, JSON.stringify(seal(document, [])), 'a/key', {keys: [], atLeast: 1}),
  );
  t.true(isLockError(wrong, 'ERR_STORE_ANSWER'));
  for (const text of [
    '',
    '{',
    '[]',
    '{"document":1}',
    JSON.stringify({document: 'x'.repeat(600_000), signatures: []}),
  ])
    t.true(
      isLockError(
        t.throws(() => unseal(command, text, 'a/key', {keys: [], atLeast: 1})),
        'ERR_STORE_ANSWER',
      ),
    );
});

test('a key that is none, or of another kind, is refused', t => {
  t.true(
    isLockError(
      t.throws(() => readPublicKey('nonsense', 'the key of alice')),
      'ERR_FLEET_CONFIG',
    ),
  );
});
