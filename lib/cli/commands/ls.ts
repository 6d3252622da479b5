/** `locksmith ls`: which locks are there, and in which state? */
import {InvalidArgumentError} from 'commander';
import {EXIT} from '../../errors.js';
import {listNames} from '../../lock/layout.js';
import {findConfigLock} from '../../recovery/guarded-config.js';
import type {Verdict} from '../../recovery/verdict.js';
import type {CommandSpec, Given} from '../command.js';
import {align, paint, print, printJson} from '../output.js';
import {examineAnyway, STATE_STYLE, toReport} from '../report.js';
import {currentRoots} from '../resolve.js';

/** All columns, from which header, rows, `-o` and help come. */
const COLUMNS = {
  NAME: ({name}) => name,
  STATE: ({state}) => state,
  HOT: ({hot, bit}) => (bit.value === null ? '?' : hot ? 'HOT' : '-'),
  EPOCH: ({epoch}) => String(epoch ?? '?'),
  OWNER: ({owner}) => (owner ? `${owner.pid}@${owner.node}` : '-'),
  SINCE: ({owner}) => owner?.since ?? '-',
  WAITERS: ({waiters}) => String(waiters.length),
  FILE: ({file}) => file,
} as const satisfies Record<string, (verdict: Verdict) => string>;

type Column = keyof typeof COLUMNS;
const ALL = Object.keys(COLUMNS) as Column[];

function parseColumns(text: string): Column[] {
  const wanted = text.toUpperCase().split(',');
  const unknown = wanted.find(column => !Object.hasOwn(COLUMNS, column));
  if (unknown !== undefined)
    throw new InvalidArgumentError(`${unknown} is no column; there are ${ALL.join(', ')}.`);
  return wanted as Column[];
}

function table(verdicts: readonly Verdict[], columns: readonly Column[]): string[] {
  const [header = '', ...lines] = align([
    columns,
    ...verdicts.map(verdict => columns.map(column => COLUMNS[column](verdict))),
  ]);
  return [
    paint(process.stdout, 'bold', header),
    ...lines.map((line, index) =>
      paint(process.stdout, STATE_STYLE[verdicts[index]?.state ?? 'UNKNOWN'], line),
    ),
  ];
}

async function examineAll(): Promise<Verdict[]> {
  const configs = listNames(currentRoots()).flatMap(name => findConfigLock(name) ?? []);
  return Promise.all(configs.map(config => examineAnyway(config)));
}

export const lsCommand: CommandSpec<Given & {output: Column[]}> = {
  name: 'ls',
  group: 'Look:',
  summary: 'list all locks with their state and owner',
  arguments: [],
  options: [
    {
      flags: '-o, --output <columns>',
      what: `columns, with commas between: ${ALL.join(',')}`,
      parse: parseColumns,
      fallback: ALL,
      shown: 'all',
    },
  ],
  examples: [
    ['locksmith ls', 'all locks below LOCKSMITH_RUN'],
    ['locksmith ls -o NAME,STATE', 'two columns'],
  ],
  about: 'Looks at each lock as `locksmith explain` does and changes nothing.',
  exits: [
    [0, 'done, also when there is no lock yet'],
    [2, 'failure'],
    [77, 'not permitted, or a state directory that can not be trusted'],
  ],
  async run(_, {json, output}) {
    const verdicts = await examineAll();
    if (json) printJson(verdicts.map(toReport));
    else print(table(verdicts, output).join('\n'));
    return EXIT.done;
  },
};
