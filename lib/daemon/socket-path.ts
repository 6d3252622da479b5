/** Where does the daemon of a RUN listen? */
import {join} from 'node:path';
import type {Roots} from '../lock/layout.js';

export function socketPath({run}: Pick<Roots, 'run'>): string {
  return join(run, 'daemon.sock');
}
