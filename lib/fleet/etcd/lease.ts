/** How long does a lease last that nobody keeps? As long as it was granted for, or until it is revoked. */
import {status} from '@grpc/grpc-js';
import type {Connection} from './connection.js';
import {hasStatus} from './failure.js';
import {LEASE_GRANT, LEASE_REVOKE, LEASE_TIME_TO_LIVE} from './protocol.js';

export async function grantLease(
  connection: Connection,
  seconds: number,
  signal?: AbortSignal,
): Promise<{readonly id: string}> {
  const {ID} = await connection.ask(LEASE_GRANT, {TTL: seconds}, signal);
  return {id: ID};
}

/** Milliseconds; undefined: it is over. */
export async function leaseRemaining(
  connection: Connection,
  id: string,
  signal?: AbortSignal,
): Promise<number | undefined> {
  const seconds = Number((await connection.ask(LEASE_TIME_TO_LIVE, {ID: id}, signal)).TTL);
  return seconds < 0 ? undefined : seconds * 1000;
}

export async function revokeLease(connection: Connection, id: string, signal?: AbortSignal): Promise<void> {
  try {
    await connection.ask(LEASE_REVOKE, {ID: id}, signal);
  } catch (error) {
    // It is over already.
    if (!hasStatus(error, status.NOT_FOUND)) throw error;
  }
}
