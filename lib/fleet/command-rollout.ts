/** How does an operator step in? With a signed command, which whoever drives hears in its turn. */
import type {FleetAccess} from './access.js';
import type {Command} from './documents.js';

/**
 * Pauses, promotes or aborts a roll-out; resolves when the command is in the store, not when it was heard. Rejects with
 * ERR_UNKNOWN_ROLLOUT, ERR_ROLLOUT_ENDED, ERR_SIGNATURE, and as the store does.
 */
export async function commandRollout(
  _access: FleetAccess,
  _id: string,
  _command: Command['command'],
  _reason: string,
  _options: {readonly signal?: AbortSignal | undefined} = {},
): Promise<Command> {
  throw new Error('not yet');
}
