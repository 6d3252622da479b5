/** How far is a roll-out, which nodes need somebody, and what can he do? */
import {arrange, element, Keyed, setAttribute, setText} from './dom.js';
import {
  cohortText,
  countText,
  historyText,
  NODE_STATES,
  nextSteps,
  PHASE_SIGNS,
  planText,
  whyText,
} from './fleet-words.js';
import {clock, duration} from './words.js';

/** @typedef {import('./fleet-words.js').Fleet} Fleet */
/** @typedef {import('./fleet-words.js').Rollout} Rollout */
/** @typedef {import('./fleet-words.js').RolloutNode} RolloutNode */
/** @typedef {import('./fleet-words.js').NodeState} NodeState */
/** @typedef {import('./fleet-words.js').Step} Step */
/** @typedef {Rollout['cohorts'][number]} Cohort */
/** @typedef {Rollout['history'][number]} HistoryEvent */

/** More than anybody reads; the newest. */
const MOST_EVENTS = 50;

/** A part of a bar: as wide as its share. Its colour and its letter say the same. */
class Segment {
  #letter;

  /** @param {string} state @param {string} letter */
  constructor(state, letter) {
    this.#letter = letter;
    this.element = element('span', {class: 'segment', 'data-node-state': state});
  }

  /** @param {number} count */
  update(count) {
    this.element.hidden = count === 0;
    this.element.style.flexGrow = String(count);
    setText(this.element, `${this.#letter} ${count}`);
  }
}

/** The bar is for eyes; what it says stands below it in words, and explains its letters. */
class CohortItem {
  #name = element('strong');
  #size = element('span', {class: 'dim'});
  #segments = NODE_STATES.map(([state, letter]) => new Segment(state, letter));
  #counts = NODE_STATES.map(([state, letter]) => {
    const count = element('span');
    const key = element('span', {class: 'key', 'data-node-state': state, 'aria-hidden': 'true'}, letter);
    return {count, element: element('li', {}, key, count)};
  });
  #health = element('li', {class: 'health'});

  constructor() {
    const bar = element(
      'div',
      {class: 'bar', 'aria-hidden': 'true'},
      ...this.#segments.map(segment => segment.element),
    );
    this.element = element(
      'li',
      {class: 'cohort'},
      element('p', {class: 'line'}, this.#name, this.#size),
      bar,
      element('ul', {class: 'counts'}, ...this.#counts.map(count => count.element), this.#health),
    );
  }

  /** @param {{rollout: Rollout, index: number, cohort: Cohort}} shown */
  update({rollout: {cohorts, state, active}, index, cohort: {nodes, counts, health}}) {
    const now = active && state?.cohort === index;
    setText(this.#name, `${now ? '▸ ' : ''}${cohortText(cohorts, index)}`);
    setAttribute(this.element, 'aria-current', now ? 'step' : undefined);
    setText(this.#size, countText(nodes, 'node'));
    for (const [place, [name]] of NODE_STATES.entries()) {
      const count = counts[name] ?? 0;
      this.#segments[place]?.update(count);
      const item = this.#counts[place];
      if (!item) continue;
      item.element.hidden = count === 0;
      setText(item.count, `${count} ${name}`);
    }
    const said = Object.entries(health).filter(([, count]) => count > 0);
    this.#health.hidden = said.length === 0;
    setText(this.#health, `health: ${said.map(([how, count]) => `${count} ${how}`).join(', ')}`);
  }
}

/** A node that needs somebody. */
class NodeRow {
  #cohort = element('td', {role: 'cell', 'data-label': 'Cohort'});
  #state = element('span', {class: 'badge'});
  #health = element('span', {class: 'who'});
  #why = element('td', {role: 'cell', 'data-label': 'Why', class: 'why'});

  /** @param {string} node */
  constructor(node) {
    this.element = element(
      'tr',
      {role: 'row', 'data-node': node},
      element('th', {role: 'rowheader', scope: 'row'}, node),
      element('td', {role: 'cell', 'data-label': 'State'}, this.#state, this.#health),
      this.#cohort,
      this.#why,
    );
  }

  /** @param {{node: RolloutNode, cohorts: Rollout['cohorts']}} shown */
  update({node, cohorts}) {
    const [, letter = ''] = NODE_STATES.find(([state]) => state === node.state) ?? [];
    setText(this.#state, `${letter} ${node.state}`);
    setAttribute(this.#state, 'data-node-state', node.state);
    setText(this.#health, node.health === null ? '' : `health ${node.health}`);
    setText(this.#cohort, cohortText(cohorts, node.cohort));
    setText(this.#why, whyText(node));
  }
}

class StepItem {
  #what = element('span');
  #command = element('code');
  element = element('li', {}, this.#command, this.#what);

  /** @param {Step} step */
  update({what, command}) {
    setText(this.#command, command);
    setText(this.#what, `# ${what}`);
  }
}

class HistoryItem {
  #time = element('time');
  #text = element('span');
  #who = element('span', {class: 'dim'});
  element = element('li', {}, this.#time, element('span', {}, this.#text, ' ', this.#who));

  /** @param {{event: HistoryEvent, cohorts: Rollout['cohorts']}} shown */
  update({event, cohorts}) {
    setText(this.#time, clock(event.at));
    setAttribute(this.#time, 'datetime', event.at);
    setText(this.#text, historyText(event, cohorts));
    setText(this.#who, `by ${event.by}`);
  }
}

/** @param {string} id @param {string} title @param {...Element} children */
function part(id, title, ...children) {
  return element('div', {}, element('h4', {id}, title), ...children);
}

/** One roll-out that is under way, or has just ended. */
export class RolloutCard {
  #cohorts = new Keyed(() => new CohortItem());
  #rows = new Keyed(node => new NodeRow(node));
  #steps = new Keyed(() => new StepItem());
  #events = new Keyed(() => new HistoryItem());

  #lock = element('span');
  #phase = element('span', {class: 'badge', role: 'status'});
  #since = element('time', {class: 'dim'});
  #plan = element('p', {class: 'dim'});
  #why = element('p', {class: 'alarm', role: 'alert', hidden: ''});
  #problems = element('ul', {class: 'plain alarm', hidden: ''});
  #bars = element('ol', {class: 'cohorts', 'aria-label': 'Cohorts'});
  #body = element('tbody', {role: 'rowgroup'});
  #more = element('p', {class: 'dim', hidden: ''});
  #commands = element('ul', {class: 'steps'});
  #history;
  #needed;
  #next;
  #happened;
  /** @type {Rollout | undefined} */
  #shown;
  /** @type {Fleet | undefined} */
  #fleet;

  /** @param {string} id */
  constructor(id) {
    const title = `rollout-${id}`;
    const columns = ['Node', 'State', 'Cohort', 'Why'];
    const head = columns.map(name => element('th', {role: 'columnheader', scope: 'col'}, name));
    const table = element(
      'table',
      {class: 'nodes', role: 'table', 'aria-labelledby': `${title}-needed`},
      element('thead', {role: 'rowgroup'}, element('tr', {role: 'row'}, ...head)),
      this.#body,
    );
    this.#needed = part(`${title}-needed`, 'Nodes that need somebody', table, this.#more);
    this.#next = part(`${title}-next`, 'What you can do', this.#commands);
    const happened = `${title}-happened`;
    this.#history = element('ol', {class: 'list history', tabindex: '0', 'aria-labelledby': happened});
    this.#happened = part(happened, 'What happened, the newest first', this.#history);
    this.element = element(
      'article',
      {class: 'rollout part', 'data-rollout': id, 'aria-labelledby': title},
      element(
        'div',
        {class: 'title'},
        element('h3', {id: title}, this.#lock, ' ', element('span', {class: 'id'}, id)),
        this.#phase,
        this.#since,
      ),
      this.#plan,
      this.#why,
      this.#problems,
      this.#bars,
      this.#needed,
      this.#next,
      this.#happened,
    );
  }

  /** @param {{rollout: Rollout, fleet: Fleet, now: number}} shown */
  update({rollout, fleet, now}) {
    const {state} = rollout;
    setText(this.#since, state ? `for ${duration(now - Date.parse(state.since))}` : '');
    setAttribute(this.#since, 'datetime', state?.since);
    if (rollout === this.#shown && fleet === this.#fleet) return;
    this.#shown = rollout;
    this.#fleet = fleet;
    this.#showHead(rollout);
    this.#showCohorts(rollout);
    this.#showNodes(rollout);
    this.#showSteps(nextSteps(rollout, fleet));
    this.#showHistory(rollout);
  }

  /** @param {Rollout} rollout */
  #showHead({plan, state, problems}) {
    setText(this.#lock, plan?.lock ?? 'a lock that is not known');
    setText(this.#phase, state ? `${PHASE_SIGNS[state.phase]} ${state.phase}` : '? unknown');
    setAttribute(this.#phase, 'data-phase', state?.phase ?? 'unknown');
    setText(this.#plan, planText(plan));
    const why = state?.reason ?? '';
    this.#why.hidden = why === '';
    setText(this.#why, why);
    setAttribute(this.#why, 'data-phase', state?.phase);
    this.#problems.hidden = problems.length === 0;
    this.#problems.replaceChildren(...problems.map(problem => element('li', {}, problem)));
  }

  /** @param {Rollout} rollout */
  #showCohorts(rollout) {
    const items = rollout.cohorts.map((cohort, index) => ({rollout, index, cohort}));
    const views = this.#cohorts.show(items.map(item => [String(item.index), item]));
    arrange(
      this.#bars,
      views.map(view => view.element),
    );
  }

  /** The daemon gives those in need first, and not all of them where they are too many. @param {Rollout} rollout */
  #showNodes({nodes, inNeed, cohorts}) {
    const rows = nodes.slice(0, inNeed);
    const views = this.#rows.show(rows.map(node => [node.node, {node, cohorts}]));
    arrange(
      this.#body,
      views.map(view => view.element),
    );
    this.#needed.hidden = inNeed === 0;
    this.#more.hidden = rows.length === inNeed;
    setText(this.#more, `and ${inNeed - rows.length} more`);
  }

  /** @param {Step[]} steps */
  #showSteps(steps) {
    const views = this.#steps.show(steps.map(step => [step.command, step]));
    arrange(
      this.#commands,
      views.map(view => view.element),
    );
    this.#next.hidden = steps.length === 0;
  }

  /** @param {Rollout} rollout */
  #showHistory({history, cohorts}) {
    const events = history.slice(-MOST_EVENTS).toReversed();
    const views = this.#events.show(events.map(event => [String(event.seq), {event, cohorts}]));
    arrange(
      this.#history,
      views.map(view => view.element),
    );
    this.#happened.hidden = events.length === 0;
  }
}
