/** How does a program ask the daemon? Typed requests over its Unix socket; what the daemon refuses is thrown as it would be here. */
import {createParser} from 'eventsource-parser';
import {Agent, type Dispatcher, request} from 'undici';
import {ERRORS, type ErrorCode, LockError} from '../errors.js';
import {hasCode} from '../os/system-error.js';
import type {AuditRecord} from '../recovery/audit.js';
import type {Step} from '../recovery/take-back.js';
import {
  API,
  type BeatRequest,
  type BreakGlassRequest,
  type CertificateAnswer,
  type FleetAnswer,
  type HoldAnswer,
  type HoldRequest,
  type Liveness,
  type Lock,
  type OrchestratorAnswer,
  type OrchestratorRequest,
  type RecoveryRequest,
  type RolloutAnswer,
  type Status,
  type VerdictAnswer,
} from './api.js';
import type {Order} from './orchestrators.js';

/** Nobody is there, or nobody any more. */
const GONE = ['ENOENT', 'ECONNREFUSED', 'ENOTDIR', 'ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET'];

/** So many at once; the rest wait for one that is free. Each hold that is asked for and each listener takes one. */
const CONNECTIONS = 128;

/** How a request is made. */
export interface Asking {
  /** Ends the wait; what the daemon has begun it brings to its end all the same. */
  readonly signal?: AbortSignal | undefined;
}

/** How a taking back is followed. */
export interface Following extends Asking {
  /** Sees each step as it is done. */
  readonly onStep?: ((step: Step) => void) | undefined;
}

/** How much is asked for. */
export interface Most {
  /** The longest that any list of nodes, of what has ended and of what has happened is to be. By default all. */
  readonly most?: number | undefined;
}

function mostOf(most: number | undefined): string {
  return most === undefined ? '' : `?most=${most}`;
}

/** One server-sent event. */
export interface ServerEvent {
  readonly event: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** How the daemon says what it refuses. */
export interface Failure {
  readonly error?: {readonly code?: string; readonly message?: string} & Readonly<Record<string, unknown>>;
}

/** A refusal of the daemon, as it would have been thrown there. */
export function toError({error = {}}: Failure, status = 500): Error {
  const {code, message = `the daemon answered with status ${status}`, advice: _, ...facts} = error;
  if (code !== undefined && Object.hasOwn(ERRORS, code))
    return new LockError(code as ErrorCode, message, facts);
  return Object.assign(new Error(message), {...(code !== undefined && {code}), ...facts});
}

/** A hold that the daemon keeps in force. Ends by `release`, with this process, at its deadline, or with the daemon. */
export class RemoteHold implements AsyncDisposable {
  readonly granted: HoldAnswer;
  readonly #release: () => Promise<void>;

  constructor(granted: HoldAnswer, release: () => Promise<void>) {
    this.granted = granted;
    this.#release = release;
  }

  /** Lets everybody go on. Rejects with ERR_RESTORE_FAILED, or with ERR_UNKNOWN_HOLD when it had ended before. */
  async release(): Promise<void> {
    await this.#release();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.#release();
    } catch (error) {
      if (!(error instanceof LockError && error.code === 'ERR_UNKNOWN_HOLD')) throw error;
    }
  }
}

/** Requests to one daemon. Ends when it is closed; every request may reject with ERR_NO_DAEMON, ERR_DAEMON_ANSWER or ERR_NOT_PERMITTED. */
export class DaemonClient implements AsyncDisposable {
  readonly socket: string;
  readonly #agent: Agent;

  /** Connects when something is asked for first. */
  constructor(socket: string) {
    this.socket = socket;
    // What waits for a hold or a recovery takes as long as that.
    this.#agent = new Agent({
      connect: {socketPath: socket},
      connections: CONNECTIONS,
      headersTimeout: 0,
      bodyTimeout: 0,
    });
  }

  status(asking?: Asking): Promise<Status> {
    return this.#ask('GET', '/status', asking);
  }

  locks(asking?: Asking): Promise<Lock[]> {
    return this.#ask('GET', '/locks', asking);
  }

  /** Looks at all of them anew. */
  verdicts(asking?: Asking): Promise<VerdictAnswer[]> {
    return this.#ask('GET', '/verdicts', asking);
  }

  /** Looks anew. Rejects with ERR_UNKNOWN_LOCK. */
  examine(lock: string, asking?: Asking): Promise<VerdictAnswer> {
    return this.#ask('GET', `/locks/${encodeURIComponent(lock)}`, asking);
  }

  /** Figures in the text format of Prometheus. */
  async metrics({signal}: Asking = {}): Promise<string> {
    const answer = await this.#send('GET', '/metrics', {signal, accept: 'text/plain', base: ''});
    return answer.body.text();
  }

  /** The last records of the audit log, at most 999. */
  audit(last = 20, asking?: Asking): Promise<AuditRecord[]> {
    return this.#ask('GET', `/audit?last=${last}`, asking);
  }

  holds(asking?: Asking): Promise<HoldAnswer[]> {
    return this.#ask('GET', '/holds', asking);
  }

  /** Rejects as GuardedConfig.hold does; when the signal aborts first, nothing is held. */
  async hold(wanted: HoldRequest, asking?: Asking): Promise<RemoteHold> {
    const granted = await this.#ask<HoldAnswer>('POST', '/holds', asking, wanted);
    return new RemoteHold(granted, () => this.#ask('DELETE', `/holds/${granted.id}`));
  }

  /** Rejects as GuardedConfig.recover does. */
  recover(lock: string, how: RecoveryRequest = {}, following?: Following): Promise<CertificateAnswer> {
    return this.#follow(`/locks/${encodeURIComponent(lock)}/recovery`, how, following);
  }

  /** Rejects as GuardedConfig.breakGlass does. */
  breakGlass(lock: string, how: BreakGlassRequest, following?: Following): Promise<CertificateAnswer> {
    return this.#follow(`/locks/${encodeURIComponent(lock)}/break-glass`, how, following);
  }

  /** The owner of a lock says that it lives and how far it got; see Heartbeat. */
  beat(lock: string, beat: BeatRequest, asking?: Asking): Promise<Liveness> {
    return this.#ask('PUT', `/locks/${encodeURIComponent(lock)}/heartbeat`, asking, beat);
  }

  /** What is known of the fleet, with at most so many nodes, those in need first. Rejects with ERR_UNKNOWN_FLEET. */
  fleet({most, ...asking}: Asking & Most = {}): Promise<FleetAnswer> {
    return this.#ask('GET', `/fleet${mostOf(most)}`, asking);
  }

  /** How far a roll-out is, as above. Rejects with ERR_UNKNOWN_FLEET or ERR_UNKNOWN_ROLLOUT. */
  rollout(id: string, {most, ...asking}: Asking & Most = {}): Promise<RolloutAnswer> {
    return this.#ask('GET', `/fleet/rollouts/${encodeURIComponent(id)}${mostOf(most)}`, asking);
  }

  orchestrators(asking?: Asking): Promise<OrchestratorAnswer[]> {
    return this.#ask('GET', '/orchestrators', asking);
  }

  /** Until `leave`, or the end of this process; see Orchestrator. */
  register(wanted: OrchestratorRequest, asking?: Asking): Promise<OrchestratorAnswer> {
    return this.#ask('POST', '/orchestrators', asking, wanted);
  }

  leave(id: string, asking?: Asking): Promise<void> {
    return this.#ask('DELETE', `/orchestrators/${id}`, asking);
  }

  /** Holds on its locks and their ends, from now on; first those that are in force. */
  async *orders(id: string, {signal}: Asking = {}): AsyncGenerator<Order> {
    const answer = await this.#send('GET', `/orchestrators/${id}/events`, {
      signal,
      accept: 'text/event-stream',
    });
    for await (const {data} of this.#stream(answer, signal)) yield data as unknown as Order;
  }

  cycle(id: string, lock: string, running: boolean, asking?: Asking): Promise<void> {
    return this.#ask('PUT', `/orchestrators/${id}/cycle`, asking, {lock, running});
  }

  /** Rejects with ERR_UNKNOWN_HOLD for a hold that is over or another's, ERR_ACKNOWLEDGED the second time. */
  acknowledge(id: string, hold: string, asking?: Asking): Promise<void> {
    return this.#ask('POST', `/orchestrators/${id}/acknowledgements`, asking, {hold});
  }

  /** What happens from now on: first `hello` with the status, then events as in docs/daemon.md. Rejects with ERR_NO_DAEMON when it ends, or when we do not keep up. */
  async *events({signal}: Asking = {}): AsyncGenerator<ServerEvent, never> {
    const answer = await this.#send('GET', '/events', {signal, accept: 'text/event-stream'});
    return yield* this.#stream(answer, signal);
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #ask<Answer>(
    method: Dispatcher.HttpMethod,
    path: string,
    {signal}: Asking = {},
    body?: object,
  ): Promise<Answer> {
    const answer = await this.#send(method, path, {signal, body, accept: 'application/json'});
    const text = await answer.body.text();
    return (text === '' ? undefined : JSON.parse(text)) as Answer;
  }

  async #follow(path: string, body: object, {signal, onStep}: Following = {}): Promise<CertificateAnswer> {
    const answer = await this.#send('POST', path, {signal, body, accept: 'text/event-stream'});
    for await (const {event, data} of this.#stream(answer, signal)) {
      if (event === 'step') onStep?.(data as unknown as Step);
      else if (event === 'certificate') return data as unknown as CertificateAnswer;
      else if (event === 'failure') throw toError(data);
    }
    throw this.#noDaemon('it was never said how that ended, by');
  }

  async #send(
    method: Dispatcher.HttpMethod,
    path: string,
    {
      signal,
      body,
      accept,
      base = API,
    }: {signal?: AbortSignal | undefined; body?: object | undefined; accept: string; base?: string},
  ): Promise<Dispatcher.ResponseData> {
    const answer = await request(`http://localhost${base}${path}`, {
      method,
      dispatcher: this.#agent,
      headers: {accept, ...(body && {'content-type': 'application/json'})},
      body: body ? JSON.stringify(body) : null,
      signal: signal ?? null,
    }).catch((error: unknown) => {
      throw signal?.aborted ? signal.reason : this.#unreachable(error);
    });
    if (answer.statusCode < 300) return answer;
    throw toError(await this.#failureOf(answer), answer.statusCode);
  }

  async #failureOf({body, statusCode}: Dispatcher.ResponseData): Promise<Failure> {
    const text = await body.text();
    try {
      return JSON.parse(text) as Failure;
    } catch {
      return {
        error: {
          code: 'ERR_DAEMON_ANSWER',
          message: `status ${statusCode} from ${this.socket}: ${text.slice(0, 200)}`,
        },
      };
    }
  }

  #unreachable(cause: unknown): unknown {
    const {code, message} = cause as NodeJS.ErrnoException;
    if (code?.startsWith('HPE_'))
      return new LockError('ERR_DAEMON_ANSWER', `what answers on ${this.socket} is no daemon: ${message}`);
    return hasCode(cause, ...GONE) ? this.#noDaemon('no daemon answers on', cause) : cause;
  }

  #noDaemon(what: string, cause?: unknown): LockError {
    return new LockError('ERR_NO_DAEMON', `${what} ${this.socket}`, {path: this.socket}, {cause});
  }

  /** Until it is left. Rejects with ERR_NO_DAEMON when the daemon ends, or cuts us off as we do not keep up. */
  async *#stream({body}: Dispatcher.ResponseData, signal?: AbortSignal): AsyncGenerator<ServerEvent, never> {
    const come: ServerEvent[] = [];
    const parser = createParser({
      onEvent: ({event = 'message', data}) =>
        come.push({event, data: JSON.parse(data) as ServerEvent['data']}),
    });
    const text = new TextDecoder();
    try {
      for await (const chunk of body) {
        parser.feed(text.decode(chunk as Buffer, {stream: true}));
        yield* come.splice(0);
      }
    } catch (error) {
      throw signal?.aborted ? signal.reason : this.#unreachable(error);
    } finally {
      body.destroy();
    }
    throw this.#noDaemon('the daemon has ended, or cut us off as we did not keep up:');
  }
}
