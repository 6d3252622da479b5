/** `locksmith fleet agent`: how does this machine take part in the fleet? */
import {once} from 'node:events';
import {EXIT} from '../../../errors.js';
import {Agent} from '../../../fleet/agent.js';
import {Etcd} from '../../../fleet/etcd/etcd.js';
import {resolveRoots} from '../../../lock/layout.js';
import {system as ourSystem} from '../../../os/system.js';
import type {CommandSpec} from '../../command.js';
import {Driving} from '../../fleet/driving.js';
import {CONFIG_OPTION, fleetConfig, type FleetGiven, STORE_EXITS} from '../../fleet/given.js';
import {logDriver, logNode} from '../../fleet/log.js';
import {nodeHold} from '../../fleet/node-hold.js';
import {POLICY_OPTIONS, type PolicyGiven} from '../../policy.js';
import {interruption} from '../../signals.js';
import {version} from '../../version.js';

interface AgentGiven extends FleetGiven, PolicyGiven {
  readonly drive?: true;
}

/** Runs until the signal aborts, or until what drives can not go on. */
async function takePart(given: AgentGiven, signal: AbortSignal): Promise<void> {
  const config = fleetConfig(given);
  const [{createLogger}, {Manager}] = await Promise.all([
    import('../../../daemon/log.js'),
    import('../../../daemon/notify.js'),
  ]);
  const system = ourSystem();
  const roots = resolveRoots(system);
  const logger = createLogger(process.env);
  const manager = new Manager(system);
  const hold = nodeHold(system, roots, given);
  await using etcd = await Etcd.connect(config.etcd, signal);
  await using _agent = await Agent.start({
    config,
    version: version(),
    system,
    roots,
    hold,
    etcd,
    signal,
    onEvent: logNode(logger),
  });
  await using driving = given.drive && new Driving({config, etcd, system}, logDriver(logger));
  const {node, fleet} = config;
  logger.info({node, fleet, endpoints: config.etcd.endpoints, drive: given.drive ?? false}, 'ready');
  manager.ready(`takes part in ${fleet} as ${node}`);
  await Promise.race([signal.aborted || once(signal, 'abort'), ...(driving ? [driving.over] : [])]);
  manager.stopping();
}

export const agentCommand: CommandSpec<AgentGiven> = {
  name: 'agent',
  group: 'Take part:',
  summary: 'let this machine take part in the fleet: roll-outs, holds, and who has its locks',
  arguments: [],
  options: [
    {flags: '--drive', what: 'lead roll-outs too, when no other driver does'},
    CONFIG_OPTION,
    ...POLICY_OPTIONS,
  ],
  examples: [
    ['locksmith fleet agent', 'by hand; Ctrl-C ends it'],
    ['systemctl enable --now locksmith-fleet', 'as a service'],
    ['locksmith fleet agent --drive', 'on two or three machines, so that roll-outs go on whatever happens'],
  ],
  about:
    'Says which locks of this machine are HOT, and does what the orders of the fleet say: each is verified by the keys of the fleet file, and the machine looks at its own lock first. ' +
    'A fleet hold goes through the daemon where one answers, so that its orchestrators hear of it; else it stops what the policy names. ' +
    'When etcd is away, nothing on this machine is; killed at any moment, the next agent goes on where it was. Logs lines of JSON on stderr. The policy is read anew for each hold and each content.',
  exits: [[0, 'ended by SIGTERM or SIGINT'], [75, 'another agent is this node already'], ...STORE_EXITS],
  async run(_, given) {
    using interrupted = interruption();
    const {signal} = interrupted;
    try {
      await takePart(given, signal);
    } catch (error) {
      if (!signal.aborted || error !== signal.reason) throw error;
    }
    return EXIT.done;
  },
};
