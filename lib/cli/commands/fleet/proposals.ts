/** `locksmith fleet proposals`: what waits for a second operator? */
import {EXIT} from '../../../errors.js';
import {listProposals} from '../../../fleet/approval.js';
import type {CommandSpec} from '../../command.js';
import {CONFIG_OPTION, type FleetGiven, STORE_EXITS, withFleet} from '../../fleet/given.js';
import {proposalLines} from '../../fleet/proposal-lines.js';
import {note, print, printJson} from '../../output.js';
import {interruption} from '../../signals.js';

export const proposalsCommand: CommandSpec<FleetGiven> = {
  name: 'proposals',
  group: 'Look:',
  summary: 'list what waits for the approval of operators',
  arguments: [],
  options: [CONFIG_OPTION],
  examples: [['locksmith fleet proposals', 'what each would do, and who has signed it']],
  about:
    'Where the fleet file demands approvals, a roll-out or a hold waits here until as many other operators have approved it. ' +
    'With --json: {"proposals": [{"id", "document", "signers", "needed"}], "problems"}.',
  exits: [[0, 'done, also when nothing waits'], ...STORE_EXITS],
  async run(_, given) {
    using interrupted = interruption();
    const {proposals, problems} = await withFleet(given, interrupted.signal, access => listProposals(access));
    if (given.json) printJson({proposals, problems});
    else {
      print(
        proposals.length === 0
          ? 'nothing waits for approval'
          : proposals.map(each => proposalLines(each).join('\n')).join('\n\n'),
      );
      for (const problem of problems) note(`locksmith: ${problem}`);
    }
    return EXIT.done;
  },
};
