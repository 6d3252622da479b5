/** What does somebody have who asks something of the fleet? Its store, a session to write in, and what the fleet file says. */
import type {System} from '../os/system.js';
import type {FleetConfig} from './config.js';
import {Etcd} from './etcd/etcd.js';
import type {Session} from './etcd/session.js';

export interface FleetAccess {
  readonly config: FleetConfig;
  readonly etcd: Etcd;
  /** Lives as long as this access; what was written under its lease goes with it. */
  readonly session: Session;
  readonly system: System;
}

/** Access that its opener closes. */
export type OpenFleet = FleetAccess & AsyncDisposable;

/** Connects and begins a session. Rejects with ERR_STORE_UNREACHABLE, ERR_STORE_REFUSED or ERR_STORE_FULL. */
export async function openFleet(
  config: FleetConfig,
  system: System,
  signal?: AbortSignal,
): Promise<OpenFleet> {
  const etcd = await Etcd.connect(config.etcd, signal);
  try {
    const session = await etcd.session({signal});
    return {config, etcd, session, system, [Symbol.asyncDispose]: () => etcd.close()};
  } catch (error) {
    await etcd.close();
    throw error;
  }
}
