/** Where is the fleet file? Asked also where nothing else of the fleet is needed. */
import {resolve} from 'node:path';
import type {System} from '../os/system.js';

/** Beside the policy, whose files are all `/etc/locksmith/*.yaml`. */
const SYSTEM_FILE = '/etc/locksmith/fleet/fleet.yaml';

/** The fleet file: the one that is given, else LOCKSMITH_FLEET, else the system's. */
export function fleetConfigPath({env}: System, given?: string): string {
  return resolve(given ?? env['LOCKSMITH_FLEET'] ?? SYSTEM_FILE);
}
