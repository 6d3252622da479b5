/** Has a second operator agreed? A document that needs more signatures waits in the store until others have added theirs. */
import {createHash, createPublicKey} from 'node:crypto';
import {EventEmitter, once} from 'node:events';
import {z} from 'zod';
import {isLockError, LockError} from '../errors.js';
import type {FleetAccess} from './access.js';
import {
  type Envelope,
  type FleetHold,
  fleetHold,
  parseDocument,
  parseEnvelope,
  type Plan,
  plan,
} from './documents.js';
import type {Etcd, KeyValue} from './etcd/etcd.js';
import type {Mirror} from './etcd/mirror.js';
import {KEYS, lastOf} from './keys.js';
import {cosign, type SigningKey, signers, type Trust, type TrustedKey} from './signing.js';

/** What needs more than one operator; commands need one. */
const approved = z.discriminatedUnion('kind', [plan, fleetHold]);

/** A document that waits for signatures. */
export interface Proposal {
  /** From the SHA-256 of the document: what was seen under it is what is approved under it. */
  readonly id: string;
  readonly document: Plan | FleetHold;
  /** Names of the trusted keys that have signed. */
  readonly signers: readonly string[];
  /** So many of them are needed. */
  readonly needed: number;
}

/** `id` is what an operator approves. */
export type OnWaiting = (id: string, signers: readonly string[], needed: number) => void;

export interface GatherOptions {
  readonly signal?: AbortSignal | undefined;
  /** At first, and after each approval that was not the last one. */
  readonly onWaiting?: OnWaiting | undefined;
}

function idOf(document: string): string {
  return createHash('sha256').update(document).digest('hex').slice(0, 32);
}

/** Without what is no signature of a trusted key: anybody could have added it. */
function onlyValid(envelope: Envelope, kind: string, keys: readonly TrustedKey[]): Envelope {
  const {document} = envelope;
  const signatures = envelope.signatures.filter(
    signature => signers({document, signatures: [signature]}, kind, keys).length > 0,
  );
  return {document, signatures};
}

/** Our document with the signatures that stand in the store by now; those of another document are worth nothing. */
function withSignatures(
  {document}: Envelope,
  {key, value}: KeyValue,
  kind: string,
  keys: readonly TrustedKey[],
): Envelope {
  return onlyValid({document, signatures: parseEnvelope(value, key).signatures}, kind, keys);
}

function removed(id: string, names: readonly string[], needed: number): LockError {
  return new LockError(
    'ERR_SIGNATURE',
    `proposal ${id} was removed before enough operators had approved it: signed by ${names.join(', ')}, needed: ${needed}`,
    {proposal: id, signers: names, needed},
  );
}

/** A key, and a wait for its next change; what changes while nobody waits is not missed. */
async function follow(
  etcd: Etcd,
  key: string,
  signal: AbortSignal,
): Promise<{readonly mirror: Mirror; readonly changed: () => Promise<void>}> {
  const changes = new EventEmitter();
  let news = false;
  const onChanges = () => {
    news = true;
    changes.emit('news');
  };
  const mirror = await etcd.mirror(key, {onChanges, signal});
  const changed = async () => {
    if (!news) await once(changes, 'news', {signal}).catch(() => signal.throwIfAborted());
    news = false;
  };
  return {mirror, changed};
}

/** Follows the proposal until it has what it needs. */
async function waitForOthers(
  {etcd, config}: FleetAccess,
  envelope: Envelope,
  kind: string,
  signal: AbortSignal,
  onWaiting: OnWaiting | undefined,
): Promise<Envelope> {
  const {keys, atLeast} = config.operators;
  const id = idOf(envelope.document);
  const key = KEYS.proposal(id);
  let last = '';
  /** Undefined: too few. */
  const look = (found: KeyValue | undefined): Envelope | undefined => {
    if (!found) throw removed(id, signers(envelope, kind, keys), atLeast);
    const now = withSignatures(envelope, found, kind, keys);
    const names = signers(now, kind, keys);
    if (names.length >= atLeast) return now;
    if (names.join() !== last) onWaiting?.(id, names, atLeast);
    last = names.join();
    return undefined;
  };
  const {mirror, changed} = await follow(etcd, key, signal);
  using following = mirror;
  for (;;) {
    const enough = look(following.entries.get(key));
    if (enough) return enough;
    await changed();
  }
}

/**
 * The document with as many signatures as nodes demand; waits for other operators when there are too few. What waits goes with the
 * session of whoever asks. Rejects with ERR_SIGNATURE when nobody who is trusted has signed it or the proposal was removed,
 * ERR_SESSION_LOST, and with signal.reason.
 */
export async function gatherApprovals(
  access: FleetAccess,
  envelope: Envelope,
  kind: Proposal['document']['kind'],
  {signal, onWaiting}: GatherOptions = {},
): Promise<Envelope> {
  const {session, config} = access;
  const {keys, atLeast} = config.operators;
  const names = signers(envelope, kind, keys);
  if (keys.length === 0 || names.length >= atLeast) return envelope;
  if (names.length === 0) throw untrusted(`the ${kind} that is to be approved`, config.operators);
  const id = idOf(envelope.document);
  const put = {put: KEYS.proposal(id), value: JSON.stringify(envelope), lease: 'session'};
  await session.transact({when: [], then: [put]}, {signal});
  try {
    const either = AbortSignal.any([session.signal, ...(signal ? [signal] : [])]);
    return await waitForOthers(access, envelope, kind, either, onWaiting);
  } finally {
    // When the session is lost it goes, or has gone, with its lease.
    if (!session.signal.aborted) await session.transact({when: [], then: [{delete: put.put}]});
  }
}

function untrusted(what: string, {keys}: Trust): LockError {
  const trusted = keys.map(({name}) => name);
  return new LockError(
    'ERR_SIGNATURE',
    `${what} is signed by nobody who is trusted here; trusted are ${trusted.join(', ')}`,
    {
      trusted,
    },
  );
}

/** What stands there. Throws ERR_STORE_ANSWER, and ERR_SIGNATURE when nobody who is trusted asks for it. */
function read({key, value}: KeyValue, {config}: FleetAccess): Proposal & {readonly envelope: Envelope} {
  const whole = parseEnvelope(value, key);
  const document = parseDocument(approved, whole.document, key);
  const id = lastOf(key);
  if (id !== idOf(whole.document) || document.fleet !== config.fleet)
    throw new LockError(
      'ERR_STORE_ANSWER',
      `${key} in etcd is another document than its name says, or one of another fleet`,
      {
        key,
      },
    );
  const {keys, atLeast} = config.operators;
  const envelope = onlyValid(whole, document.kind, keys);
  const names = signers(envelope, document.kind, keys);
  if (names.length === 0) throw untrusted(key, config.operators);
  return {id, document, signers: names, needed: atLeast, envelope};
}

/** All that waits. What is no proposal is left out, and said of in `problems`. Rejects as the store does. */
export async function listProposals(
  access: FleetAccess,
): Promise<{readonly proposals: readonly Proposal[]; readonly problems: readonly string[]}> {
  const {items} = await access.etcd.list(KEYS.proposals);
  const proposals: Proposal[] = [];
  const problems: string[] = [];
  for (const item of items) {
    try {
      const {envelope: _, ...proposal} = read(item, access);
      proposals.push(proposal);
    } catch (error) {
      if (!isLockError(error)) throw error;
      problems.push(error.message);
    }
  }
  return {proposals, problems};
}

/** Our key, if it is one of those that nodes trust. */
function trustedSigner({config}: FleetAccess): SigningKey {
  const {sign, operators} = config;
  if (!sign)
    throw new LockError('ERR_FLEET_CONFIG', 'the fleet file names no key to sign with: nothing is approved');
  const trusted = operators.keys.find(({name}) => name === sign.name);
  if (trusted && createPublicKey(sign.key).equals(trusted.key)) return sign;
  throw new LockError('ERR_SIGNATURE', `our key ${sign.name} is none of those that are trusted here`, {
    trusted: operators.keys.map(({name}) => name),
  });
}

/**
 * Adds our signature and gives what was approved. Rejects with ERR_ARGUMENT (nothing waits under that id), ERR_FLEET_CONFIG (we have no key),
 * ERR_SIGNATURE (our key is not trusted or has signed it already, or nobody who is trusted asks for it) and ERR_STORE_ANSWER.
 */
export async function approve(access: FleetAccess, id: string): Promise<Proposal> {
  const {etcd, session} = access;
  const key = KEYS.proposal(id);
  for (;;) {
    const found = await etcd.get(key);
    if (!found) throw new LockError('ERR_ARGUMENT', `nothing waits for approval under ${id}`, {proposal: id});
    const {envelope, ...proposal} = read(found, access);
    const ours = trustedSigner(access);
    if (proposal.signers.includes(ours.name))
      throw new LockError(
        'ERR_SIGNATURE',
        `${ours.name} has signed proposal ${id} already; it takes another operator`,
        {
          proposal: id,
          signers: proposal.signers,
        },
      );
    const {kind} = proposal.document;
    const value = JSON.stringify(cosign(envelope, kind, ours));
    // Under the lease of whoever asks: what he no longer waits for goes.
    const {applied} = await session.transact({
      when: [{key, modRevision: found.modRevision}],
      then: [{put: key, value, lease: found.lease}],
    });
    if (applied) return {...proposal, signers: [...proposal.signers, ours.name]};
  }
}
