/** What does a node's last report mean for its roll-out? Two tables: one for nodes that are to prepare, one for those that are to apply. */
import type {NodeReport, NodeState, Plan, RolloutState} from './documents.js';

/** A node that takes part, as the driver knows it. */
export interface Member {
  readonly node: string;
  readonly rank: string;
  readonly report: NodeReport | undefined;
  /** It has no registration. */
  readonly silent: boolean;
  /** Milliseconds that it has had for the order in force, on the driver's monotonic clock. */
  readonly waited: number;
}

export type Standing =
  /** It has not answered yet, and has time. */
  | 'pending'
  /** Prepared. */
  | 'ready'
  /** Applied, and well until the soak time was over. */
  | 'passed'
  /** Applied, and nobody can say how it is. */
  | 'inconclusive'
  /** Its lock is not free; a person can help it. */
  | 'refused'
  | 'failed'
  /** Has again what it had before. */
  | 'undone';

export interface Judged {
  readonly member: Member;
  readonly standing: Standing;
  /** As it is shown. */
  readonly state: NodeState;
  readonly why: string | undefined;
  /** Milliseconds until it is overdue. */
  readonly left: number;
}

type Case = Pick<RolloutState, 'turn' | 'applyUpTo' | 'accepted' | 'named'>;
type Verdict = readonly [standing: Standing, why?: string | undefined];
type Table = Readonly<
  Record<NodeReport['state'], (report: NodeReport, state: Case, plan: Plan, rank: string) => Verdict>
>;

/** Answers to an older order say nothing where the new one lets the node try again. */
function ifAnswered(standing: Standing) {
  return ({turn, reason}: NodeReport, state: Case): Verdict =>
    turn >= state.turn ? [standing, reason] : ['pending'];
}

const pending = (): Verdict => ['pending'];
const failed = ({reason}: NodeReport): Verdict => ['failed', reason];
const wentBack = ({reason}: NodeReport): Verdict => ['failed', reason ?? 'it has put back what it had'];

function applied({health, sha256, reason}: NodeReport, {accepted}: Case, plan: Plan, rank: string): Verdict {
  if (sha256 !== plan.sha256) return ['failed', `its file has the content ${sha256 ?? 'of no file'}`];
  if (health === 'passed') return ['passed'];
  if (health === 'failed') return ['failed', reason ?? 'its health'];
  if (health !== 'inconclusive') return ['pending'];
  return accepted !== undefined && rank <= accepted ? ['passed', reason] : ['inconclusive', reason];
}

const PREPARE: Table = {
  PENDING: pending,
  SHADOWED: pending,
  PREPARED: () => ['ready'],
  APPLIED: () => ['ready'],
  REFUSED_HOT: ifAnswered('refused'),
  FAILED: failed,
  ROLLED_BACK: wentBack,
};

const APPLY: Table = {
  PENDING: pending,
  SHADOWED: pending,
  PREPARED: pending,
  APPLIED: applied,
  REFUSED_HOT: ifAnswered('failed'),
  FAILED: failed,
  ROLLED_BACK: wentBack,
};

const ROLL_BACK: Table = {
  PENDING: pending,
  SHADOWED: pending,
  PREPARED: pending,
  APPLIED: pending,
  REFUSED_HOT: pending,
  FAILED: ifAnswered('failed'),
  ROLLED_BACK: () => ['undone'],
};

function judgeBy(table: Table, within: number, plan: Plan, state: Case, member: Member): Judged {
  const {report, rank, waited} = member;
  const [standing, why] = report ? table[report.state](report, state, plan, rank) : (['pending'] as const);
  const shown = {member, standing, state: report?.state ?? 'PENDING', why, left: within - waited};
  if (standing !== 'pending' || waited < within) return shown;
  const registered = member.silent
    ? 'no registration'
    : `registered, last said ${report?.state ?? 'nothing'}`;
  return {...shown, standing: 'failed', state: 'SILENT', why: `no answer within ${within} ms; ${registered}`};
}

/** Those that were left behind are not waited for once more: they count as failed until they say better. */
function orLeftBehind(judged: Judged, {named}: Case): Judged {
  const before = judged.standing === 'pending' && named.find(({node}) => node === judged.member.node);
  return before
    ? {...judged, standing: 'failed', state: before.state as NodeState, why: before.reason}
    : judged;
}

/** Is it ordered to apply? */
export function isToApply({rank}: Pick<Member, 'rank'>, {applyUpTo}: Pick<Case, 'applyUpTo'>): boolean {
  return applyUpTo !== null && rank <= applyUpTo;
}

/** How does a node stand with what it was ordered? */
export function judge(plan: Plan, state: Case, member: Member): Judged {
  const judged = isToApply(member, state)
    ? judgeBy(APPLY, plan.applyWithin + plan.soak, plan, state, member)
    : judgeBy(PREPARE, plan.prepareWithin, plan, state, member);
  return orLeftBehind(judged, state);
}

/** And with the order to roll back? Nobody waits for one that is silent: its order stays in force. */
export function judgeRollBack(plan: Plan, state: Case, member: Member): Judged {
  const judged = judgeBy(ROLL_BACK, plan.applyWithin, plan, state, member);
  return judged.standing === 'pending' && member.silent
    ? {...judged, standing: 'failed', state: 'SILENT', why: 'no registration'}
    : judged;
}
