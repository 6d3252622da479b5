/** How is a recovery shown while it happens? Each step with its time, then the certificate. */
import {EXIT, isLockError} from '../errors.js';
import type {Contender} from '../recovery/contenders.js';
import type {Acknowledgement} from '../recovery/quiesce/quiesce.js';
import type {OnStep, ShownCertificate, Step, StepName} from '../recovery/take-back.js';
import type {ShownVerdict} from '../recovery/verdict.js';
import {toCertificate, toReport, toStep} from '../recovery/report.js';
import type {OptionSpec} from './command.js';
import {align, note, paint, print, printJson} from './output.js';
import {showProgress} from './progress.js';
import {acknowledgementText} from './quiesce.js';
import {headline} from './report.js';
import {parseDuration, showDuration} from './units.js';

type Style = Parameters<typeof paint>[1];

export const HOLD_OPTION: OptionSpec = {
  flags: '--hold <duration>',
  what: 'bound of the hold: 90s, 500ms, 2m; by default that of the policy, else 90s',
  parse: parseDuration,
};

export function contenderText(contenders: readonly Contender[]): string {
  return contenders
    .map(({pid, doing}) => `${pid === undefined ? 'a process' : `pid ${pid}`} ${doing}`)
    .join(', ');
}

function shortHash(hash: string | null): string {
  return hash === null ? 'no file' : `sha256 ${hash.slice(0, 16)}…`;
}

/** The facts that the steps carry, each of them its own. */
interface StepFacts {
  readonly state: string;
  readonly summary: string;
  readonly pid: number;
  readonly from: readonly number[];
  readonly acknowledgedAfter: number;
  readonly acknowledgements: readonly Acknowledgement[];
  readonly remaining: number;
  readonly contenders: readonly Contender[];
  readonly epoch: number;
  readonly epochs: ShownCertificate['epochs'];
  readonly outcome: string;
  readonly sha256: string | null;
  readonly removed: readonly string[];
}

/** What each step says, from its own facts. */
const STEP_TEXT: Record<StepName, (facts: StepFacts) => string> = {
  'recovery-lock': () => 'nobody else recovers this lock',
  verdict: ({state, summary}) => `${state}: ${summary}`,
  intent: () => 'written to the audit log, before anything is changed',
  takeover: ({from}) =>
    from.length > 0
      ? `the guard is shared with pid ${from.join(', ')}: it never goes free`
      : 'the guard was free, and is ours',
  kill: ({pid}) => `pid ${pid} was ended, as asked; the guard stayed ours`,
  hold: ({acknowledgedAfter, acknowledgements, remaining}) =>
    [
      `acknowledged after ${showDuration(acknowledgedAfter)}: nobody is inside, nobody can enter; it ends by itself in ${showDuration(remaining)}`,
      ...acknowledgements.map(acknowledgementText),
    ].join(CONTINUED),
  contenders: ({contenders}) => contenderText(contenders) || 'none remains',
  guard: () => 'ours: no copy of the old descriptor lives',
  verify: ({epoch}) => `the same owner still, at epoch ${epoch}`,
  handover: ({epochs}) => `epoch ${epochs.before} -> ${epochs.after}, the bit stayed set`,
  clean: ({outcome, sha256, removed}) =>
    `${outcome}, ${shortHash(sha256)}, shadows removed: ${removed.length}`,
  clear: () => 'the bit is clear, and was read back',
  'all-clear': () => 'in the audit log',
};

/** Further lines of a step stand below its first. */
const CONTINUED = `\n${' '.repeat(26)}`;

function stepLine(step: Step): string {
  const at = showDuration(step.at).padStart(9);
  return `${at}  ${step.step.padEnd(13)}  ${STEP_TEXT[step.step](step as unknown as StepFacts)}`;
}

function takenFrom({verdict: {owner, state}}: ShownCertificate): string {
  return owner ? `pid ${owner.pid} on ${owner.node}, ${state}` : `an unknown owner, ${state}`;
}

/** The certificate for people. */
export function certificateLines(certificate: ShownCertificate): string[] {
  const {lock, file, epochs, outcome, sha256, reason, drained, took, audit, by, at} = certificate;
  const rows = [
    ['  file', file],
    ['  taken from', takenFrom(certificate)],
    [
      '  taken by',
      `pid ${by.pid} on ${by.node} (uid ${by.uid}) at ${at}, ${certificate.forced ? 'by force' : 'by recovery'}: ${reason}`,
    ],
    ['  epochs', `${epochs.before} -> ${epochs.after}`],
    ['  content', `${outcome}, sha256 ${sha256 ?? 'none'}`],
    ['  waited for', contenderText(drained) || 'nobody'],
    ['  audit', `record ${audit.seq}, ${audit.hash}`],
  ];
  return [`ALL CLEAR: ${lock} after ${showDuration(took)}`, ...align(rows)];
}

/** What a recovery waits for after a step, when it lasts. */
const AWAITED: Partial<Record<StepName, string>> = {
  intent: 'waiting for everybody to come to the hold point',
  takeover: 'waiting for everybody to come to the hold point',
  kill: 'waiting for everybody to come to the hold point',
  hold: 'waiting for the guard',
  contenders: 'waiting for the contenders to leave',
};

/** How a recovery is shown. */
export interface View {
  readonly json?: boolean | undefined;
  /** Where the records of the audit go, if elsewhere: `-` is stdout, which is theirs alone then. */
  readonly auditTo?: string | undefined;
}

/** Shows something for scripts or for people: a value, or lines of which the first is painted. */
function shower({json, auditTo}: View): (value: unknown, lines: readonly string[], style: Style) => void {
  if (json) return printJson;
  const [stream, say] =
    auditTo === '-' ? ([process.stderr, note] as const) : ([process.stdout, print] as const);
  return (_value, [first = '', ...more], style) => say([paint(stream, style, first), ...more].join('\n'));
}

/** What takes a lock back, here or in the daemon. */
export type TakingBack = (onStep: OnStep) => Promise<ShownCertificate>;

/** Takes a lock back and shows each step as it happens, then the certificate. The step that ends it is shown when everything has been given back. */
export async function takeBackVisibly(act: TakingBack, view: View = {}): Promise<number> {
  const show = shower(view);
  let last: StepName | undefined;
  let reached: ShownCertificate | undefined;
  const showEnd = (certificate: ShownCertificate) => {
    const step = {step: 'all-clear', at: certificate.took, certificate: toCertificate(certificate)};
    show(step, certificateLines(certificate), 'green');
  };
  using _ = showProgress({what: () => last && AWAITED[last], quiet: view.json});
  const certificate = await act(step => {
    last = step.step;
    if (last === 'all-clear') reached = {...(step['certificate'] as ShownCertificate), took: step.at};
    else show(toStep(step), [stepLine(step)], 'reset');
  }).catch(error => {
    // ALL CLEAR all the same: something that had been stopped for it does not go on.
    if (reached) showEnd(reached);
    throw error;
  });
  showEnd(certificate);
  return EXIT.done;
}

/** As above for a recovery, where a lock that is free is a good end too. */
export async function recoverVisibly(act: TakingBack, view: View = {}): Promise<number> {
  try {
    return await takeBackVisibly(act, view);
  } catch (error) {
    const verdict = isLockError(error, 'ERR_NOT_DEAD') ? (error.verdict as ShownVerdict) : undefined;
    if (verdict?.state !== 'FREE') throw error;
    const nothing = `${headline(verdict)} There is nothing to recover.`;
    shower(view)({step: 'nothing-to-recover', verdict: toReport(verdict)}, [nothing], 'reset');
    return EXIT.done;
  }
}
