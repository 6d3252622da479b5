/** How are nodes, cohorts and roll-outs said, and what can a person do next? */
import {clock} from './words.js';

/** @typedef {import('../api.js').FleetAnswer} Fleet */
/** @typedef {import('../api.js').RolloutAnswer} Rollout */
/** @typedef {import('../api.js').RolloutNodeAnswer} RolloutNode */
/** @typedef {NonNullable<Rollout['state']>['phase']} Phase */
/** @typedef {RolloutNode['state']} NodeState */
/** @typedef {{what: string, command: string}} Step What a command does, and the command. */

/** In the order of the bars, each with its letter: how far, then what is wrong. @type {readonly (readonly [NodeState, string])[]} */
export const NODE_STATES = [
  ['APPLIED', 'A'],
  ['PREPARED', 'P'],
  ['SHADOWED', 'S'],
  ['PENDING', '–'],
  ['SILENT', '?'],
  ['ROLLED_BACK', 'R'],
  ['REFUSED_HOT', 'H'],
  ['FAILED', 'F'],
];

/** Signs beside the colours. @type {Readonly<Record<Phase, string>>} */
export const PHASE_SIGNS = {
  preparing: '▷',
  applying: '▶',
  paused: '‖',
  'rolling-back': '↩',
  converged: '✓',
  'rolled-back': '↩',
  stopped: '✕',
};

/** @param {number} count @param {string} one @param {string} [many] */
export function countText(count, one, many = `${one}s`) {
  return `${count} ${count === 1 ? one : many}`;
}

/** @param {{pid: number, uid: number, node: string}} by */
export function personText({pid, uid, node}) {
  return `pid ${pid} (uid ${uid}) on ${node}`;
}

/** @param {Readonly<Record<string, string>>} labels */
export function labelText(labels) {
  return Object.entries(labels)
    .map(([label, value]) => `${label}=${value}`)
    .toSorted()
    .join(', ');
}

/** `pid 42 on node-7, for "nightly tuning"`. @param {NonNullable<RolloutNode['owner']>} owner */
export function ownerText({pid, node, purpose}) {
  const who = [...(pid === undefined ? [] : [`pid ${pid}`]), ...(node === undefined ? [] : [`on ${node}`])];
  return [who.join(' ') || 'somebody', ...(purpose ? [`for ${JSON.stringify(purpose)}`] : [])].join(', ');
}

/** `canary`, `to 50 %`: how far that cohort goes. @param {Rollout['cohorts']} cohorts @param {number} index */
export function cohortText(cohorts, index) {
  if (index === 0) return 'canary';
  const count = (/** @type {number} */ end) => cohorts.slice(0, end).reduce((sum, {nodes}) => sum + nodes, 0);
  return `to ${Math.round((100 * count(index + 1)) / count(cohorts.length))} %`;
}

/** Why a node stands where it does. @param {RolloutNode} node */
export function whyText({reason, owner, health, state}) {
  const said = reason ?? (health === 'failed' ? 'its health probes failed' : '');
  const why = said === '' && state === 'SILENT' ? 'it has no session with etcd, or has not answered' : said;
  return [...(why === '' ? [] : [why]), ...(owner ? [ownerText(owner)] : [])].join(': ');
}

/** @param {Rollout['history'][number]} event @param {Rollout['cohorts']} cohorts */
export function historyText({event, cohort, detail}, cohorts) {
  const where = cohort === undefined || cohort >= cohorts.length ? [] : [`(${cohortText(cohorts, cohort)})`];
  return `${[event, ...where].join(' ')}${detail === undefined ? '' : `: ${detail}`}`;
}

/** What was to be rolled out, to whom, why and by whom. @param {Rollout['plan']} plan */
export function planText(plan) {
  if (!plan) return 'What it is to do can not be read.';
  const {bytes, sha256, epoch, where, reason, by, at} = plan;
  const whom = labelText(where) || 'all nodes';
  return `${reason}. Started by ${personText(by)}, ${clock(at)}: ${bytes} bytes, sha256 ${sha256.slice(0, 12)}…, epoch ${epoch}, for ${whom}.`;
}

/** @param {string} id @param {string} command @param {string} what @returns {Step} */
function step(id, command, what) {
  return {what, command: `locksmith fleet rollout ${command} ${id} --reason "…"`};
}

/** What helps a node that needs it. @param {RolloutNode} node @param {string} lock @returns {Step[]} */
function helpNode({node, state}, lock) {
  if (state === 'REFUSED_HOT')
    return [{what: `on ${node}: who has it, and does he live?`, command: `locksmith explain ${lock}`}];
  if (state === 'SILENT')
    return [{what: `on ${node}: does its agent run, and reach etcd?`, command: 'locksmith doctor'}];
  return [];
}

/** @param {Rollout} rollout @returns {Step[]} */
function stepsOf({id, state}) {
  if (!state) return [];
  const abort = step(id, 'abort', 'everybody puts back what was there before');
  if (state.phase === 'paused')
    return [step(id, 'promote', 'it goes on; nodes that were refused try again'), abort];
  if (state.phase === 'preparing' || state.phase === 'applying')
    return [step(id, 'pause', 'nothing more is ordered'), abort];
  return [];
}

/**
 * The commands that a person may type now: those that help one node of each kind, then those for the whole.
 * @param {Rollout} rollout @param {Fleet} fleet @returns {Step[]}
 */
export function nextSteps(rollout, {leader}) {
  const lock = rollout.plan?.lock ?? 'LOCK';
  const examples = new Map(rollout.nodes.map(node => [node.state, node])).values();
  const drive =
    leader || !rollout.active
      ? []
      : [
          {
            what: 'nobody drives: on a machine with the key of a driver',
            command: 'locksmith fleet agent --drive',
          },
        ];
  return [...drive, ...[...examples].flatMap(node => helpNode(node, lock)), ...stepsOf(rollout)];
}
