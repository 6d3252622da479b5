/** How is a verdict shown? One view for scripts, one for people. */
import type {GuardedConfig} from '../recovery/guarded-config.js';
import {type FileVerdict, summarizeFile} from '../recovery/file-verdict.js';
import {type State, summarize, type Verdict} from '../recovery/verdict.js';
import {align, paint} from './output.js';
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

/** The fields that scripts may rely on, and no others. */
export function toReport(verdict: AnyVerdict): Record<string, unknown> {
  const {name, file, hot, state, epoch, owner, bit, holders, waiters, evidence, complete, next} = verdict;
  const {node, pid, bootId, identity, exe, uid, purpose, since} = owner ?? {};
  return {
    name,
    file,
    hot,
    state,
    epoch,
    owner: owner && {node, pid, bootId, identity, exe, uid, purpose, since},
    bit,
    holders,
    waiters: waiters.map(waiter => ({pid: waiter.pid ?? null, kind: waiter.kind})),
    evidence,
    complete,
    next,
  };
}

/** The verdict in one sentence. */
export function headline(verdict: AnyVerdict): string {
  return verdict.name === null ? summarizeFile(verdict) : summarize(verdict);
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

/** The rows that people see, in their order. A file that no lock guards has only some of them. */
const FACTS: readonly {
  readonly label: string;
  readonly when?: (verdict: AnyVerdict) => boolean;
  readonly text: (verdict: AnyVerdict) => string;
}[] = [
  {label: 'state', text: ({state}) => paint(process.stdout, STATE_STYLE[state], state)},
  {label: 'file', text: ({file}) => file},
  {label: 'owner', when: ({name}) => name !== null, text: ownerText},
  {label: 'epoch', when: ({bit}) => bit !== null, text: ({epoch}) => String(epoch ?? 'unreadable')},
  {label: 'bit', when: ({bit}) => bit !== null, text: bitText},
  {
    label: 'holders',
    text: ({holders}) =>
      listText(holders.map(({pid, kind, mode, via}) => `pid ${pid} (${kind}, ${mode}, ${via})`)),
  },
  {
    label: 'waiters',
    text: ({waiters}) =>
      listText(waiters.map(({pid, kind}) => `${pid === undefined ? 'a process' : `pid ${pid}`} (${kind})`)),
  },
  {
    label: 'complete',
    text: ({complete}) =>
      complete ? 'yes, everything could be looked at' : 'no, something could not be looked at',
  },
];

function factLines(verdict: AnyVerdict): string[] {
  const shown = FACTS.filter(({when}) => when?.(verdict) ?? true);
  return align(shown.map(({label, text}) => [`  ${label}`, text(verdict)]));
}

/** What was looked at, seen and concluded, one block for each fact. */
function evidenceLines({evidence}: AnyVerdict): string[] {
  return evidence.flatMap(({looked, saw, follows}) => [
    '',
    `  looked   ${looked}`,
    `  saw      ${saw}`,
    `  follows  ${follows}`,
  ]);
}

/** What to do next, as lines; none when there is nothing to do. */
export function nextLines({next}: Pick<AnyVerdict, 'next'>): string[] {
  return next.map(step => `  ${step}`);
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
      waiters: [],
      complete: false,
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
