/** What lies between a test and a server? A proxy that cuts connections, or swallows what goes through them. */
import {once} from 'node:events';
import {type AddressInfo, connect, createServer, type Server, type Socket} from 'node:net';
import type {Ends} from './scratch.js';

/** What becomes of bytes: they pass, go lost, or wait until they may pass. */
type Fate = 'pass' | 'lose' | 'hold';

interface Pair {
  readonly near: Socket;
  readonly far: Socket;
}

/** To one port. */
export class TcpProxy {
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  readonly #held: (() => void)[] = [];
  /** From the client to the server, and back. */
  requests: Fate = 'pass';
  answers: Fate = 'pass';
  /** Sees what a client sends, before its fate is looked at. */
  onRequest: ((bytes: Buffer) => void) | undefined;

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

  /** Nothing comes through any more, and nobody is told. */
  blackHole(): void {
    this.requests = this.answers = 'lose';
  }

  /** New connections pass again; the old ones have lost bytes, and are of no use. */
  pass(): void {
    this.requests = this.answers = 'pass';
    for (const go of this.#held.splice(0)) go();
  }

  close(): void {
    this.#server.close();
    this.cut();
  }

  #connect(near: Socket, far: Socket): void {
    const pair = {near, far};
    this.#pairs.add(pair);
    // Bytes of a stream that has lost some would be another fault than silence.
    const lost = {requests: false, answers: false};
    const forward = (way: 'requests' | 'answers', bytes: Buffer, to: Socket) => {
      if (way === 'requests') this.onRequest?.(bytes);
      lost[way] ||= this[way] === 'lose';
      if (lost[way]) return;
      if (this[way] === 'hold' || this.#held.length > 0) this.#held.push(() => to.write(bytes));
      else to.write(bytes);
    };
    near.on('data', (bytes: Buffer) => forward('requests', bytes, far));
    far.on('data', (bytes: Buffer) => forward('answers', bytes, near));
    for (const socket of [near, far]) {
      socket.setNoDelay(true);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        near.destroy();
        far.destroy();
        this.#pairs.delete(pair);
      });
    }
  }
}
