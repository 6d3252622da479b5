/** `locksmith fleet drive`: who leads roll-outs from step to step? */
import {EXIT} from '../../../errors.js';
import {Etcd} from '../../../fleet/etcd/etcd.js';
import {Driver} from '../../../fleet/driver.js';
import {system} from '../../../os/system.js';
import type {CommandSpec} from '../../command.js';
import {logDriver} from '../../fleet/log.js';
import {CONFIG_OPTION, fleetConfig, type FleetGiven, STORE_EXITS} from '../../fleet/given.js';
import {interruption} from '../../signals.js';

export const driveCommand: CommandSpec<FleetGiven> = {
  name: 'drive',
  group: 'Take part:',
  summary: 'lead roll-outs from step to step, and nothing else',
  arguments: [],
  options: [CONFIG_OPTION],
  examples: [['locksmith fleet drive', 'on a machine that is no node; Ctrl-C ends it']],
  about:
    'One driver leads at a time, all others wait for it to end; whoever comes next goes on where it was. Signs with the key that the fleet file has under "drive". ' +
    'Logs lines of JSON on stderr. `locksmith fleet agent --drive` does it beside its own work.',
  exits: [[0, 'ended by SIGTERM or SIGINT'], ...STORE_EXITS],
  async run(_, given) {
    const config = fleetConfig(given);
    const {createLogger} = await import('../../../daemon/log.js');
    using interrupted = interruption();
    const {signal} = interrupted;
    try {
      await using etcd = await Etcd.connect(config.etcd, signal);
      await Driver.run(
        {config, etcd, system: system()},
        {signal, onEvent: logDriver(createLogger(process.env))},
      );
    } catch (error) {
      if (error !== signal.reason || !signal.aborted) throw error;
    }
    return EXIT.done;
  },
};
