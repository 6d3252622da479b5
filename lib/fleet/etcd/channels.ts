/** How are the members of the store reached? One channel each; several clients of a process may share them. */
import {X509Certificate} from 'node:crypto';
import {isIP} from 'node:net';
import {checkServerIdentity} from 'node:tls';
import {type ChannelCredentials, Client, credentials} from '@grpc/grpc-js';
import {LockError} from '../../errors.js';

export interface Tls {
  /** PEM. Who signs the members' certificates; undefined: whom the system trusts. */
  readonly ca?: Buffer | undefined;
  readonly certificate?: Buffer | undefined;
  readonly key?: Buffer | undefined;
}

/** Where the store is. */
export interface Reach {
  /** `http://127.0.0.1:2379` or `https://…`. */
  readonly endpoints: readonly string[];
  readonly tls?: Tls | undefined;
}

/** One member of the cluster. */
export interface Member {
  readonly endpoint: string;
  readonly client: Client;
  /** Who we are to it. */
  readonly presents: string;
}

const ENDPOINT = /^(?<scheme>https?):\/\/(?<host>[^\s/:@[\]]+|\[[\da-fA-F:.]+\]):(?<port>\d+)\/?$/;

const CHANNEL = {
  // So that a connection that swallows everything is noticed. etcd cuts off who pings more often than every 5 s, or without a stream.
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 5000,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 3000,
  // We repeat ourselves, and know what may be repeated.
  'grpc.enable_retries': 0,
  'grpc.enable_http_proxy': 0,
  'grpc.service_config_disable_resolution': 1,
  // Else connections of other clients in this process would be taken, and their streams count as ours.
  'grpc.use_local_subchannel_pool': 1,
  // A page of a list, or a fragment of a watch.
  'grpc.max_receive_message_length': 64 * 1024 * 1024,
};

function wrong(what: string, cause?: unknown): LockError {
  return new LockError('ERR_FLEET_CONFIG', what, {}, {cause});
}

function secure({ca, certificate, key}: Tls, host: string): ChannelCredentials {
  try {
    return credentials.createSsl(ca ?? null, key ?? null, certificate ?? null, {
      checkServerIdentity: (_, presented) => checkServerIdentity(host, presented),
    });
  } catch (cause) {
    throw wrong(`the certificates for etcd can not be used: ${(cause as Error).message}`, cause);
  }
}

/** What a member that refuses it does not say. */
function described(certificate: Buffer): string {
  const {subject, validTo} = new X509Certificate(certificate);
  return `our certificate ${subject} is valid until ${validTo}`;
}

function memberAt(endpoint: string, tls: Tls | undefined): Member {
  const {scheme, host = '', port} = ENDPOINT.exec(endpoint)?.groups ?? {};
  if (port === undefined)
    throw wrong(`the endpoint "${endpoint}" is not of the form http://HOST:PORT or https://HOST:PORT`);
  if (scheme === 'http' && tls)
    throw wrong(`there are certificates for etcd, but the endpoint ${endpoint} is not https`);
  const address = host.replace(/^\[(.*)\]$/, '$1');
  const how = scheme === 'https' ? secure(tls ?? {}, address) : credentials.createInsecure();
  // An address is no name that TLS could ask for.
  const named = isIP(address) && scheme === 'https' ? {'grpc.ssl_target_name_override': 'etcd'} : {};
  const client = new Client(`dns:${host}:${port}`, how, {...CHANNEL, ...named});
  return {
    endpoint,
    client,
    presents: tls?.certificate ? described(tls.certificate) : 'we have no certificate',
  };
}

/** Connections to the members. Whoever opened them closes them. */
export class Channels implements Disposable {
  readonly members: readonly Member[];

  /** Connects when something is asked for first. Throws ERR_FLEET_CONFIG. */
  constructor({endpoints, tls}: Reach) {
    if (endpoints.length === 0) throw wrong('no endpoint of etcd is given');
    this.members = endpoints.map(endpoint => memberAt(endpoint, tls));
  }

  get endpoints(): readonly string[] {
    return this.members.map(({endpoint}) => endpoint);
  }

  close(): void {
    for (const {client} of this.members) client.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
