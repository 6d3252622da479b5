/** How is a verdict shown to people? */
import type {Waiter} from '../os/lock-table.js';
import {summarizeFile} from '../recovery/file-verdict.js';
import {suspectText} from '../recovery/incomplete.js';
import type {AnyVerdict} from '../recovery/report.js';
import {type State, summarize} from '../recovery/verdict.js';
import {align, oneLine, paint} from './output.js';
import {showAge} from './units.js';

type Style = Parameters<typeof paint>[1];

/** Colour of each state. */
export const STATE_STYLE: Record<State, Style> = {
  FREE: 'green',
  ALIVE: 'cyan',
  FROZEN: 'magenta',
  DEAD: 'red',
  UNKNOWN: 'yellow',
};

/** The verdict in one sentence. */
export function headline(verdict: AnyVerdict): string {
  return oneLine(verdict.name === null ? summarizeFile(verdict) : summarize(verdict));
}

function ownerText({owner}: AnyVerdict): string {
  if (!owner) return 'none on record';
  const purpose = owner.purpose === '' ? '' : `, for "${owner.purpose}"`;
  return `pid ${owner.pid} on ${owner.node} (${owner.exe}, uid ${owner.uid}), since ${owner.since} (${showAge(owner.since)})${purpose}`;
}

function bitText({bit}: AnyVerdict): string {
  if (!bit) return 'none';
  const setter = bit.owner ? `, set by pid ${bit.owner.pid}, ${bit.owner.alive ? 'alive' : 'dead'}` : '';
  return `${bit.value ?? 'unreadable'} (${bit.kind}: ${bit.path})${setter}`;
}

function listText(entries: readonly string[]): string {
  return entries.length > 0 ? [...new Set(entries)].join(', ') : 'none';
}

function waiterText({pid, kind, mode, behind}: Waiter): string {
  const queue = behind === undefined ? '' : `, behind pid ${behind}`;
  return `${pid === undefined ? 'a process' : `pid ${pid}`} (${kind}, ${mode}${queue})`;
}

function completeText({complete, missing}: AnyVerdict): string {
  if (complete) return 'yes, all that matters could be looked at';
  return `no: ${missing.map(({what, why}) => `${what} can not be seen (${why})`).join('; ')}`;
}

/** The rows that people see, in their order. A file that no lock guards has only some of them. */
const FACTS: readonly {
  readonly label: string;
  readonly when?: (verdict: AnyVerdict) => boolean;
  readonly text: (verdict: AnyVerdict) => string;
}[] = [
  {label: 'state', text: ({state}) => paint(process.stdout, STATE_STYLE[state], state)},
  {label: 'file', text: ({file}) => oneLine(file)},
  {label: 'owner', when: ({name}) => name !== null, text: ownerText},
  {label: 'epoch', when: ({bit}) => bit !== null, text: ({epoch}) => String(epoch ?? 'unreadable')},
  {label: 'bit', when: ({bit}) => bit !== null, text: bitText},
  {
    label: 'holders',
    text: ({holders}) =>
      listText(holders.map(({pid, kind, mode, via}) => `pid ${pid} (${kind}, ${mode}, ${via})`)),
  },
  {
    label: 'suspects',
    when: ({holders, suspects}) => holders.length === 0 && suspects.length > 0,
    text: ({suspects}) => listText(suspects.map(suspectText)),
  },
  {label: 'waiters', text: ({waiters}) => listText(waiters.map(waiterText))},
  {label: 'complete', text: completeText},
];

function factLines(verdict: AnyVerdict): string[] {
  const shown = FACTS.filter(({when}) => when?.(verdict) ?? true);
  return align(shown.map(({label, text}) => [`  ${label}`, text(verdict)]));
}

/** What was looked at, seen and concluded, one block for each fact. */
function evidenceLines({evidence}: AnyVerdict): string[] {
  return evidence.flatMap(({looked, saw, follows}) => [
    '',
    `  looked   ${oneLine(looked)}`,
    `  saw      ${oneLine(saw)}`,
    `  follows  ${oneLine(follows)}`,
  ]);
}

/** What to do next, as lines; none when there is nothing to do. */
export function nextLines({next}: Pick<AnyVerdict, 'next'>): string[] {
  return next.map(step => `  ${oneLine(step)}`);
}

function bold(text: string): string {
  return paint(process.stdout, 'bold', text);
}

/** The whole report for people. */
export function reportLines(verdict: AnyVerdict): string[] {
  const next = nextLines(verdict);
  return [
    bold(headline(verdict)),
    '',
    ...factLines(verdict),
    '',
    bold('Evidence'),
    ...evidenceLines(verdict).slice(1),
    ...(next.length > 0 ? ['', bold('Next'), ...next] : []),
  ];
}
