/** What lies between a test and a server? A proxy that cuts connections, or swallows what goes through them. */
import {once} from 'node:events';
import {type AddressInfo, connect, createServer, type Server, type Socket} from 'node:net';
import type {Ends} from './scratch.js';

/** What becomes of bytes: they pass, go lost, or are held until they are released; what comes behind those goes lost. */
type Fate = 'pass' | 'lose' | 'hold';

interface Pair {
  readonly near: Socket;
  readonly far: Socket;
  /** What the client sent first. */
  first: string;
  /** Something of it is held: it outlives its client. */
  holds: boolean;
}

/** To one port. */
export class TcpProxy {
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  #refuses = false;
  #refused: RegExp | undefined;
  readonly #held: (() => Promise<unknown>)[] = [];
  /** From the client to the server, and back. */
  requests: Fate = 'pass';
  answers: Fate = 'pass';
  /** Sees what a client sends, before its fate is looked at. */
  onRequest: ((bytes: Buffer) => void) | undefined;
  /** The first bytes of a connection went lost. */
  onLost: (() => void) | undefined;

  private constructor(port: number) {
    this.#server = createServer({allowHalfOpen: false}, near =>
      this.#connect(near, connect(port, '127.0.0.1')),
    );
  }

  static async to(t: Ends, port: number): Promise<TcpProxy> {
    const proxy = new TcpProxy(port);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    t.teardown(() => proxy.close());
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get connections(): number {
    return this.#pairs.size;
  }

  /** All connections end at once. */
  cut(): void {
    for (const {near, far} of this.#pairs) {
      near.destroy();
      far.destroy();
    }
  }

  /** They end, and no other comes about. */
  refuse(): void {
    this.#refuses = true;
    this.cut();
  }

  /** What is held still arrives when it is released. */
  cutClients(): void {
    for (const {near} of this.#pairs) near.destroy();
  }

  /** As `refuse`, for those whose first request has these words. */
  refuseFrom(words: RegExp): void {
    this.#refused = words;
    for (const pair of this.#pairs) if (words.test(pair.first)) pair.near.destroy();
  }

  /** Nothing comes through any more, and nobody is told. */
  blackHole(): void {
    this.requests = this.answers = 'lose';
  }

  /** New connections pass again; the old ones have lost bytes, and are of no use. */
  pass(): void {
    this.requests = this.answers = 'pass';
    this.#refuses = false;
  }

  /** Requests that were held arrive; resolves when each is answered, which nobody hears. */
  async release(): Promise<void> {
    await Promise.all(this.#held.splice(0).map(arrive => arrive()));
  }

  close(): void {
    this.#server.close();
    this.cut();
  }

  #connect(near: Socket, far: Socket): void {
    if (this.#refuses) near.destroy();
    const pair = {near, far, first: '', holds: false};
    this.#pairs.add(pair);
    // What comes behind bytes that went lost would be another fault than silence.
    const lost = {requests: false, answers: false};
    const forward = (way: 'requests' | 'answers', bytes: Buffer, to: Socket) => {
      if (way === 'requests') this.onRequest?.(bytes);
      if (lost[way]) return;
      lost[way] = this[way] !== 'pass';
      if (this[way] === 'pass') to.write(bytes);
      if (this[way] === 'lose') this.onLost?.();
      if (this[way] !== 'hold') return;
      pair.holds = true;
      this.#held.push(async () => {
        to.write(bytes);
        await once(to, 'data');
        to.destroy();
      });
    };
    near.on('data', (bytes: Buffer) => {
      pair.first ||= bytes.toString('latin1');
      if (this.#refused?.test(pair.first)) near.destroy();
      else forward('requests', bytes, far);
    });
    far.on('data', (bytes: Buffer) => forward('answers', bytes, near));
    for (const socket of [near, far]) {
      socket.setNoDelay(true);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        near.destroy();
        if (!pair.holds) far.destroy();
        this.#pairs.delete(pair);
      });
    }
  }
}
