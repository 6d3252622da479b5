/** Is this machine's part in the fleet in order? For `locksmith doctor`. */
import {type FleetConfig, readFleetConfig} from '../../fleet/config.js';
import {Etcd} from '../../fleet/etcd/etcd.js';
import {monotonic} from '../../os/deadline.js';
import type {System} from '../../os/system.js';
import {type Finding, ok, warn} from '../finding.js';
import {showDuration} from '../units.js';

/** A lease that etcd counts at another pace than we do: seconds, and how far off is too far. */
const LEASE = 10;
const TOO_FAR = 2000;

/** How far etcd's count of a lease is from ours, in milliseconds; etcd tells whole seconds. */
async function leaseIsOff(etcd: Etcd): Promise<number> {
  const asked = monotonic();
  const {id} = await etcd.grantLease(LEASE);
  try {
    const remaining = (await etcd.leaseRemaining(id)) ?? 0;
    return LEASE * 1000 - remaining - (monotonic() - asked);
  } finally {
    await etcd.revokeLease(id);
  }
}

function trustText({operators, drivers}: FleetConfig): string {
  const names = ({keys}: FleetConfig['operators']) => keys.map(({name}) => name).join(', ') || 'anybody';
  return `plans of ${names(operators)} and orders of ${names(drivers)} are believed`;
}

/** Reads the fleet file and its keys, and asks etcd. Rejects with what is wrong. */
export async function lookAtFleet(system: System): Promise<Finding> {
  const config = readFleetConfig(system);
  await using etcd = await Etcd.connect(config.etcd);
  const off = await leaseIsOff(etcd);
  const saw = `${config.node} in ${config.fleet}, etcd answers on ${config.etcd.endpoints.join(', ')}; ${trustText(config)}`;
  if (Math.abs(off) > TOO_FAR)
    return warn(
      `${saw}; a lease is off by ${showDuration(Math.abs(off))}`,
      'etcd is slow or its clock does not run as ours: sessions may end early',
    );
  return config.operators.keys.length > 0
    ? ok(saw)
    : warn(
        saw,
        'whoever may write to etcd can change files here: give operators and drivers keys (docs/fleet.md)',
      );
}
