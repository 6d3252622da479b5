/** Does our lease still live? Renewed at one member or another, and over on our own clock before it is over in the store. */
import {setMaxListeners} from 'node:events';
import type {ClientDuplexStream, ServiceError} from '@grpc/grpc-js';
import {LockError} from '../../errors.js';
import {monotonic} from '../../os/deadline.js';
import type {Member} from './channels.js';
import {backOff, type Connection} from './connection.js';
import {failureOf, MemberFailed} from './failure.js';
import {LEASE_KEEP_ALIVE, type LeaseAnswer, type LeaseRequest} from './protocol.js';

/** One stream of renewals. */
interface Stream {
  readonly member: Member;
  readonly duplex: ClientDuplexStream<LeaseRequest, LeaseAnswer>;
  /** When those were sent that are not answered yet: answers come in their order. */
  readonly sent: number[];
}

/** Renews a lease until it is stopped or lost. */
export class KeepAlive {
  readonly #connection: Connection;
  readonly #lease: string;
  /** Milliseconds. */
  readonly #ttl: number;
  readonly #lost = new AbortController();
  readonly #stopped = new AbortController();
  #until: number;
  #failures = 0;
  #why = 'it was not renewed in time';
  #stream: Stream | undefined;
  /** A stream that opens only after we have given it up is not used. */
  #turn = 0;
  /** Those that were left: an answer that comes late is one all the same. They end with the next answer. */
  #late: Stream[] = [];
  /** The next renewal, or the end of our patience with the last one. */
  #next: NodeJS.Timeout | undefined;
  #end: NodeJS.Timeout | undefined;

  /** `sent`: when the lease was asked for; `ttl` in seconds, as granted. */
  constructor(connection: Connection, lease: string, ttl: number, sent: number) {
    this.#connection = connection;
    this.#lease = lease;
    this.#ttl = ttl * 1000;
    this.#until = sent + this.#ttl;
    // Each silent stream listens until its connection is given up: many, when all members keep silent.
    setMaxListeners(0, this.#stopped.signal);
    this.#watchEnd();
    this.#renewIn(this.#interval());
  }

  /** Aborts when the lease is lost; the reason is ERR_SESSION_LOST. */
  get signal(): AbortSignal {
    return this.#lost.signal;
  }

  /** Milliseconds that the lease lasts at least; 0: it is lost for good, or renewed no more. */
  remaining(): number {
    if (this.#stopped.signal.aborted) return 0;
    const rest = this.#until - monotonic();
    if (rest <= 0) this.lose(this.#why);
    return Math.max(0, rest);
  }

  lose(why: string): void {
    this.stop();
    const text = `the lease ${this.#lease} on etcd is lost: ${why}`;
    this.#lost.abort(new LockError('ERR_SESSION_LOST', text, {lease: this.#lease}));
  }

  /** Renews it no more. */
  stop(): void {
    clearTimeout(this.#next);
    clearTimeout(this.#end);
    this.#stopped.abort();
  }

  #interval(): number {
    return (this.#ttl / 3) * (0.9 + 0.1 * Math.random());
  }

  /** With a TTL of 30 s: sent every 10 s; after 5 s of silence elsewhere, so four times before it is lost. */
  get #patience(): number {
    return this.#ttl / 6;
  }

  #watchEnd(): void {
    clearTimeout(this.#end);
    // A timer may ring a little early.
    this.#end = setTimeout(() => this.remaining() > 0 && this.#watchEnd(), this.#until - monotonic());
  }

  #renewIn(milliseconds: number): void {
    clearTimeout(this.#next);
    this.#next = setTimeout(() => void this.#renew(), milliseconds);
  }

  async #renew(): Promise<void> {
    const turn = ++this.#turn;
    const {member} = this.#connection;
    // Others have found that it does not answer: a leader whose disk hangs goes on promising renewals that nobody else hears of.
    if (this.#stream?.member !== member) this.#putAside();
    const silent = new MemberFailed(member.endpoint, `no answer for ${this.#patience} ms`);
    this.#next = setTimeout(() => this.#failed(silent), this.#patience);
    try {
      const stream = this.#stream ?? (await this.#open(member));
      if (turn === this.#turn) this.#send(stream);
      else stream.duplex.cancel();
    } catch (error) {
      if (turn === this.#turn) this.#failed(error as Error);
    }
  }

  #send(stream: Stream): void {
    this.#stream = stream;
    stream.sent.push(monotonic());
    stream.duplex.write({ID: this.#lease});
  }

  async #open(member: Member): Promise<Stream> {
    const duplex = await this.#connection.open(LEASE_KEEP_ALIVE, this.#stopped.signal, member);
    const stream = {member, duplex, sent: []};
    duplex.on('data', (answer: LeaseAnswer) => this.#answered(stream, answer));
    duplex.on('error', (error: ServiceError) => this.#ended(stream, failureOf(error, member)));
    duplex.on('end', () => this.#ended(stream, new MemberFailed(member.endpoint, 'it ended the stream')));
    return stream;
  }

  #answered(stream: Stream, {TTL}: LeaseAnswer): void {
    const sent = stream.sent.shift() ?? 0;
    if (this.#stopped.signal.aborted) return;
    if (Number(TTL) <= 0) return this.lose('etcd says that it is over');
    if (this.remaining() === 0) return;
    this.#until = Math.max(this.#until, sent + Number(TTL) * 1000);
    this.#watchEnd();
    this.#failures = 0;
    for (const late of this.#late.splice(0)) late.duplex.cancel();
    if (stream === this.#stream) this.#renewIn(this.#interval() - (monotonic() - sent));
  }

  #ended(stream: Stream, failure: Error): void {
    if (stream === this.#stream) {
      this.#stream = undefined;
      this.#failed(failure);
    } else this.#late = this.#late.filter(late => late !== stream);
  }

  /** On to another member. */
  #failed(failure: Error): void {
    if (this.#stopped.signal.aborted) return;
    this.#turn++;
    this.#why = failure.message;
    if (failure instanceof MemberFailed) this.#connection.leave(failure);
    this.#putAside();
    this.#renewIn(Math.min(this.#patience, backOff(this.#failures++)));
  }

  #putAside(): void {
    if (this.#stream) this.#late.push(this.#stream);
    this.#stream = undefined;
  }
}
