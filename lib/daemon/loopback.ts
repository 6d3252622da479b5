/** How does a browser of this machine look? By a loopback address, where nobody is known: so there one can only look, and only by that address. */
import {BlockList, type AddressInfo, isIP} from 'node:net';
import type {FastifyInstance} from 'fastify';
import {LockError} from '../errors.js';
import {API} from './api.js';
import {isPageFile} from './routes/page.js';
import {type Door, type Limits, LIMITS} from './server.js';

export interface Loopback {
  readonly host: string;
  readonly port: number;
}

/** All that the page asks for; what is not named here is refused. */
const LOOKING: ReadonlySet<string> = new Set(
  ['/status', '/locks', '/locks/:name', '/holds', '/audit', '/events', '/fleet', '/fleet/rollouts/:id'].map(
    path => `${API}${path}`,
  ),
);

/** Nobody has an identity there, so these are for all of them together. */
export const LOOKING_LIMITS: Limits = {...LIMITS, connections: 128, rate: 2000};

const loopbacks = new BlockList();
loopbacks.addSubnet('127.0.0.0', 8);
loopbacks.addAddress('::1', 'ipv6');

function isLoopback(host: string): boolean {
  const version = isIP(host);
  return version !== 0 && loopbacks.check(host, version === 6 ? 'ipv6' : 'ipv4');
}

/** `127.0.0.1:7357` or `[::1]:7357`; port 0 leaves the choice to the kernel. Throws ERR_ARGUMENT for everything else, names too: they may lead anywhere. */
export function parseLoopback(text: string): Loopback {
  const [, six, four, digits] = /^(?:\[([\da-f:]+)\]|([\d.]+)):(\d{1,5})$/i.exec(text) ?? [];
  const host = six ?? four ?? '';
  const port = Number(digits);
  if (isLoopback(host) && port <= 65_535) return {host, port};
  throw new LockError(
    'ERR_ARGUMENT',
    `the page is shown on a loopback address only, such as 127.0.0.1:7357 or [::1]:7357; ${text} is none`,
  );
}

/** Where a server that listens on loopback is found; the port is missing where it is the usual one. */
export function pageUrl(app: FastifyInstance): URL {
  const {address, port} = app.server.address() as AddressInfo;
  return new URL(`http://${isIP(address) === 6 ? `[${address}]` : address}:${port}/`);
}

/**
 * A web page elsewhere may let its own name lead to this address (DNS rebinding): its requests then name that host, and are refused. Browsers let
 * "localhost" lead to loopback only.
 */
function checkHost(host: string | undefined, url: URL): void {
  const local = new URL(url);
  local.hostname = 'localhost';
  if (host !== url.host && host !== local.host)
    throw new LockError('ERR_NOT_PERMITTED', `this is ${url.host}, not ${host ?? 'a host without a name'}`);
}

export function loopbackDoor(): Door {
  return {
    guard(app) {
      app.addHook('onRequest', async request => {
        checkHost(request.headers.host, pageUrl(app));
        const {url} = request.routeOptions;
        // What is nowhere is not found.
        if (url === undefined) return;
        if (request.method === 'GET' && (LOOKING.has(url) || isPageFile(url))) return;
        throw new LockError('ERR_NOT_PERMITTED', 'here one can only look; all else is done by the socket');
      });
    },
    peerOf() {
      throw new LockError('ERR_NOT_PERMITTED', 'nobody can tell who asks by a loopback address');
    },
    clientOf: () => 'loopback',
  };
}
