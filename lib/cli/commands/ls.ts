/** `locksmith ls`: which locks are there, and in which state? */
import {verdictFrom} from '../../daemon/answers.js';
import {EXIT} from '../../errors.js';
import {listNames} from '../../lock/layout.js';
import {listLocks} from '../../os/lock-table.js';
import {findConfigLock} from '../../recovery/guarded-config.js';
import type {ShownVerdict} from '../../recovery/verdict.js';
import {examineAnyway, toReport} from '../../recovery/report.js';
import {type Columns, chooseColumns, parseColumns, tableLines} from '../columns.js';
import type {CommandSpec} from '../command.js';
import {LOCK_COLUMNS, type ShownLock, showLocks, toLockReport, USUAL_LOCK_COLUMNS} from '../machine-locks.js';
import {note, print, printJson} from '../output.js';
import {STATE_STYLE} from '../report.js';
import {currentRoots} from '../resolve.js';
import {eitherWay, onlyDirectly, VIA_OPTIONS, type ViaGiven} from '../via.js';

interface LsGiven extends ViaGiven {
  readonly all?: true;
  readonly output?: readonly string[];
}

/** All columns, from which header, rows, `-o` and help come. */
const COLUMNS: Columns<ShownVerdict> = {
  NAME: ({name}) => name,
  STATE: ({state}) => state,
  HOT: ({hot, bit}) => (bit.value === null ? '?' : hot ? 'HOT' : '-'),
  EPOCH: ({epoch}) => String(epoch ?? '?'),
  OWNER: ({owner}) => (owner ? `${owner.pid}@${owner.node}` : '-'),
  SINCE: ({owner}) => owner?.since ?? '-',
  WAITERS: ({waiters}) => String(waiters.length),
  FILE: ({file}) => file,
};

async function examineAll(): Promise<ShownVerdict[]> {
  const configs = listNames(currentRoots()).flatMap(name => findConfigLock(name) ?? []);
  return Promise.all(configs.map(config => examineAnyway(config)));
}

async function showOurs(given: LsGiven): Promise<void> {
  const names = chooseColumns(COLUMNS, Object.keys(COLUMNS), given.output);
  const verdicts = await eitherWay(given, {
    kind: 'look',
    ask: async client => (await client.verdicts()).map(verdictFrom),
    direct: examineAll,
  });
  if (given.json) printJson(verdicts.map(toReport));
  else print(tableLines(COLUMNS, names, verdicts, ({state}) => STATE_STYLE[state]).join('\n'));
}

async function showMachine(given: LsGiven): Promise<void> {
  const names = chooseColumns(LOCK_COLUMNS, USUAL_LOCK_COLUMNS, given.output);
  const list = await onlyDirectly(given, {kind: 'look', beyond: '--all', direct: () => listLocks()});
  const locks = showLocks(list);
  if (given.json) return printJson(toLockReport(list, locks));
  const style = ({suspicion}: ShownLock) => (suspicion === undefined ? undefined : 'yellow');
  print(tableLines(LOCK_COLUMNS, names, locks, style).join('\n'));
  for (const {what, why} of list.gaps) note(`locksmith: ${what} can not be seen: ${why}`);
}

export const lsCommand: CommandSpec<LsGiven> = {
  name: 'ls',
  group: 'Look:',
  summary: 'list all locks with their state and owner',
  arguments: [],
  options: [
    {flags: '-a, --all', what: 'every lock of this machine instead, whoever took it, with all its holders'},
    {
      flags: '-o, --output <columns>',
      what: `columns, with commas between: ${Object.keys(COLUMNS).join(',')}; with --all: ${Object.keys(LOCK_COLUMNS).join(',')}`,
      parse: parseColumns,
    },
    ...VIA_OPTIONS,
  ],
  examples: [
    ['locksmith ls', 'all locks below LOCKSMITH_RUN'],
    ['locksmith ls -o NAME,STATE', 'two columns'],
    ['locksmith ls --all', 'every flock, OFD, POSIX lock and lease of the machine'],
  ],
  about:
    'Looks at each lock as `locksmith explain` does and changes nothing; who is not root asks the daemon, if one answers. With --all it looks at the lock table and at all processes: a SUSPICION there is no verdict; `locksmith explain FILE` gives one.',
  exits: [
    [0, 'done, also when there is no lock yet'],
    [2, 'failure'],
    [64, 'no such column, or --all with --via daemon'],
    [69, 'no daemon answers, with --via daemon'],
    [77, 'not permitted, or a state directory that can not be trusted'],
  ],
  async run(_, given) {
    await (given.all ? showMachine(given) : showOurs(given));
    return EXIT.done;
  },
};
