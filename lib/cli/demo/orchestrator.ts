/** The orchestrator: reads the configuration of every node, round after round. What a hold has stopped goes on only when told. */
import {setTimeout as pause} from 'node:timers/promises';
import {isLockError} from '../../errors.js';
import type {Cycle} from '../../lock/config-lock.js';
import type {GuardedConfig} from '../../recovery/guarded-config.js';
import {type Node, openOn} from './node.js';
import {given, say, told} from './part.js';

/** Milliseconds between two rounds. */
const PACE = 10;

/** Passes the gate; stopped by a hold, it says so and waits for the word to go on. */
async function pass(config: GuardedConfig, node: string): Promise<Cycle> {
  const cycle = await config.tryEnter();
  if (cycle) return cycle;
  say({say: 'stopped', node});
  await told('resume');
  say({say: 'resumed', node});
  return config.enter();
}

/** What one cycle on one node reads: the content, or HOT. */
async function readOnce(config: GuardedConfig, node: string): Promise<string> {
  using _ = await pass(config, node);
  try {
    return (await config.read()).toString('utf8').trim();
  } catch (error) {
    if (isLockError(error, 'ERR_HOT')) return 'HOT';
    throw error;
  }
}

const nodes = given as Node[];
const configs = await Promise.all(nodes.map(node => openOn(node)));

for (let round = 1; ; round++) {
  const reads: string[] = [];
  for (const [index, config] of configs.entries())
    reads.push(await readOnce(config, nodes[index]?.name ?? ''));
  say({say: 'round', round, reads});
  await pause(PACE);
}
