/** Which requests does etcd take, and how are they written? By etcd.proto beside this file; 64-bit numbers come as strings. */
import {fileURLToPath} from 'node:url';
import {loadSync, type ServiceDefinition} from '@grpc/proto-loader';

/** In the package, where it was written. */
const PROTO = fileURLToPath(new URL('../../../../lib/fleet/etcd/etcd.proto', import.meta.url));

const SERVICES = loadSync(PROTO, {longs: String, enums: String, defaults: true});

/** One request of etcd, or one stream of them. */
export interface Method<Request, Answer> {
  readonly path: string;
  readonly requestSerialize: (request: Request) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => Answer;
}

function method<Request, Answer>(service: string, name: string): Method<Request, Answer> {
  const definition = (SERVICES[`etcdserverpb.${service}`] as ServiceDefinition)[name];
  return definition as unknown as Method<Request, Answer>;
}

export interface Header {
  readonly clusterId: string;
  readonly revision: string;
  readonly raftTerm: string;
}

export interface WireKeyValue {
  readonly key: Buffer;
  readonly value: Buffer;
  readonly createRevision: string;
  readonly modRevision: string;
  readonly version: string;
  readonly lease: string;
}

export interface RangeRequest {
  readonly key: Buffer;
  readonly rangeEnd?: Buffer;
  readonly limit?: number;
  readonly revision?: number;
}

export interface RangeAnswer {
  readonly header: Header;
  readonly kvs: readonly WireKeyValue[];
  readonly more: boolean;
}

export type WireOperation =
  | {readonly requestRange: RangeRequest}
  | {readonly requestPut: {readonly key: Buffer; readonly value: Buffer; readonly lease: string}}
  | {readonly requestDeleteRange: {readonly key: Buffer; readonly rangeEnd?: Buffer}};

export interface WireCompare {
  readonly key: Buffer;
  readonly result: 'EQUAL' | 'GREATER' | 'LESS';
  readonly target: 'CREATE' | 'MOD';
  readonly createRevision?: number;
  readonly modRevision?: number;
}

export interface TxnRequest {
  readonly compare: readonly WireCompare[];
  readonly success: readonly WireOperation[];
  readonly failure: readonly WireOperation[];
}

export interface TxnAnswer {
  readonly header: Header;
  readonly succeeded: boolean;
  readonly responses: readonly {readonly responseRange: RangeAnswer | null}[];
}

export interface WatchRequest {
  readonly createRequest: RangeRequest & {
    readonly startRevision: number;
    readonly progressNotify: boolean;
    readonly fragment: boolean;
  };
}

export interface WatchAnswer {
  readonly header: Header;
  readonly created: boolean;
  readonly canceled: boolean;
  readonly compactRevision: string;
  readonly cancelReason: string;
  /** More of the same answer follows. */
  readonly fragment: boolean;
  readonly events: readonly {readonly type: 'PUT' | 'DELETE'; readonly kv: WireKeyValue}[];
}

export interface LeaseRequest {
  readonly ID: string;
}

export interface LeaseAnswer {
  readonly ID: string;
  /** Seconds; 0 or less when there is no such lease. */
  readonly TTL: string;
}

export const RANGE = method<RangeRequest, RangeAnswer>('KV', 'Range');
export const TXN = method<TxnRequest, TxnAnswer>('KV', 'Txn');
export const WATCH = method<WatchRequest, WatchAnswer>('Watch', 'Watch');
export const LEASE_GRANT = method<{readonly TTL: number}, LeaseAnswer>('Lease', 'LeaseGrant');
export const LEASE_REVOKE = method<LeaseRequest, object>('Lease', 'LeaseRevoke');
export const LEASE_KEEP_ALIVE = method<LeaseRequest, LeaseAnswer>('Lease', 'LeaseKeepAlive');
export const LEASE_TIME_TO_LIVE = method<LeaseRequest, LeaseAnswer>('Lease', 'LeaseTimeToLive');
export const AUTHENTICATE = method<
  {readonly name: string; readonly password: string},
  {readonly token: string}
>('Auth', 'Authenticate');
