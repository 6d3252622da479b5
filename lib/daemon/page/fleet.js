/** How is the fleet? Roll-outs under way, nodes that need somebody, holds, what has ended, and how old all that is. */
import {arrange, byId, element, Keyed, setAttribute, setText} from './dom.js';
import {countText, labelText, PHASE_SIGNS, personText, planText} from './fleet-words.js';
import {RolloutCard} from './rollout.js';
import {clock, duration} from './words.js';

/** @typedef {import('./fleet-words.js').Fleet} Fleet */
/** @typedef {import('./model.js').Model} Model */
/** @typedef {import('./main.js').Moment} Moment */
/** @typedef {Fleet['nodes'][number]} FleetNode */
/** @typedef {Fleet['holds'][number]} FleetHold */
/** @typedef {Fleet['rollouts'][number]} Summary */

/** @param {string} id @param {boolean} isShown @param {string} text */
function say(id, isShown, text) {
  byId(id).hidden = !isShown;
  setText(byId(id), isShown ? text : '');
}

/**
 * @param {string} id
 * @param {readonly {element: Element}[]} views
 */
function fill(id, views) {
  arrange(
    byId(id),
    views.map(view => view.element),
  );
}

/** @param {FleetNode['hot'][number]} hot */
function hotText({lock, state, summary}) {
  return `${lock} ${state}: ${summary}`;
}

class FleetNodeRow {
  #state = element('span', {class: 'badge'});
  #version = element('span', {class: 'who'});
  #labels = element('td', {role: 'cell', 'data-label': 'Labels'});
  #hot = element('td', {role: 'cell', 'data-label': 'HOT', class: 'why'});

  /** @param {string} node */
  constructor(node) {
    this.element = element(
      'tr',
      {role: 'row', 'data-fleet-node': node},
      element('th', {role: 'rowheader', scope: 'row'}, node),
      element('td', {role: 'cell', 'data-label': 'State'}, this.#state, this.#version),
      this.#labels,
      this.#hot,
    );
  }

  /** @param {FleetNode} node */
  update({silent, version, labels, hot}) {
    setText(this.#state, silent ? '? SILENT' : '● UP');
    setAttribute(this.#state, 'data-node-state', silent ? 'SILENT' : 'UP');
    setText(this.#version, version ?? '');
    setText(this.#labels, labelText(labels) || '–');
    setText(this.#hot, silent ? 'nobody knows' : hot.map(hotText).join('; ') || '–');
  }
}

/** When a hold began, and so when it ends, is as the clock of whoever asked for it says. */
class FleetHoldItem {
  #lock = element('strong');
  #left = element('span', {class: 'left'});
  #bar = /** @type {HTMLProgressElement} */ (element('progress', {max: '1'}));
  #who = element('span', {class: 'who'});

  constructor() {
    const first = element('span', {class: 'line'}, this.#lock, this.#left);
    this.element = element('li', {class: 'hold'}, first, this.#bar, this.#who);
  }

  /** @param {{hold: FleetHold, now: number}} shown */
  update({hold: {lock, where, reason, by, at, for: whole}, now}) {
    const left = Math.max(0, Date.parse(at) + whole - now);
    setText(this.#lock, lock);
    setText(this.#left, left > 0 ? `ends in about ${duration(left)}` : 'ends about now');
    this.#bar.value = Math.min(1, left / whole);
    setAttribute(this.#bar, 'aria-label', `what is left of the hold on ${lock}`);
    const whom = labelText(where) || 'all nodes';
    setText(this.#who, `on ${whom}, for ${personText(by)}, since ${clock(at)}: ${reason}`);
  }
}

class EndedItem {
  #phase = element('span', {class: 'badge'});
  #lock = element('strong');
  #id = element('span', {class: 'id'});
  #when = element('time', {class: 'dim'});
  #why = element('p');
  #plan = element('p', {class: 'dim'});
  #command = element('code');

  constructor() {
    const first = element('p', {}, this.#phase, this.#lock, ' ', this.#id, ' ', this.#when);
    this.element = element('li', {}, first, this.#why, this.#plan, this.#command);
  }

  /** @param {Summary} rollout */
  update({id, plan, state}) {
    setText(this.#phase, state ? `${PHASE_SIGNS[state.phase]} ${state.phase}` : '? unknown');
    setAttribute(this.#phase, 'data-phase', state?.phase ?? 'unknown');
    setText(this.#lock, plan?.lock ?? 'a lock that is not known');
    setText(this.#id, id);
    setText(this.#when, state ? clock(state.since) : '');
    setText(this.#why, state?.reason ?? '');
    this.#why.hidden = !state?.reason;
    setText(this.#plan, planText(plan));
    setText(this.#command, `locksmith fleet rollout status ${id}`);
  }
}

/** @param {Fleet['standing']} standing */
function oldText({since, why}) {
  return `Not current since ${clock(since)}: ${why}. What is shown is as it was then. It is tried again; nothing on this machine needs etcd.`;
}

export class FleetPanel {
  #cards = new Keyed(id => new RolloutCard(id));
  #rows = new Keyed(node => new FleetNodeRow(node));
  #holds = new Keyed(() => new FleetHoldItem());
  #ended = new Keyed(() => new EndedItem());
  /** @type {Fleet | undefined} */
  #shown;

  /** @param {Model} model @param {Moment} moment */
  show({fleet, rollouts}, {now}) {
    for (const id of ['fleet', 'fleet-head', 'to-fleet']) byId(id).hidden = fleet === undefined;
    if (!fleet) return;
    fill('rollouts', this.#cards.show(rollouts.map(rollout => [rollout.id, {rollout, fleet, now}])));
    byId('no-rollouts').hidden = rollouts.some(({active}) => active);
    fill('fleet-holds', this.#holds.show(fleet.holds.map(hold => [hold.id, {hold, now}])));
    if (fleet === this.#shown) return;
    this.#shown = fleet;
    this.#showStanding(fleet);
    this.#showHead(fleet);
    this.#showNodes(fleet);
    this.#showEnded(fleet, new Set(rollouts.map(({id}) => id)));
    this.#showProblems(fleet);
    byId('fleet-holds').hidden = fleet.holds.length === 0;
    byId('no-fleet-holds').hidden = fleet.holds.length > 0;
  }

  /** @param {Fleet} fleet */
  #showStanding({standing}) {
    setText(byId('fleet-standing'), standing.current ? '● current' : '✕ old');
    setAttribute(byId('fleet-standing'), 'data-connection', standing.current ? 'live' : 'cut');
    say('fleet-old', !standing.current, oldText(standing));
  }

  /** @param {Fleet} fleet */
  #showHead({fleet, leader, rollouts, standing}) {
    setText(byId('fleet-name'), fleet);
    setText(byId('fleet-leader'), leader ? `driven by ${personText(leader.by)}` : 'nobody drives');
    const phases = rollouts.flatMap(({active, plan, state}) =>
      active && state ? [`${plan?.lock ?? 'a lock'} ${state.phase}`] : [],
    );
    const known = standing.current ? '' : ' (old)';
    setText(byId('fleet-line'), `${fleet}: ${phases.join(', ') || 'no roll-out under way'}${known}`);
  }

  /** The daemon gives those in need first. @param {Fleet} fleet */
  #showNodes({counts, nodes}) {
    const {nodes: all, silent, hot, inNeed} = counts;
    const rows = nodes.slice(0, inNeed);
    const text = `${countText(all, 'node')}: ${all - silent} UP, ${silent} SILENT; ${hot} with locks that are HOT`;
    setText(byId('fleet-nodes-count'), text);
    fill('fleet-nodes', this.#rows.show(rows.map(node => [node.node, node])));
    byId('fleet-nodes-table').hidden = inNeed === 0;
    say('fleet-nodes-more', rows.length < inNeed, `and ${inNeed - rows.length} more`);
  }

  /** @param {Fleet} fleet @param {ReadonlySet<string>} inView */
  #showEnded({rollouts, counts}, inView) {
    const ended = rollouts.filter(({active, id}) => !active && !inView.has(id));
    const all = counts.ended - rollouts.filter(({active, id}) => !active && inView.has(id)).length;
    fill('ended', this.#ended.show(ended.map(rollout => [rollout.id, rollout])));
    byId('fleet-ended').hidden = ended.length === 0;
    const more = all > ended.length ? `, the last ${ended.length} of them` : '';
    setText(byId('fleet-ended-title'), `${countText(all, 'roll-out')} ended before${more}`);
  }

  /** @param {Fleet} fleet */
  #showProblems({problems, counts}) {
    byId('fleet-trouble').hidden = problems.length === 0;
    const more = counts.problems - problems.length;
    const texts = [...problems, ...(more > 0 ? [`and ${more} more`] : [])];
    byId('fleet-problems').replaceChildren(...texts.map(text => element('li', {}, text)));
  }
}
