/** `locksmith fleet rollout history`: which roll-outs were there, and what became of them? */
import {EXIT} from '../../../../errors.js';
import {listRollouts} from '../../../../fleet/rollout-view.js';
import type {CommandSpec} from '../../../command.js';
import {CONFIG_OPTION, type FleetGiven, STORE_EXITS, withFleet} from '../../../fleet/given.js';
import {summaryCells} from '../../../fleet/rollout-lines.js';
import {align, paint, print, printJson} from '../../../output.js';
import {interruption} from '../../../signals.js';

export const historyCommand: CommandSpec<FleetGiven> = {
  name: 'history',
  group: 'Look:',
  summary: 'list the last roll-outs of each lock, and what became of them',
  arguments: [['[lock]', 'only those of that lock']],
  options: [CONFIG_OPTION],
  examples: [['locksmith fleet rollout history aim_lock_config', 'the newest first']],
  about:
    'Those under way first, then the newest. `locksmith fleet rollout status ID` shows the nodes and the events of one. With --json: a list of {"id", "plan", "state", "active"}.',
  exits: [[0, 'done, also when there was none'], ...STORE_EXITS],
  async run([lock], given) {
    using interrupted = interruption();
    const {signal} = interrupted;
    const all = await withFleet(given, signal, access => listRollouts(access, {signal}));
    const found = all.filter(({plan}) => lock === undefined || plan?.lock === lock);
    if (given.json) printJson(found);
    else {
      const [header = '', ...rows] = align([
        ['ID', 'LOCK', 'PHASE', 'BEGUN', 'WHY'],
        ...found.map(summaryCells),
      ]);
      print([paint(process.stdout, 'bold', header), ...rows].join('\n'));
    }
    return EXIT.done;
  },
};
