/** How does an operator step in? With a signed command, which whoever drives hears in its turn. */
import {LockError} from '../errors.js';
import type {FleetAccess} from './access.js';
import type {Command, RolloutState} from './documents.js';
import {namesBelow} from './entries.js';
import {KEYS} from './keys.js';
import {ourselves, sealAsOperator} from './operator.js';
import {hasEnded, readRollout} from './rollout-view.js';

interface Asking {
  readonly signal?: AbortSignal | undefined;
}

async function requireActive(access: FleetAccess, id: string, asking: Asking): Promise<RolloutState> {
  const {state, problems} = await readRollout(access, id, asking);
  if (!state) throw new LockError('ERR_STORE_ANSWER', problems.join('; '), {rollout: id});
  if (!hasEnded(state.phase)) return state;
  throw new LockError('ERR_ROLLOUT_ENDED', `the roll-out ${id} has ended already: it is ${state.phase}`, {
    rollout: id,
    phase: state.phase,
  });
}

/** The lowest that is free after what was heard: commands are heard one after the other. */
async function nextSeq({etcd}: FleetAccess, id: string, heard: number, asking: Asking): Promise<number> {
  const {items} = await etcd.list(KEYS.commands(id), asking);
  const entries = new Map(items.map(item => [item.key, item]));
  const taken = new Set(namesBelow(entries, KEYS.commands(id)).map(Number));
  let seq = heard + 1;
  while (taken.has(seq)) seq += 1;
  return seq;
}

/**
 * Pauses, promotes or aborts a roll-out; resolves when the command is in the store, not when it was heard. One operator is enough, however
 * many have to sign a plan: no command goes beyond what was approved. Rejects with ERR_UNKNOWN_ROLLOUT, ERR_ROLLOUT_ENDED,
 * ERR_SIGNATURE, and as the store does.
 */
export async function commandRollout(
  access: FleetAccess,
  id: string,
  command: Command['command'],
  reason: string,
  asking: Asking = {},
): Promise<Command> {
  const {config, session, system} = access;
  for (;;) {
    const {heard} = await requireActive(access, id, asking);
    const seq = await nextSeq(access, id, heard, asking);
    const document: Command = {
      v: 1,
      kind: 'command',
      fleet: config.fleet,
      rollout: id,
      seq,
      command,
      reason: reason.slice(0, 4096),
      by: ourselves(config, system),
      at: new Date(system.now()).toISOString(),
    };
    const value = JSON.stringify(sealAsOperator(config, document));
    const key = KEYS.command(id, seq);
    const {applied} = await session.transact(
      {when: [{key, exists: false}], then: [{put: key, value}]},
      asking,
    );
    // Somebody else has taken that number in between.
    if (applied) return document;
  }
}
