/** How is a verdict shown? One view for scripts, one for people. */
import type {Waiter} from '../os/lock-table.js';
import type {GuardedConfig} from '../recovery/guarded-config.js';
import {type FileVerdict, summarizeFile} from '../recovery/file-verdict.js';
import {suspectText} from '../recovery/incomplete.js';
import {type State, summarize, type Verdict} from '../recovery/verdict.js';
import {align, oneLine, paint} from './output.js';
import {showAge} from './units.js';

/** What looking at a lock, or at a file that none guards, gave. */
export type AnyVerdict = Verdict | FileVerdict;

type Style = Parameters<typeof paint>[1];

/** Colour of each state. */
export const STATE_STYLE: Record<State, Style> = {
  FREE: 'green',
  ALIVE: 'cyan',
  FROZEN: 'magenta',
  DEAD: 'red',
  UNKNOWN: 'yellow',
};

/** A waiter as scripts see it: what is not known is null. */
export function toWaiter({pid, kind, mode, start, end, behind}: Waiter): Record<string, unknown> {
  return {pid: pid ?? null, kind, mode, start, end: end ?? null, behind: behind ?? null};
}

/** The fields that scripts may rely on, and no others. */
export function toReport(verdict: AnyVerdict): Record<string, unknown> {
  const {name, file, hot, state, epoch, owner, bit, holders, suspects, evidence, complete, missing, next} =
    verdict;
  const {node, pid, bootId, identity, exe, uid, purpose, since} = owner ?? {};
  return {
    name,
    file,
    hot,
    state,
    epoch,
    owner: owner && {node, pid, bootId, identity, exe, uid, purpose, since},
    bit,
    holders: holders.map(holder => ({...holder, identity: holder.identity ?? null})),
    suspects,
    waiters: verdict.waiters.map(toWaiter),
    evidence,
    complete,
    missing,
    next,
  };
}

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

/** Looks at a lock; what keeps it from being looked at becomes evidence, so that one broken lock hides no other. */
export async function examineAnyway(config: GuardedConfig): Promise<Verdict> {
  try {
    return await config.examine();
  } catch (error) {
    const evidence = {
      looked: config.paths.directory,
      saw: (error as Error).message,
      follows: 'nothing can be said about this lock',
    };
    const bit = {path: config.bit.path, kind: config.bit.kind, value: null, owner: null};
    const unknown = {
      hot: false,
      state: 'UNKNOWN',
      epoch: null,
      owner: null,
      holders: [],
      suspects: [],
      waiters: [],
      complete: false,
      missing: [{what: config.paths.directory, why: (error as Error).message, visibleTo: null}],
    } as const;
    return {
      name: config.name,
      file: config.file,
      ...unknown,
      bit,
      evidence: [evidence],
      next: ['locksmith doctor'],
    };
  }
}
