/** What is stored below our prefix, and how does etcd say it? */
import type {WireKeyValue} from './protocol.js';

/** One key as it was read. */
export interface KeyValue {
  /** Without the prefix of the fleet. */
  readonly key: string;
  readonly value: Buffer;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly version: number;
  /** Its lease; '0' when it has none. */
  readonly lease: string;
}

/** The keys below a prefix, which nobody above sees. */
export class KeySpace {
  readonly #prefix: string;
  readonly #bytes: number;

  constructor(prefix: string) {
    this.#prefix = prefix;
    this.#bytes = Buffer.byteLength(prefix);
  }

  toKey(key: string): Buffer {
    return Buffer.from(this.#prefix + key);
  }

  /** All keys that begin with that. */
  toRange(prefix: string): {key: Buffer; rangeEnd: Buffer} {
    const key = this.toKey(prefix);
    return {key, rangeEnd: after(key)};
  }

  nameOf({key}: Pick<WireKeyValue, 'key'>): string {
    return key.toString('utf8', this.#bytes);
  }

  read(wire: WireKeyValue): KeyValue {
    return {
      key: this.nameOf(wire),
      value: wire.value,
      createRevision: Number(wire.createRevision),
      modRevision: Number(wire.modRevision),
      version: Number(wire.version),
      lease: wire.lease,
    };
  }
}

/** The first key behind all that begin with these bytes. UTF-8 has no byte 0xff, so the last one can always be raised. */
function after(prefix: Buffer): Buffer {
  const end = Buffer.from(prefix);
  const last = end.length - 1;
  end[last] = (end[last] ?? 0) + 1;
  return end;
}
