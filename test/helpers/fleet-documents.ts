/** What is signed in a test of the fleet, and by whom? Keys, plans and orders. */
import type {Order, Plan} from '../../lib/fleet/documents.js';
import {generateKeys, readPrivateKey, readPublicKey} from '../../lib/fleet/signing.js';
import {sha256} from '../../lib/lock/update.js';
import {NEW} from './scratch.js';

export const LOCK = 'aim_lock_config';
export const NODE = 'node-7';
export const ALL = 'ffffffffffffffff';
const AT = '2026-01-01T00:00:00.000Z';

/** A pair of keys under a name. */
export function keyPair(name: string) {
  const {publicKey, privateKey} = generateKeys();
  return {
    publicKey,
    trusted: {name, key: readPublicKey(publicKey, name)},
    signing: {name, key: readPrivateKey(privateKey, name)},
  };
}

export const operator = keyPair('operator');
export const driver = keyPair('driver');
export const stranger = keyPair('stranger');

export function planOf(changes: Partial<Plan> = {}, content: string = NEW): Plan {
  return {
    v: 1,
    kind: 'plan',
    id: 'r1',
    fleet: 'test',
    lock: LOCK,
    epoch: 1,
    sha256: sha256(Buffer.from(content)),
    bytes: Buffer.byteLength(content),
    where: {},
    canary: 1,
    steps: [100],
    soak: 0,
    prepareWithin: 600_000,
    applyWithin: 600_000,
    reservation: 600_000,
    spread: 0,
    maxUnavailable: null,
    maxFailed: 0,
    health: [],
    reason: 'a test',
    by: {node: 'here', uid: 0, pid: 1},
    at: AT,
    ...changes,
  };
}

export function orderOf({id, fleet, lock, epoch}: Plan, changes: Partial<Order> = {}): Order {
  const nobody = {turn: 1, prepareUpTo: null, applyUpTo: null, rollBack: false};
  return {v: 1, kind: 'order', fleet, rollout: id, lock, epoch, ...nobody, ...changes};
}

export const PREPARE = {prepareUpTo: ALL} as const;
export const APPLY = {prepareUpTo: ALL, applyUpTo: ALL} as const;
export const ROLL_BACK = {rollBack: true} as const;
