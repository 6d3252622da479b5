/** Who acts for an operator? This process, with the key of the fleet file; its signature is checked before anything is written. */
import {LockError} from '../errors.js';
import type {System} from '../os/system.js';
import type {FleetConfig} from './config.js';
import type {Envelope, Plan} from './documents.js';
import {seal, signers} from './signing.js';

/** This process, as documents name it. */
export function ourselves({node}: Pick<FleetConfig, 'node'>, {uid}: System): Plan['by'] {
  return {node, uid, pid: process.pid};
}

/** Who it is, for people. */
export function personText({node, uid, pid}: Plan['by']): string {
  return `${node} (uid ${uid}, pid ${pid})`;
}

/** Signs for the operator. Throws ERR_SIGNATURE when nodes would not believe it. */
export function sealAsOperator(
  {sign, operators: {keys}}: Pick<FleetConfig, 'sign' | 'operators'>,
  document: {readonly kind: string},
): Envelope {
  const envelope = seal(document, sign ? [sign] : []);
  if (keys.length === 0 || signers(envelope, document.kind, keys).length > 0) return envelope;
  const trusted = keys.map(({name}) => name).join(', ');
  const missing = sign
    ? `the key ${sign.name} of this machine is none of those that the fleet trusts`
    : 'the fleet file of this machine names no key to sign with';
  throw new LockError(
    'ERR_SIGNATURE',
    `a ${document.kind} has to be signed by one of ${trusted}: ${missing}`,
    {
      needed: keys.map(({name}) => name),
    },
  );
}
