/** `locksmith fleet approve`: how does a second operator agree? */
import {EXIT} from '../../../errors.js';
import {approve} from '../../../fleet/approval.js';
import type {CommandSpec} from '../../command.js';
import {CONFIG_OPTION, type FleetGiven, onlyOne, STORE_EXITS, withFleet} from '../../fleet/given.js';
import {proposalLines} from '../../fleet/proposal-lines.js';
import {print, printJson} from '../../output.js';
import {interruption} from '../../signals.js';

export const approveCommand: CommandSpec<FleetGiven> = {
  name: 'approve',
  group: 'Use:',
  summary: 'sign what another operator wants to do',
  arguments: [['<id>', 'of the proposal, as `locksmith fleet proposals` shows it']],
  options: [CONFIG_OPTION],
  examples: [
    ['locksmith fleet proposals', 'look first'],
    ['locksmith fleet approve 3f9c2a', 'signs with our key'],
  ],
  about:
    'Signs exactly what `locksmith fleet proposals` showed under that ID, with the key that the fleet file has under "sign". With --json: {"id", "document", "signers", "needed"}.',
  exits: [[0, 'signed'], [64, 'nothing waits under that ID'], ...STORE_EXITS],
  async run(ids, given) {
    const id = onlyOne(ids, 'proposal');
    using interrupted = interruption();
    const proposal = await withFleet(given, interrupted.signal, access => approve(access, id));
    if (given.json) printJson(proposal);
    else print(['signed', ...proposalLines(proposal)].join('\n'));
    return EXIT.done;
  },
};
