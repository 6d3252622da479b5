/** `locksmith daemon`: who watches all locks, sees each owner's death at once, and takes back what the policy says? */
import {once} from 'node:events';
import {EXIT} from '../../errors.js';
import type {FleetConfig} from '../../fleet/config.js';
import {resolveRoots} from '../../lock/layout.js';
import {system} from '../../os/system.js';
import type {CommandSpec, Given} from '../command.js';
import {POLICY_OPTIONS, type PolicyGiven} from '../policy.js';
import {Interrupted, onSignals} from '../signals.js';
import {parseDuration} from '../units.js';
import {version} from '../version.js';

interface DaemonGiven extends Given, PolicyGiven {
  readonly socket?: string;
  readonly page?: string;
  readonly sweep?: number;
  /** True: the usual fleet file. */
  readonly fleet?: string | true;
}

/** Loaded when it is asked for. Rejects with ERR_FLEET_CONFIG. */
async function fleetConfig(given: DaemonGiven['fleet']): Promise<FleetConfig | undefined> {
  if (given === undefined) return undefined;
  const {readFleetConfig} = await import('../../fleet/config.js');
  return readFleetConfig(system(), given === true ? undefined : given);
}

export const daemonCommand: CommandSpec<DaemonGiven> = {
  name: 'daemon',
  group: 'Take back:',
  summary: 'watch all locks: see each death at once, recover by policy, answer on a socket',
  arguments: [],
  options: [
    {flags: '--socket <path>', what: 'listen there instead of on LOCKSMITH_RUN/daemon.sock'},
    {
      flags: '--page <address>',
      what: 'show the status page in a browser too, by a loopback address: 127.0.0.1:7357 or [::1]:7357',
    },
    {
      flags: '--sweep <duration>',
      what: 'look at all locks that often, whatever the events say',
      parse: parseDuration,
      fallback: 20_000,
      shown: '20s',
    },
    {
      flags: '--fleet [file]',
      what: 'look at the fleet as well, and show its roll-outs; $LOCKSMITH_FLEET or /etc/locksmith/fleet/fleet.yaml says where it is',
    },
    ...POLICY_OPTIONS,
  ],
  examples: [
    ['locksmith daemon', 'by hand; Ctrl-C ends it'],
    ['systemctl start locksmith', 'as a service, restarted when it stands still'],
    ['locksmith daemon --page 127.0.0.1:7357', 'with a page for the browsers of this machine, to look only'],
    ['locksmith daemon --fleet --page 127.0.0.1:7357', 'with the roll-outs of the fleet on that page'],
    ['curl --unix-socket /run/locksmith/daemon.sock http://localhost/v1/locks', 'ask it'],
  ],
  about:
    'Every lock below LOCKSMITH_RUN is looked at before it is READY; what an owner left in the middle is recovered where the policy says "recover: automatic", else reported. ' +
    'It holds no lock for anybody: when it ends, or is killed, nothing is lost, and the next one finds everything again. SIGHUP reads the policy anew. ' +
    'With --fleet it only looks at etcd, waits for it when it is away, and does all else without it.',
  exits: [
    [0, 'ended by SIGTERM or SIGINT'],
    [2, 'failure, or a policy or fleet file with a fault'],
    [64, 'usage'],
    [75, 'another daemon watches these locks already'],
    [77, 'not permitted, or a state directory that can not be trusted'],
  ],
  async run(_, {socket, page, sweep, policy, fleet}) {
    const [{Daemon}, {createLogger}] = await Promise.all([
      import('../../daemon/daemon.js'),
      import('../../daemon/log.js'),
    ]);
    const logger = createLogger(process.env);
    const end = new AbortController();
    let reload = () => undefined as void;
    using _signals = onSignals(signal =>
      signal === 'SIGHUP' ? reload() : end.abort(new Interrupted(signal)),
    );
    const roots = resolveRoots(system());
    const options = {
      system: system(),
      roots,
      version: version(),
      logger,
      socket,
      page,
      sweep,
      policy,
      fleet: await fleetConfig(fleet),
      signal: end.signal,
    };
    const daemon = await Daemon.start(options).catch((error: unknown) => {
      if (error !== end.signal.reason) throw error;
    });
    if (!daemon) return EXIT.done;
    reload = () =>
      void daemon
        .reload()
        .catch((error: unknown) => logger.error({err: error}, 'the policy could not be read'));
    logger.info({...daemon.status(), socket: daemon.socket, page: daemon.url}, 'ready');
    if (!end.signal.aborted) await once(end.signal, 'abort');
    await daemon.end();
    return EXIT.done;
  },
};
