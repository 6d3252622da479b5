/** With what does an operator or a driver reach the fleet? */
import type {System} from '../os/system.js';
import type {FleetConfig} from './config.js';
import type {Etcd} from './etcd/etcd.js';
import type {Session} from './etcd/session.js';

export interface FleetAccess {
  readonly config: FleetConfig;
  readonly etcd: Etcd;
  readonly session: Session;
  readonly system: System;
}
