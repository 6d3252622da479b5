/** How are the members of the store reached? One channel each; several clients of a process may share them. */

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

/** Connections to the members. Whoever opened them closes them. */
export class Channels implements Disposable {
  readonly endpoints: readonly string[];

  /** Connects when something is asked for first. Throws ERR_FLEET_CONFIG. */
  constructor({endpoints}: Reach) {
    this.endpoints = endpoints;
  }

  close(): void {}

  [Symbol.dispose](): void {
    this.close();
  }
}
