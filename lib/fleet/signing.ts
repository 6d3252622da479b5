/** Did somebody whom we trust say that? Documents are signed with Ed25519 (RFC 8032), to the letter, each kind for itself. */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto';
import type {z} from 'zod';
import {LockError} from '../errors.js';
import {type Envelope, parseDocument, parseEnvelope} from './documents.js';

/** A key that is trusted, and the name that people know it by. */
export interface TrustedKey {
  readonly name: string;
  readonly key: KeyObject;
}

/** A private key of ours. */
export interface SigningKey {
  readonly name: string;
  readonly key: KeyObject;
}

/** What signatures must be there. */
export interface Trust {
  /** No key twice. Without any, everything is believed: the fleet does without signatures. */
  readonly keys: readonly TrustedKey[];
  /** By so many different keys. */
  readonly atLeast: number;
}

interface Signable {
  readonly kind: string;
}

/** A signature of one kind of document is none of another kind. */
function signed(kind: string, document: string): Buffer {
  return Buffer.from(`locksmith ${kind} v1\n${document}`);
}

function requireEd25519(key: KeyObject, what: string): KeyObject {
  if (key.asymmetricKeyType === 'ed25519') return key;
  throw new LockError('ERR_FLEET_CONFIG', `${what} is a key of kind ${key.asymmetricKeyType}, not Ed25519`);
}

function readKey(pem: string, what: string, read: (pem: string) => KeyObject): KeyObject {
  try {
    return requireEd25519(read(pem), what);
  } catch (cause) {
    if (cause instanceof LockError) throw cause;
    throw new LockError(
      'ERR_FLEET_CONFIG',
      `${what} is no key in PEM: ${(cause as Error).message}`,
      {},
      {cause},
    );
  }
}

/** Reads a public key in PEM (SPKI). Throws ERR_FLEET_CONFIG; `what` says which one. */
export function readPublicKey(pem: string, what: string): KeyObject {
  return readKey(pem, what, createPublicKey);
}

/** Reads a private key in PEM (PKCS 8). Throws ERR_FLEET_CONFIG. */
export function readPrivateKey(pem: string, what: string): KeyObject {
  return readKey(pem, what, createPrivateKey);
}

/** A new pair, in PEM. */
export function generateKeys(): {readonly publicKey: string; readonly privateKey: string} {
  return generateKeyPairSync('ed25519', {
    publicKeyEncoding: {type: 'spki', format: 'pem'},
    privateKeyEncoding: {type: 'pkcs8', format: 'pem'},
  });
}

/** Puts a document into an envelope, signed with these keys. */
export function seal(document: Signable, keys: readonly SigningKey[]): Envelope {
  const text = JSON.stringify(document);
  return keys.reduce<Envelope>((envelope, key) => cosign(envelope, document.kind, key), {
    document: text,
    signatures: [],
  });
}

/** Adds a signature, in the place of an older one of that key. */
export function cosign({document, signatures}: Envelope, kind: string, {name, key}: SigningKey): Envelope {
  const signature = sign(null, signed(kind, document), key).toString('base64');
  return {document, signatures: [...signatures.filter(other => other.name !== name), {name, signature}]};
}

/** Names of the trusted keys that have signed. */
export function signers(
  {document, signatures}: Envelope,
  kind: string,
  keys: readonly TrustedKey[],
): string[] {
  const text = signed(kind, document);
  return keys
    .filter(({name, key}) =>
      signatures.some(
        given => given.name === name && verify(null, text, key, Buffer.from(given.signature, 'base64')),
      ),
    )
    .map(({name}) => name);
}

/**
 * Opens an envelope from the store: parses it, and checks that those have signed who must. Throws ERR_STORE_ANSWER, and
 * ERR_SIGNATURE, which names who has signed and who could.
 */
export function unseal<T extends Signable>(
  schema: z.ZodType<T>,
  text: string | Buffer,
  key: string,
  {keys, atLeast}: Trust,
): T {
  const envelope = parseEnvelope(text, key);
  const document = parseDocument(schema, envelope.document, key);
  if (keys.length === 0) return document;
  const names = signers(envelope, document.kind, keys);
  if (names.length >= atLeast) return document;
  throw new LockError(
    'ERR_SIGNATURE',
    `${key}: signed by ${names.join(', ') || 'nobody who is trusted here'}, needed: ${atLeast} of ${keys.map(({name}) => name).join(', ')}`,
    {key, signers: names, needed: atLeast},
  );
}
