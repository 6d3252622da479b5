/** What does it mean that a request to etcd failed? It is refused for good, or another member may do it. */
import {type ServiceError, status} from '@grpc/grpc-js';
import {type ErrorCode, LockError} from '../../errors.js';
import type {Member} from './channels.js';

/** One member did not do it; whether it was done is not known, unless `sent` is false. */
export class MemberFailed extends Error {
  override readonly name = 'MemberFailed';
  readonly endpoint: string;
  readonly why: string;
  /** False: the request has not left this machine, or was turned away unread. */
  readonly sent: boolean;
  /** Our token is not known to it, any more or yet. */
  readonly token: boolean;
  /** The certificates do not fit: time will not mend it. */
  readonly certificate: boolean;

  constructor(
    endpoint: string,
    why: string,
    {sent = true, token = false, certificate = false}: Partial<MemberFailed> = {},
  ) {
    super(`${endpoint}: ${why}`);
    this.endpoint = endpoint;
    this.why = why;
    this.sent = sent;
    this.token = token;
    this.certificate = certificate;
  }
}

/** grpc-js has only words for it. */
const UNCONNECTED = /^No connection established\. Last error: (?:Error: )?(.*?)\. Resolution note:.*$/s;
const TIME = / \(\d{4}-[-\d]+T[\d:.]+Z\)$/;
const CERTIFICATE = /certificate|CERT_|SSL routines|altnames/i;
/** OpenSSL's words for what the other side says of us. */
const ALERT = /SSL routines:\w*:((?:\w+ )*alert [\w ]+):/;
const TOKEN = /invalid auth token|revision of auth store is old/;

/** What etcd has refused without doing anything, by the words of its answer, else by its status. */
const REFUSALS: readonly (readonly [words: RegExp, code: ErrorCode])[] = [
  [/database space exceeded/, 'ERR_STORE_FULL'],
  [/request is too large|message larger than/i, 'ERR_TOO_LARGE'],
  [/authentication|permission denied|user name|password/, 'ERR_STORE_REFUSED'],
];

const DEFINITE = new Set([
  status.INVALID_ARGUMENT,
  status.NOT_FOUND,
  status.ALREADY_EXISTS,
  status.PERMISSION_DENIED,
  status.RESOURCE_EXHAUSTED,
  status.FAILED_PRECONDITION,
  status.OUT_OF_RANGE,
  status.UNIMPLEMENTED,
  status.UNAUTHENTICATED,
]);

/** What a status that is not OK comes to. */
export function failureOf(error: ServiceError, {endpoint, presents}: Member): MemberFailed | LockError {
  const {code, details} = error;
  const unconnected = UNCONNECTED.exec(details)?.[1]?.replace(TIME, '');
  const alert = ALERT.exec(unconnected ?? '')?.[1];
  const why = alert === undefined ? (unconnected ?? details) : `${alert}; ${presents}`;
  if (code === status.UNAVAILABLE)
    return new MemberFailed(endpoint, why, {
      sent: unconnected === undefined,
      certificate: unconnected !== undefined && CERTIFICATE.test(unconnected),
    });
  if (TOKEN.test(details)) return new MemberFailed(endpoint, why, {sent: false, token: true});
  if (/too many requests/.test(details)) return new MemberFailed(endpoint, why, {sent: false});
  if (!DEFINITE.has(code)) return new MemberFailed(endpoint, why);
  return refusal(why, endpoint, error);
}

/** An answer that another member would give as well. */
export function refusal(why: string, endpoint: string, cause?: ServiceError): LockError {
  const code = REFUSALS.find(([words]) => words.test(why))?.[1] ?? 'ERR_STORE_ANSWER';
  return new LockError(code, `etcd at ${endpoint} refuses: ${why}`, {endpoint}, {cause});
}

/** Did etcd refuse with that status? */
export function hasStatus(error: unknown, code: status): boolean {
  return error instanceof LockError && (error.cause as ServiceError | undefined)?.code === code;
}

/** Nobody did it in time: ERR_STORE_REFUSED when all have refused our certificates, or we theirs, else ERR_STORE_UNREACHABLE. */
export function nobody(endpoints: readonly string[], failed: ReadonlyMap<string, MemberFailed>): LockError {
  const reasons = endpoints.map(endpoint => ({endpoint, why: failed.get(endpoint)?.why ?? 'not tried'}));
  const words = reasons.map(({endpoint, why}) => `${endpoint} (${why})`).join(', ');
  return allRefuse(endpoints, failed)
    ? new LockError('ERR_STORE_REFUSED', `no TLS connection to etcd comes about: ${words}`, {reasons})
    : new LockError('ERR_STORE_UNREACHABLE', `no member of etcd answers: ${words}`, {reasons});
}

export function allRefuse(endpoints: readonly string[], failed: ReadonlyMap<string, MemberFailed>): boolean {
  return endpoints.every(endpoint => failed.get(endpoint)?.certificate);
}
