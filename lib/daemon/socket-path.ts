/** Where does the daemon of a RUN listen? */
import {join} from 'node:path';
import {type Roots, SYSTEM_RUN} from '../lock/layout.js';

export function socketPath({run}: Pick<Roots, 'run'>): string {
  return join(run, 'daemon.sock');
}

/** Of the daemon that watches the locks of the whole system. */
export const SYSTEM_SOCKET = socketPath({run: SYSTEM_RUN});
