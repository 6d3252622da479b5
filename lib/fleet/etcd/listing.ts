/** What is below a prefix, all as of one moment? Read in pages of one revision. */
import {status} from '@grpc/grpc-js';
import type {Connection} from './connection.js';
import {hasStatus} from './failure.js';
import type {KeySpace, KeyValue} from './key-value.js';
import {type Header, RANGE} from './protocol.js';

const PAGE = 128;

/** What was there, and when. */
export interface Listing {
  readonly items: readonly KeyValue[];
  readonly revision: number;
  readonly header: Header;
}

/** Begins anew when the revision that it reads was compacted away meanwhile. Rejects as `Connection.ask` does. */
export async function listing(
  connection: Connection,
  keys: KeySpace,
  prefix: string,
  signal?: AbortSignal,
): Promise<Listing> {
  for (;;) {
    try {
      return await pages(connection, keys, prefix, signal);
    } catch (error) {
      if (!hasStatus(error, status.OUT_OF_RANGE)) throw error;
    }
  }
}

async function pages(
  connection: Connection,
  keys: KeySpace,
  prefix: string,
  signal?: AbortSignal,
): Promise<Listing> {
  const range = {...keys.toRange(prefix), limit: PAGE};
  const first = await connection.ask(RANGE, range, signal);
  const revision = Number(first.header.revision);
  const items = first.kvs.map(wire => keys.read(wire));
  for (let page = first; page.more; ) {
    const last = page.kvs.at(-1)?.key ?? range.key;
    const key = Buffer.concat([last, Buffer.of(0)]);
    page = await connection.ask(RANGE, {...range, key, revision}, signal);
    items.push(...page.kvs.map(wire => keys.read(wire)));
  }
  return {items, revision, header: first.header};
}
