/** How does the daemon answer? HTTP and JSON on a Unix socket; the kernel says who asks. */
import type {Socket} from 'node:net';
import rateLimit from '@fastify/rate-limit';
import {fastifySSE} from '@fastify/sse';
import swagger from '@fastify/swagger';
import {pino} from 'pino';
import fastify, {
  type FastifyBaseLogger,
  type FastifyError,
  type FastifyInstance,
  type FastifyRequest,
  LogController,
} from 'fastify';
import {ERRORS, EXIT, isLockError, LockError} from '../errors.js';
import {type Peer, readPeer} from '../os/peer.js';
import {hasCode} from '../os/system-error.js';
import type {System} from '../os/system.js';
import {toFacts, toJson} from '../recovery/report.js';
import type {Parts} from './parts.js';
import {fleetRoutes} from './routes/fleet.js';
import {holdRoutes} from './routes/holds.js';
import {lockRoutes} from './routes/locks.js';
import {orchestratorRoutes} from './routes/orchestrators.js';
import {PROTECTION, pageRoutes} from './routes/page.js';
import {statusRoutes} from './routes/status.js';
import {SHARED} from './schemas.js';

/** What one client may ask for. */
export interface Limits {
  /** Bytes of a body. */
  readonly body: number;
  /** Connections of all clients together. */
  readonly connections: number;
  /** Requests of one process in ten seconds. */
  readonly rate: number;
  /** Milliseconds in which a whole request must have arrived. */
  readonly request: number;
}

const RATE_WINDOW = 10_000;

export const LIMITS: Limits = {body: 64 * 1024, connections: 2048, rate: 5000, request: 10_000};

/** HTTP status of each exit status of the command line. */
const STATUS: Readonly<Record<number, number>> = {
  [EXIT.no]: 409,
  [EXIT.failure]: 500,
  [EXIT.usage]: 400,
  [EXIT.unavailable]: 501,
  [EXIT.unrecorded]: 500,
  [EXIT.tryAgain]: 503,
  [EXIT.notPermitted]: 403,
};

function statusOf(error: unknown): number {
  if (isLockError(error) && error.code.startsWith('ERR_UNKNOWN_')) return 404;
  if (isLockError(error)) return STATUS[ERRORS[error.code].exit] ?? 500;
  if (hasCode(error, 'EACCES', 'EPERM')) return 403;
  return (error as Partial<FastifyError>).statusCode ?? 500;
}

/** What the HTTP library refuses, as one of our refusals. */
function translated(error: unknown): unknown {
  const {statusCode, message} = error as Partial<FastifyError>;
  if (statusCode === undefined || statusCode >= 500) return error;
  return statusCode === 429
    ? new LockError('ERR_DAEMON_ANSWER', `too many requests: ${message}`)
    : new LockError('ERR_ARGUMENT', message ?? 'the request can not be understood');
}

/** Who is at the other end of each connection, asked when it was accepted. */
class Peers {
  readonly #system: System;
  readonly #peers = new WeakMap<Socket, Peer>();

  constructor(system: System) {
    this.#system = system;
  }

  /** Whom the kernel does not name is not answered. */
  accept(socket: Socket): void {
    try {
      this.#peers.set(socket, readPeer(this.#system, socket));
    } catch (error) {
      socket.destroy(error as Error);
    }
  }

  of(socket: Socket): Peer {
    const peer = this.#peers.get(socket);
    if (!peer) throw new LockError('ERR_NOT_PERMITTED', 'the kernel does not say who asks');
    return peer;
  }
}

/** By which way requests come in, and so whose they are. */
export interface Door {
  /** Adds what guards it, before there is any route. */
  guard(app: FastifyInstance): void;
  /** Who asks. Throws ERR_NOT_PERMITTED when nobody can tell. */
  peerOf(request: FastifyRequest): Peer;
  /** Requests with the same word share a limit. */
  clientOf(request: FastifyRequest): string;
}

/** The Unix socket. What a browser sends, through a forwarded socket say, may be any web page's wish: it only looks. */
export function socketDoor(system: System): Door {
  const peers = new Peers(system);
  const peerOf = ({raw}: FastifyRequest) => peers.of(raw.socket);
  return {
    guard(app) {
      app.server.on('connection', (socket: Socket) => peers.accept(socket));
      app.addHook('onRequest', async ({method, headers}) => {
        if (method !== 'GET' && (headers.origin ?? headers['sec-fetch-site']) !== undefined)
          throw new LockError('ERR_NOT_PERMITTED', 'from a browser one can only look');
      });
    },
    peerOf,
    clientOf(request) {
      const {uid, pid} = peerOf(request);
      return `${uid} ${pid}`;
    },
  };
}

export interface ServerOptions {
  readonly system: System;
  readonly version: string;
  readonly logger: FastifyBaseLogger;
  readonly limits?: Limits;
  /** By default the Unix socket. */
  readonly door?: Door;
}

/** What docs/openapi.json has: all routes, and what they take and answer. */
export async function describeApi(version: string, system: System): Promise<object> {
  const nothing = {} as Parts;
  const app = await buildServer(nothing, {system, version, logger: pino({level: 'silent'})});
  await app.ready();
  const description = app.swagger();
  await app.close();
  return description;
}

/** A server that listens nowhere yet. */
export async function buildServer(
  parts: Omit<Parts, 'peerOf'>,
  {system, version, logger, limits = LIMITS, door = socketDoor(system)}: ServerOptions,
): Promise<FastifyInstance> {
  const app = fastify({
    loggerInstance: logger,
    logController: new LogController({disableRequestLogging: true}),
    bodyLimit: limits.body,
    requestTimeout: limits.request,
    // Node takes the longer of the two for the whole request, so both are given.
    http: {headersTimeout: limits.request, connectionsCheckingInterval: limits.request / 2},
    forceCloseConnections: true,
    exposeHeadRoutes: false,
    ajv: {customOptions: {removeAdditional: false, coerceTypes: false, allErrors: false}},
    // What is not yet understood is refused, not left out.
    onProtoPoisoning: 'error',
    onConstructorPoisoning: 'error',
  });
  app.server.maxConnections = limits.connections;
  const all: Parts = {...parts, peerOf: request => door.peerOf(request)};
  app.addHook('onRequest', async (_request, reply) => void reply.headers(PROTECTION));
  door.guard(app);

  // Answers are what was made of them: nothing is left out because a schema does not name it.
  app.setSerializerCompiler(() => toJson);
  app.setErrorHandler((error, request, reply) => {
    const status = statusOf(error);
    parts.metrics.refused(status);
    if (status >= 500 && !isLockError(error)) request.log.error({err: error}, 'a request failed');
    return reply.code(status).send({error: toFacts(translated(error))});
  });
  app.setNotFoundHandler((request, reply) => {
    parts.metrics.refused(404);
    const error = new LockError('ERR_ARGUMENT', `there is no ${request.method} ${request.url} here`);
    return reply.code(404).send({error: toFacts(error)});
  });
  for (const [name, schema] of Object.entries(SHARED)) app.addSchema({$id: name, ...schema});
  await app.register(swagger, {
    refResolver: {buildLocalReference: ({$id}) => $id as string},
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Locksmith',
        version,
        description:
          'The daemon on its Unix socket. Who asks is known by the kernel; nothing is sent to prove it.',
      },
    },
  });
  await app.register(rateLimit, {
    max: limits.rate,
    timeWindow: RATE_WINDOW,
    keyGenerator: request => door.clientOf(request),
  });
  await app.register(fastifySSE, {serializer: toJson, heartbeatInterval: 15_000});
  await app.register(async routes => {
    for (const add of [lockRoutes, holdRoutes, orchestratorRoutes, fleetRoutes, statusRoutes, pageRoutes])
      add(routes, all);
  });
  return app;
}
