/** What comes next in a roll-out? One pure function, from what is known to the next state and what people are told of it. */
import {cohortSizes} from './cohort.js';
import type {Command, HistoryEvent, Plan, RolloutState} from './documents.js';
import {personText} from './operator.js';
import {isToApply, judge, type Judged, judgeRollBack, type Member} from './standing.js';

export interface Situation {
  readonly plan: Plan;
  readonly state: RolloutState;
  /** All that take part, by rank. */
  readonly members: readonly Member[];
  /** The next command that has not been heard. */
  readonly command?: Command | undefined;
}

/** The driver adds since when. */
export type NextState = Omit<RolloutState, 'since'>;

/** For the history; `by` is the driver where it is not said. */
export type Told = Pick<HistoryEvent, 'event' | 'cohort' | 'detail'> & {readonly by?: string};

export interface Decision {
  /** Undefined: it stays as it is. At a higher turn there is a new order. */
  readonly next?: NextState;
  readonly tell: readonly Told[];
  /** Milliseconds until time alone may change something; undefined: never. */
  readonly lookAfter?: number | undefined;
}

type Changes = Partial<Omit<NextState, 'turn'>>;

/** No rank is higher. */
const EVERYBODY = 'f'.repeat(16);
const MOST_NAMED = 100;
const LONGEST_REASON = 200;

const STAYS: Decision = {tell: []};

const PHASES: Readonly<Record<RolloutState['phase'], (situation: Situation) => Decision>> = {
  preparing,
  applying,
  paused: () => STAYS,
  'rolling-back': rollingBack,
  converged: () => STAYS,
  'rolled-back': () => STAYS,
  stopped: () => STAYS,
};

/** One step. Commands come first; what has ended hears none. */
export function decide(situation: Situation): Decision {
  const {state, command} = situation;
  return command && isActive(state)
    ? COMMANDS[command.command](situation, command)
    : PHASES[state.phase](situation);
}

function isActive({phase}: RolloutState): boolean {
  return phase === 'preparing' || phase === 'applying' || phase === 'paused' || phase === 'rolling-back';
}

/** Stays within the order in force. */
function change({state}: Situation, changes: Changes, ...tell: Told[]): Decision {
  const {since: _, ...rest} = state;
  return {next: {...rest, ...changes}, tell};
}

/** With a new order. */
function order(situation: Situation, changes: Changes, ...tell: Told[]): Decision {
  const {next, ...decision} = change(situation, changes, ...tell);
  return {...decision, next: {...(next as NextState), turn: situation.state.turn + 1}};
}

// Commands.

type Hear = (situation: Situation, command: Command) => Decision;

const COMMANDS: Readonly<Record<Command['command'], Hear>> = {pause, promote, abort};

function heard(event: string, {command, reason, by}: Command): Told {
  return {event, detail: `${command}: ${reason}`, by: personText(by)};
}

/** It makes no sense now. */
function ignore(situation: Situation, command: Command): Decision {
  const {phase} = situation.state;
  const told = heard('ignored', command);
  return change(situation, {heard: command.seq}, {...told, detail: `${told.detail}; it is ${phase}`});
}

/** What was ordered goes on; nothing more is ordered. */
function pause(situation: Situation, command: Command): Decision {
  const {phase} = situation.state;
  if (phase !== 'preparing' && phase !== 'applying') return ignore(situation, command);
  const reason = `paused by ${personText(command.by)}: ${command.reason}`;
  return change(
    situation,
    {heard: command.seq, phase, ...pausedFrom(phase, reason)},
    heard('paused', command),
  );
}

function pausedFrom(paused: 'preparing' | 'applying', reason: string): Changes {
  return {phase: 'paused', paused, reason};
}

/** At a higher turn, so that everybody who was refused tries again. Whose health is inconclusive now has passed. */
function promote(situation: Situation, command: Command): Decision {
  const {plan, state, members} = situation;
  if (state.phase !== 'paused') return ignore(situation, command);
  const unclear = members.some(
    member => isToApply(member, state) && judge(plan, state, member).standing === 'inconclusive',
  );
  const accepted = unclear && state.prepareUpTo !== null ? {accepted: state.prepareUpTo} : {};
  const phase = state.paused ?? 'preparing';
  const goesOn = {phase, paused: undefined, reason: undefined, named: [], ...accepted};
  return order(situation, {heard: command.seq, ...goesOn}, heard('promoted', command));
}

function abort(situation: Situation, command: Command): Decision {
  if (situation.state.phase === 'rolling-back') return ignore(situation, command);
  const reason = `aborted by ${personText(command.by)}: ${command.reason}`;
  return giveUp(situation, reason, [], {heard: command.seq}, heard('aborted', command));
}

// Phases.

/** Nodes by how they stand. */
function tally(judged: readonly Judged[]) {
  const those = (standing: Judged['standing']) => judged.filter(other => other.standing === standing);
  return {
    pending: those('pending'),
    refused: those('refused'),
    failed: those('failed'),
    inconclusive: those('inconclusive'),
  };
}

/** All nodes of the cohorts so far. */
function reached({state: {prepareUpTo}, members}: Situation): Member[] {
  return prepareUpTo === null ? [] : members.filter(({rank}) => rank <= prepareUpTo);
}

function preparing(situation: Situation): Decision {
  const {plan, state} = situation;
  if (state.prepareUpTo === null) return begin(situation);
  const all = reached(situation).map(member => judge(plan, state, member));
  const {pending, refused, failed} = tally(all);
  if (failed.length > plan.maxFailed) return fail(situation, failed);
  const missing = [...failed, ...refused];
  if (missing.length > plan.maxFailed)
    return stopFor(situation, 'preparing', `lock mismatch: ${namesOf(refused)}`, missing);
  if (pending.length > 0) return wait(pending);
  // Nobody is left to be ordered when nodes were taken out of the fleet.
  return applyNext(situation, missing) ?? applying(situation);
}

function applying(situation: Situation): Decision {
  const {plan, state, members} = situation;
  const ordered = members
    .filter(member => isToApply(member, state))
    .map(member => judge(plan, state, member));
  const {pending, failed, inconclusive} = tally(ordered);
  if (failed.length > plan.maxFailed) return fail(situation, failed);
  if (pending.length > 0) return wait(pending);
  if (inconclusive.length > 0)
    return stopFor(situation, 'applying', `health inconclusive: ${namesOf(inconclusive)}`, [
      ...failed,
      ...inconclusive,
    ]);
  return applyNext(situation, failed) ?? endCohort(situation, failed);
}

function rollingBack(situation: Situation): Decision {
  const {plan, state, members} = situation;
  const {pending, failed} = tally(
    members.filter(member => isToApply(member, state)).map(member => judgeRollBack(plan, state, member)),
  );
  if (pending.length > 0) return wait(pending);
  const left = failed.length > 0 ? `not rolled back: ${namesOf(failed)}` : 'every node';
  return order(
    situation,
    {phase: 'rolled-back', named: addNamed(state.named, failed)},
    {event: 'rolled-back', detail: left},
  );
}

function wait(pending: readonly Judged[]): Decision {
  return {tell: [], lookAfter: Math.min(...pending.map(({left}) => left))};
}

// Steps.

/** The canary prepares. Nodes may have gone since the roll-out was started. */
function begin(situation: Situation): Decision {
  const {plan, members} = situation;
  if (members.length < plan.canary)
    return giveUp(
      situation,
      `the canary is to have ${plan.canary} nodes, and ${members.length} are known`,
      [],
    );
  return openCohort(situation, 0, plan.canary);
}

function openCohort(situation: Situation, cohort: number, size: number, ...told: Told[]): Decision {
  const {state, members} = situation;
  const upTo = members[size - 1]?.rank ?? EVERYBODY;
  const added = members.filter(({rank}) => rank <= upTo).length - reached(situation).length;
  const detail = `${countOf(added)} more, ${size} of ${members.length} then`;
  return order(
    situation,
    {phase: 'preparing', cohort, prepareUpTo: upTo, applyUpTo: state.applyUpTo},
    ...told,
    {event: 'preparing', cohort, detail},
  );
}

/** The next of the reached that have not been ordered to apply: all of them, or as many as may be changing. Undefined: there is none. */
function applyNext(situation: Situation, missing: readonly Judged[]): Decision | undefined {
  const {plan, state} = situation;
  const rest = reached(situation).filter(member => !isToApply(member, state));
  const batch = rest.slice(0, plan.maxUnavailable ?? rest.length);
  const last = batch.at(-1);
  if (!last) return undefined;
  return order(
    situation,
    {phase: 'applying', applyUpTo: last.rank, named: addNamed(state.named, missing)},
    ...leftBehind(situation, missing),
    {event: 'applying', cohort: state.cohort, detail: countOf(batch.length)},
  );
}

/** The cohort has passed. */
function endCohort(situation: Situation, missing: readonly Judged[]): Decision {
  const {plan, state, members} = situation;
  const so = {...situation, state: {...state, named: addNamed(state.named, missing)}};
  const passed = {event: 'passed', cohort: state.cohort};
  const told = [...leftBehind(situation, missing), passed];
  const have = reached(situation).length;
  if (have === members.length) return converge(so, missing, told);
  const size = cohortSizes(plan, members.length).find(cumulative => cumulative > have) ?? members.length;
  return openCohort(so, state.cohort + 1, Math.min(size, members.length), ...told);
}

function converge(situation: Situation, missing: readonly Judged[], told: readonly Told[]): Decision {
  const detail = missing.length > 0 ? `left behind: ${namesOf(missing)}` : 'every node';
  return order(situation, {phase: 'converged', prepareUpTo: EVERYBODY, applyUpTo: EVERYBODY}, ...told, {
    event: 'converged',
    detail,
  });
}

/** A person has to look. */
function stopFor(
  situation: Situation,
  phase: 'preparing' | 'applying',
  reason: string,
  because: readonly Judged[],
): Decision {
  const named = addNamed(situation.state.named, because);
  return change(
    situation,
    {...pausedFrom(phase, reason), named},
    {event: 'paused', cohort: situation.state.cohort, detail: reason},
  );
}

function fail(situation: Situation, failed: readonly Judged[]): Decision {
  const {maxFailed} = situation.plan;
  return giveUp(situation, `${countOf(failed.length)} failed, ${maxFailed} may: ${namesOf(failed)}`, failed);
}

/** Back to what was there before; where nothing was ordered to apply, there is nothing to put back. */
function giveUp(
  situation: Situation,
  reason: string,
  because: readonly Judged[],
  changes: Changes = {},
  ...told: Told[]
): Decision {
  const {state} = situation;
  const rest = {...changes, paused: undefined, reason, named: addNamed(state.named, because)};
  const {cohort} = state;
  return state.applyUpTo === null
    ? order(situation, {...rest, phase: 'stopped', prepareUpTo: null}, ...told, {
        event: 'stopped',
        cohort,
        detail: reason,
      })
    : order(situation, {...rest, phase: 'rolling-back'}, ...told, {
        event: 'rolling-back',
        cohort,
        detail: reason,
      });
}

// Names.

function countOf(count: number): string {
  return count === 1 ? '1 node' : `${count} nodes`;
}

/** Who has its lock is in the reason of a node that was refused. */
function nameOf({member, state, why}: Judged): string {
  return why ? `${member.node} ${state} (${why.slice(0, LONGEST_REASON)})` : `${member.node} ${state}`;
}

/** The first few; all of them are in the reports. */
function namesOf(judged: readonly Judged[]): string {
  const shown = judged.slice(0, 5).map(nameOf).join('; ');
  return judged.length > 5 ? `${shown}; and ${judged.length - 5} more` : shown;
}

function addNamed(named: RolloutState['named'], more: readonly Judged[]): RolloutState['named'] {
  const added = new Map(named.map(entry => [entry.node, entry]));
  for (const {member, state, why} of more)
    added.set(member.node, {node: member.node, state, ...(why && {reason: why.slice(0, LONGEST_REASON)})});
  return [...added.values()].slice(0, MOST_NAMED);
}

/** Of those that failed, who was not named yet. */
function leftBehind({state}: Situation, missing: readonly Judged[]): Told[] {
  const news = missing.filter(({member}) => !state.named.some(({node}) => node === member.node));
  return news.length > 0 ? [{event: 'left-behind', cohort: state.cohort, detail: namesOf(news)}] : [];
}
