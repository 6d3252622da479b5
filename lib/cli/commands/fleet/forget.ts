/** `locksmith fleet forget`: how is a machine that is gone for good no longer counted as silent? */
import {EXIT} from '../../../errors.js';
import {forgetNode} from '../../../fleet/forget-node.js';
import type {CommandSpec} from '../../command.js';
import {CONFIG_OPTION, type FleetGiven, onlyOne, STORE_EXITS, withFleet} from '../../fleet/given.js';
import {print, printJson} from '../../output.js';
import {interruption} from '../../signals.js';

export const forgetCommand: CommandSpec<FleetGiven> = {
  name: 'forget',
  group: 'Use:',
  summary: 'count a machine that is gone for good no longer as silent',
  arguments: [['<node>', 'as `locksmith fleet nodes` shows it']],
  options: [CONFIG_OPTION],
  examples: [
    ['locksmith fleet nodes', 'who is SILENT?'],
    ['locksmith fleet forget node-7', 'it was taken out of the rack'],
  ],
  about:
    'That a node is SILENT proves nothing of it: forget it when you know that the machine is gone. Roll-outs and holds no longer wait for it. Nothing is done to the machine itself; ' +
    'should its agent start again, it is a node as before, and does what is in force. With --json: {"node"}.',
  exits: [
    [0, 'it is forgotten'],
    [64, 'no such node is known'],
    [75, 'it is UP: end its agent first'],
    ...STORE_EXITS,
  ],
  async run(names, given) {
    const node = onlyOne(names, 'node');
    using interrupted = interruption();
    const {signal} = interrupted;
    await withFleet(given, signal, access => forgetNode(access, node, {signal}));
    if (given.json) printJson({node});
    else print(`${node} is forgotten: nobody waits for it any more`);
    return EXIT.done;
  },
};
