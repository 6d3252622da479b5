/** `locksmith fleet rollout pause`, `promote` and `abort`: how does an operator step in? */
import {EXIT} from '../../../../errors.js';
import {commandRollout} from '../../../../fleet/command-rollout.js';
import type {Command} from '../../../../fleet/documents.js';
import type {CommandSpec} from '../../../command.js';
import {follow} from '../../../fleet/follow.js';
import {
  CONFIG_OPTION,
  type FleetGiven,
  onlyOne,
  REASON_OPTION,
  STORE_EXITS,
  withFleet,
} from '../../../fleet/given.js';
import {print, printJson} from '../../../output.js';
import {interruption} from '../../../signals.js';

interface StepInGiven extends FleetGiven {
  readonly reason: string;
  readonly follow?: true;
}

/** What each command does, in words. */
interface Words {
  readonly summary: string;
  readonly example: string;
  readonly effect: string;
  readonly about: string;
}

function stepIn(
  name: Command['command'],
  {summary, example, effect, about}: Words,
): CommandSpec<StepInGiven> {
  return {
    name,
    group: 'Use:',
    summary,
    arguments: [['<id>', 'of the roll-out, as `locksmith fleet rollout status` shows it']],
    options: [
      REASON_OPTION,
      {flags: '--follow', what: 'show how it goes on, until it has ended or is paused'},
      CONFIG_OPTION,
    ],
    examples: [[`locksmith fleet rollout ${name} ID --reason "${example}"`, effect]],
    about: `${about} Signed with our key ("sign" of the fleet file). With --json: the command, {"rollout", "seq", "command", "reason", "by", "at"}.`,
    exits: [
      [0, 'whoever drives will do it; with --follow: it converged'],
      [1, 'it has ended already; with --follow: it was stopped or rolled back'],
      [2, 'no such roll-out'],
      [75, 'with --follow: it is paused'],
      ...STORE_EXITS,
    ],
    async run(ids, given) {
      const id = onlyOne(ids, 'roll-out');
      using interrupted = interruption();
      const {signal} = interrupted;
      return await withFleet(given, signal, async access => {
        const command = await commandRollout(access, id, name, given.reason, {signal});
        if (given.json) printJson(command);
        else print(`${name}: roll-out ${id} is told so: ${given.reason}`);
        if (!given.follow) return EXIT.done;
        return follow(access, id, {...given, signal, heard: command.seq});
      });
    },
  };
}

export const pauseCommand = stepIn('pause', {
  summary: 'let a roll-out stand still where it is',
  example: 'wait for the night',
  effect: 'no further node begins',
  about: 'Nodes that have begun go on to their end; nothing is put back. `promote` lets it go on.',
});

export const promoteCommand = stepIn('promote', {
  summary: 'let a roll-out that is paused go on',
  example: 'node-7 is repaired',
  effect: 'nodes that were refused try again',
  about: 'It goes on where it was paused: nodes that were refused look at their lock again.',
});

export const abortCommand = stepIn('abort', {
  summary: 'stop a roll-out, and put back what was applied',
  example: 'wrong content',
  effect: 'every node gets back what it had',
  about: 'Every node that applied the content puts back what it had before, at an epoch of its own.',
});
