/** How is a roll-out shown? Its cohorts with bars, the nodes that are not well with what to do, and what happened last. */
import {whereText} from '../../fleet/cohort.js';
import type {HistoryEvent, NodeState, RolloutState} from '../../fleet/documents.js';
import {hasEnded, type RolloutNode, type RolloutSummary, type RolloutView} from '../../fleet/rollout-view.js';
import {align, oneLine, paint} from '../output.js';
import {showAge, showDuration} from '../units.js';
import {probeText} from './health.js';
import {ownerText} from './words.js';

type Style = Parameters<typeof paint>[1];

/** Letters of a bar. */
const BAR = 20;

/** So many nodes that are not well are shown, and so many events. */
const MOST_NODES = 10;
const MOST_EVENTS = 6;

const PHASE_STYLE: Record<RolloutState['phase'], Style> = {
  preparing: 'cyan',
  applying: 'cyan',
  paused: 'yellow',
  'rolling-back': 'red',
  converged: 'green',
  'rolled-back': 'red',
  stopped: 'red',
};

const NODE_STYLE: Partial<Record<NodeState, Style>> = {
  APPLIED: 'green',
  REFUSED_HOT: 'red',
  FAILED: 'red',
  SILENT: 'yellow',
  ROLLED_BACK: 'yellow',
};

/** `canary`, `to 50 %`: how far that cohort goes. */
export function cohortText({cohorts}: Pick<RolloutView, 'cohorts'>, index: number): string {
  if (index === 0) return 'canary';
  const count = (upTo: number) => cohorts.slice(0, upTo).reduce((sum, {nodes}) => sum + nodes.length, 0);
  return `to ${Math.round((100 * count(index + 1)) / count(cohorts.length))} %`;
}

/** It has the new content, and its health is not found wanting. */
function isDone({state, health}: RolloutNode): boolean {
  return state === 'APPLIED' && health !== 'failed';
}

function isUnwell({state, health}: RolloutNode): boolean {
  return state === 'REFUSED_HOT' || state === 'FAILED' || state === 'SILENT' || health === 'failed';
}

function bar(done: number, all: number): string {
  const full = all === 0 ? 0 : Math.floor((BAR * done) / all);
  return '█'.repeat(full) + '░'.repeat(BAR - full);
}

/** `APPLIED 3 (soaking 2), PREPARED 1`. */
function countText(nodes: readonly RolloutNode[]): string {
  const counts = new Map<string, number>();
  for (const {state, health} of nodes) {
    const what = state === 'APPLIED' && health !== undefined ? `${state} ${health}` : state;
    counts.set(what, (counts.get(what) ?? 0) + 1);
  }
  return [...counts].map(([what, count]) => `${count} ${what}`).join(', ');
}

function cohortLines(view: RolloutView): string[] {
  const rows = view.cohorts.map((_, index) => {
    const nodes = view.nodes.filter(({cohort}) => cohort === index);
    const done = nodes.filter(isDone).length;
    const now = view.state?.cohort === index && !hasEnded(view.state.phase) ? '>' : ' ';
    return [
      `${now} ${cohortText(view, index)}`,
      bar(done, nodes.length),
      `${done}/${nodes.length}`,
      countText(nodes),
    ];
  });
  return align(rows);
}

/** Why it is so; who has the lock, unless that is said already. */
export function nodeWhy({reason, owner, health}: Pick<RolloutNode, 'reason' | 'owner' | 'health'>): string {
  const why = reason ?? (health === 'failed' ? 'its health probes failed' : '');
  const named = owner?.pid !== undefined && why.includes(`pid ${owner.pid} `);
  return oneLine(
    [why, ...(owner && !named ? [ownerText(owner)] : [])].filter(part => part !== '').join(': '),
  );
}

/** What somebody can do about a node. */
function nodeAdvice({node, state}: RolloutNode, lock: string): string[] {
  if (state === 'REFUSED_HOT')
    return [`    -> on ${node}: locksmith explain ${lock}, then locksmith recover ${lock}`];
  if (state === 'SILENT') return [`    -> on ${node}: is its agent running, and does it reach etcd?`];
  return [];
}

function unwellLines(view: RolloutView): string[] {
  const unwell = view.nodes.filter(isUnwell);
  const lines = unwell.slice(0, MOST_NODES).flatMap(node => {
    const {state} = node;
    const text = paint(process.stdout, NODE_STYLE[state] ?? 'yellow', state);
    return [`  ${node.node}  ${text}  ${nodeWhy(node)}`, ...nodeAdvice(node, view.plan?.lock ?? 'LOCK')];
  });
  const more = unwell.length - MOST_NODES;
  return section('Not well', [...lines, ...(more > 0 ? [`  and ${more} more`] : [])]);
}

/** A title and what belongs to it; nothing where there is nothing. */
function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : ['', paint(process.stdout, 'bold', title), ...lines];
}

/** Another driver is told by its name, everything else by what happened. */
export function eventText(
  view: Pick<RolloutView, 'cohorts'>,
  {event, cohort, detail, by}: HistoryEvent,
): string {
  const where = cohort === undefined || cohort >= view.cohorts.length ? [] : [cohortText(view, cohort)];
  const what = event === 'driven' ? `driven by ${by}` : event;
  return oneLine([what, ...where, ...(detail === undefined ? [] : [detail])].join(': '));
}

function phaseText(state: RolloutState | undefined): string {
  if (!state) return 'in an unknown phase';
  const why = state.reason === undefined ? '' : `: ${oneLine(state.reason)}`;
  return `${paint(process.stdout, PHASE_STYLE[state.phase], state.phase)}${why}`;
}

function headLines({id, plan, state}: RolloutView): string[] {
  const name = paint(process.stdout, 'bold', plan?.lock ?? 'an unknown lock');
  const first = `${name}  ${id}  ${phaseText(state)}`;
  if (!plan) return [first];
  const {sha256, bytes, epoch, reason, by, at, where} = plan;
  return [
    first,
    `  ${bytes} bytes, sha256 ${sha256.slice(0, 16)}…, epoch ${epoch}, for ${whereText(where)}`,
    oneLine(`  ${reason} (pid ${by.pid} on ${by.node}, ${showAge(at)})`),
  ];
}

/** Nodes that it stopped for, as far as its reason does not name them. */
export function namedLines({reason = '', named}: Pick<RolloutState, 'reason' | 'named'>): string[] {
  return named
    .filter(({node}) => !reason.includes(node))
    .map(({node, state, reason: why}) =>
      oneLine(`  ${node}: ${state}${why === undefined ? '' : `, ${why}`}`),
    );
}

/** What an operator can do now. */
export function nextLines({id, state}: Pick<RolloutView, 'id' | 'state'>): string[] {
  if (state?.phase !== 'paused') return [];
  return [
    `  next: locksmith fleet rollout promote ${id} --reason "..."  (it goes on: nodes that were refused try again)`,
    `        locksmith fleet rollout abort ${id} --reason "..."    (what was applied is put back)`,
  ];
}

/** All of it, for a terminal. */
export function rolloutLines(view: RolloutView): string[] {
  return [
    ...headLines(view),
    '',
    ...cohortLines(view),
    ...unwellLines(view),
    ...section(
      'History',
      view.history.slice(-MOST_EVENTS).map(event => `  ${event.at.slice(11, 19)}  ${eventText(view, event)}`),
    ),
    ...section(
      'Problems',
      view.problems.map(problem => `  ${oneLine(problem)}`),
    ),
    ...nextLines(view),
  ];
}

function nodeLine(view: RolloutView, node: RolloutNode): string {
  const {state, health} = node;
  const why = nodeWhy(node);
  return `${cohortText(view, node.cohort)}  ${node.node}  ${state}${health === undefined ? '' : ` ${health}`}${why === '' ? '' : `  ${why}`}`;
}

/** Something that changed from one view to the next. */
export interface RolloutChange {
  /** Of an event: it may have happened before anybody watched. */
  readonly at?: string;
  readonly text: string;
  readonly json: Readonly<Record<string, unknown>>;
}

function nodeKey({state, health, reason}: RolloutNode): string {
  return JSON.stringify([state, health, reason]);
}

/** What changed, in its order: events, then nodes. A node that has done nothing yet is not told of. */
export function changesOf(before: RolloutView | undefined, view: RolloutView): RolloutChange[] {
  const seen = before?.history.at(-1)?.seq ?? 0;
  const known = new Map(before?.nodes.map(node => [node.node, nodeKey(node)]));
  const events = view.history.filter(({seq}) => seq > seen);
  const nodes = view.nodes.filter(node =>
    known.has(node.node) ? known.get(node.node) !== nodeKey(node) : node.state !== 'PENDING',
  );
  return [
    ...events.map(event => ({at: event.at, text: eventText(view, event), json: {change: 'event', ...event}})),
    ...nodes.map(node => ({text: nodeLine(view, node), json: {change: 'node', ...node}})),
  ];
}

export function rolloutJson(view: RolloutView): Record<string, unknown> {
  const {id, plan, state, cohorts, nodes, counts, history, problems} = view;
  return {
    id,
    plan: plan ?? null,
    state: state ?? null,
    active: state !== undefined && !hasEnded(state.phase),
    cohorts: cohorts.map((cohort, index) => ({...cohort, name: cohortText(view, index)})),
    nodes,
    counts,
    history,
    problems,
  };
}

/** One line for a list of roll-outs. */
export function summaryCells({id, plan, state}: RolloutSummary): string[] {
  return [
    id,
    plan?.lock ?? '?',
    state?.phase ?? '?',
    plan ? plan.at : '?',
    oneLine(state?.reason ?? plan?.reason ?? ''),
  ];
}

/** `12 nodes after 4.2 s: sha256 …`. */
export function convergedText({plan, state, nodes}: RolloutView): string {
  const took = plan && state ? ` after ${showDuration(Date.parse(state.since) - Date.parse(plan.at))}` : '';
  const failed = nodes.filter(node => !isDone(node)).length;
  const but = failed > 0 ? `, ${failed} of them without success` : '';
  return `ALL CLEAR: ${plan?.lock ?? 'the lock'} converged on ${nodes.length} nodes${but}${took}: sha256 ${plan?.sha256 ?? '?'}`;
}

export function probesText(plan: NonNullable<RolloutView['plan']>): string {
  return plan.health.map(probeText).join('; ') || 'none';
}
