/** What is a node of the demo? Roots and a configuration of its own, as a machine of a fleet has them. */
import type {Roots} from '../../lock/layout.js';
import {system} from '../../os/system.js';
import {type GuardedConfig, openConfigLock} from '../../recovery/guarded-config.js';

export interface Node {
  readonly name: string;
  readonly file: string;
  readonly roots: Roots;
}

/** The lock of a node, as a process of that node opens it. */
export function openOn({name, file, roots}: Node): Promise<GuardedConfig> {
  return openConfigLock(file, {...roots, system: {...system(), node: name}});
}
