/** How does a request get its answer? From the member that answered last, or another one, within a time. */
import {setTimeout as pause} from 'node:timers/promises';
import {type ClientDuplexStream, Metadata, type ServiceError} from '@grpc/grpc-js';
import {LockError} from '../../errors.js';
import {Deadline, monotonic} from '../../os/deadline.js';
import type {Channels, Member} from './channels.js';
import {allRefuse, failureOf, MemberFailed, nobody} from './failure.js';
import {AUTHENTICATE, type Method} from './protocol.js';

export interface User {
  readonly name: string;
  readonly password: string;
}

/** Milliseconds before something is tried for the so many-th time: jittered, so that thousands do not come back at once. */
export function backOff(failures: number): number {
  return Math.random() * Math.min(2000, 50 * 2 ** failures);
}

/** One request, through its attempts. */
export class Tries {
  readonly deadline: Deadline;
  readonly #connection: Connection;
  readonly #failed = new Map<string, MemberFailed>();
  #failures = 0;

  constructor(connection: Connection, deadline: Deadline) {
    this.#connection = connection;
    this.deadline = deadline;
  }

  /** Rejects when the time is over: with the reason of the caller's signal, or with why no member answered. */
  check(): void {
    const {deadline} = this;
    if (!deadline.signal.aborted && deadline.remaining() > 0) return;
    if (deadline.expired) throw nobody(this.#connection.endpoints, this.#failed);
    throw deadline.signal.reason;
  }

  /** Lets some time pass after a failure, then another member is the next. Rejects with what another attempt can not mend. */
  async after(failure: unknown): Promise<void> {
    if (!(failure instanceof MemberFailed)) throw failure;
    const {endpoints} = this.#connection;
    const {signal, expired} = this.deadline;
    this.#failed.set(failure.endpoint, failure);
    if (allRefuse(endpoints, this.#failed)) throw nobody(endpoints, this.#failed);
    if (expired || !signal.aborted) this.#connection.leave(failure);
    await pause(backOff(this.#failures++), undefined, {signal}).catch(() => undefined);
    this.check();
  }
}

/** A client of the members. Goes on to the next one when one fails. */
export class Connection {
  /** Milliseconds for one request with all its attempts. */
  readonly timeout: number;
  readonly #channels: Channels;
  readonly #user: User | undefined;
  #token: Promise<string> | undefined;
  #closed = false;
  /** Which member is asked; each client begins with another. */
  #at: number;

  constructor(channels: Channels, timeout: number, user?: User) {
    this.#channels = channels;
    this.timeout = timeout;
    this.#user = user;
    this.#at = Math.floor(Math.random() * channels.members.length);
  }

  get endpoints(): readonly string[] {
    return this.#channels.endpoints;
  }

  get member(): Member {
    return this.#channels.members[this.#at] as Member;
  }

  /** Milliseconds that one member is given, so that there is time for others. */
  get patience(): number {
    return this.timeout / 3;
  }

  /** Goes on to the next member, unless somebody did so already. Who does not know our token is still the one to ask. */
  leave({endpoint, token}: MemberFailed): void {
    if (token) this.#token = undefined;
    else if (this.member.endpoint === endpoint) this.#at = (this.#at + 1) % this.#channels.members.length;
  }

  /** What may be asked twice. Rejects with ERR_STORE_UNREACHABLE, ERR_STORE_REFUSED, ERR_STORE_FULL, ERR_STORE_ANSWER, or the signal's reason. */
  async ask<Request, Answer>(
    method: Method<Request, Answer>,
    request: Request,
    signal?: AbortSignal,
  ): Promise<Answer> {
    return this.retried(within => this.attempt(method, request, within), signal);
  }

  /** Until one attempt succeeds. Rejects as `ask` does. */
  async retried<Result>(
    once: (within: AbortSignal) => Promise<Result>,
    signal?: AbortSignal,
  ): Promise<Result> {
    using deadline = new Deadline(this.timeout, signal);
    const tries = new Tries(this, deadline);
    for (;;) {
      tries.check();
      try {
        return await once(deadline.signal);
      } catch (error) {
        await tries.after(error);
      }
    }
  }

  /** Once, at one member. Rejects with MemberFailed when that one did not answer, in time or until the signal; and as `ask` does. */
  async attempt<Request, Answer>(
    method: Method<Request, Answer>,
    request: Request,
    signal: AbortSignal,
    member = this.member,
  ): Promise<Answer> {
    return this.#call(method, request, await this.#metadata(member), member, signal);
  }

  /** A stream at one member; ends with the signal. What went wrong with it is for `failureOf`. */
  async open<Request, Answer>(
    {path, requestSerialize, responseDeserialize}: Method<Request, Answer>,
    signal: AbortSignal,
    member = this.member,
  ): Promise<ClientDuplexStream<Request, Answer>> {
    const metadata = await this.#metadata(member);
    signal.throwIfAborted();
    const stream = member.client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, metadata);
    const cancel = () => stream.cancel();
    signal.addEventListener('abort', cancel, {once: true});
    stream.once('status', () => signal.removeEventListener('abort', cancel));
    // Whoever has left it hears nothing of its end, which is an error too.
    stream.on('error', () => undefined);
    return stream;
  }

  /** What is asked from now on is refused; what was asked gets its answer. */
  close(): void {
    this.#closed = true;
  }

  async #call<Request, Answer>(
    {path, requestSerialize, responseDeserialize}: Method<Request, Answer>,
    request: Request,
    metadata: Metadata,
    member: Member,
    signal?: AbortSignal,
  ): Promise<Answer> {
    const begun = monotonic();
    using deadline = new Deadline(this.patience, signal);
    return await new Promise<Answer>((resolve, reject) => {
      const answered = (error: ServiceError | null, answer?: Answer) => {
        if (!error) resolve(answer as Answer);
        else if (!deadline.signal.aborted) reject(failureOf(error, member));
        else reject(new MemberFailed(member.endpoint, `no answer for ${Math.round(monotonic() - begun)} ms`));
      };
      const call = member.client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        metadata,
        answered,
      );
      deadline.signal.addEventListener('abort', () => call.cancel(), {once: true});
    });
  }

  async #metadata(member: Member): Promise<Metadata> {
    if (this.#closed) throw new LockError('ERR_STORE_UNREACHABLE', 'this client of etcd is closed');
    const metadata = new Metadata();
    // A member that has lost its leader says so then, instead of being silent.
    metadata.set('hasleader', 'true');
    if (this.#user) metadata.set('token', await this.#authenticate(this.#user, member));
    return metadata;
  }

  /** Once for all who ask meanwhile, and until a member does not know the token. */
  async #authenticate(user: User, member: Member): Promise<string> {
    this.#token ??= this.#call(AUTHENTICATE, user, new Metadata(), member).then(({token}) => token);
    const asked = this.#token;
    try {
      return await asked;
    } catch (error) {
      if (this.#token === asked) this.#token = undefined;
      if (!(error instanceof MemberFailed)) throw error;
      throw new MemberFailed(error.endpoint, error.why, {certificate: error.certificate, sent: false});
    }
  }
}
