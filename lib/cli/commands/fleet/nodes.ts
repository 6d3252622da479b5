/** `locksmith fleet nodes`: who is in the fleet, who is silent, and whose locks are HOT? */
import {EXIT} from '../../../errors.js';
import {matches} from '../../../fleet/cohort.js';
import type {Registration} from '../../../fleet/documents.js';
import {type FleetNode, readFleet} from '../../../fleet/rollout-view.js';
import {type Columns, tableLines} from '../../columns.js';
import type {CommandSpec} from '../../command.js';
import {CONFIG_OPTION, type FleetGiven, STORE_EXITS, WHERE_OPTION, withFleet} from '../../fleet/given.js';
import {labelsOf, labelText, ownerText} from '../../fleet/words.js';
import {note, print, printJson} from '../../output.js';
import {interruption} from '../../signals.js';

interface NodesGiven extends FleetGiven {
  readonly where?: Readonly<Record<string, string>>;
}

function hotText({lock, state, owner}: Registration['hot'][number]): string {
  return [lock, state, ...(owner ? [`(${ownerText(owner)})`] : [])].join(' ');
}

const COLUMNS: Columns<FleetNode> = {
  NODE: ({node}) => node,
  STATE: ({silent}) => (silent ? 'SILENT' : 'UP'),
  VERSION: ({registration, known}) => (registration ?? known)?.version ?? '?',
  LABELS: node => labelText(labelsOf(node)) || '-',
  HOT: ({registration}) => registration?.hot.map(hotText).join('; ') || (registration ? '-' : '?'),
};

function toJson({node, silent, registration, known}: FleetNode): Record<string, unknown> {
  return {
    node,
    state: silent ? 'SILENT' : 'UP',
    version: (registration ?? known)?.version ?? null,
    labels: (registration ?? known)?.labels ?? {},
    machineId: (registration ?? known)?.machineId ?? null,
    bootId: registration?.bootId ?? null,
    locks: registration?.locks ?? null,
    hot: registration?.hot ?? null,
    epochs: (registration ?? known)?.epochs ?? {},
    since: registration?.since ?? null,
  };
}

function styleOf({silent, registration}: FleetNode) {
  if (silent) return 'yellow';
  return registration && registration.hot.length > 0 ? 'red' : undefined;
}

export const nodesCommand: CommandSpec<NodesGiven> = {
  name: 'nodes',
  group: 'Look:',
  summary: 'list the nodes with their labels, and their locks that are HOT',
  arguments: [],
  options: [WHERE_OPTION, CONFIG_OPTION],
  examples: [
    ['locksmith fleet nodes', 'all that were ever there'],
    ['locksmith fleet nodes --where site=oslo', 'those with a label'],
  ],
  about:
    'UP: its agent has a session with etcd. SILENT: it has none, which proves nothing of the machine, nor of its locks; it may work without etcd. ' +
    'HOT shows locks that are held or orphaned, as the node itself sees them. ' +
    'With --json: {"leader", "nodes": [{"node", "state", "version", "labels", "machineId", "bootId", "locks", "hot": [{"lock", "state", "summary", "owner"}], "epochs", "since"}], "problems"}.',
  exits: [[0, 'done, also when nobody is there'], ...STORE_EXITS],
  async run(_, given) {
    using interrupted = interruption();
    const {signal} = interrupted;
    const {leader, nodes, problems} = await withFleet(given, signal, access => readFleet(access, {signal}));
    const shown = nodes.filter(node => matches({labels: labelsOf(node)}, given.where ?? {}));
    if (given.json) printJson({leader: leader ?? null, nodes: shown.map(toJson), problems});
    else {
      print(tableLines(COLUMNS, Object.keys(COLUMNS), shown, styleOf).join('\n'));
      for (const problem of problems) note(`locksmith: ${problem}`);
    }
    return EXIT.done;
  },
};
