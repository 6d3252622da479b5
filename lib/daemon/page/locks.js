/** Which locks are there, who has them, and since when? */
import {arrange, byId, element, Keyed, setAttribute, setText} from './dom.js';
import {Details} from './details.js';
import {duration, ownerText} from './words.js';

/** @typedef {import('./model.js').Lock} Lock */
/** @typedef {import('./model.js').Model} Model */
/** @typedef {import('./main.js').Moment} Moment */
/** @typedef {{lock: Lock, onHold: boolean, now: number}} Shown */

/** Each state, its sign beside its colour, and what needs attention first. @type {Readonly<Record<string, {sign: string, rank: number}>>} */
const STATES = {
  DEAD: {sign: '✕', rank: 0},
  UNKNOWN: {sign: '?', rank: 1},
  FROZEN: {sign: '‖', rank: 2},
  ALIVE: {sign: '●', rank: 3},
  FREE: {sign: '○', rank: 4},
};

/** More rows than anybody reads; the filter finds the others. */
const MOST_ROWS = 500;

/** A lock that was not examined since it changed stands where its bit would have it. @param {Lock} lock */
function rankOf({state, hot}) {
  return STATES[state ?? (hot ? 'ALIVE' : 'FREE')]?.rank ?? 0;
}

/** Trouble first. @param {Lock} a @param {Lock} b */
function byNeed(a, b) {
  return rankOf(a) - rankOf(b) || (a.name < b.name ? -1 : 1);
}

/** @param {Lock} lock */
function bitText({hot}) {
  if (hot === null) return 'unreadable';
  return hot ? 'HOT' : 'clear';
}

/** Does each word stand in what is known of the lock? @param {Lock} lock @param {string} query */
function matches(lock, query) {
  const {name, file, state, owner, recovering, hot} = lock;
  const text = [
    name,
    file,
    state ?? '',
    hot ? 'HOT' : '',
    owner?.purpose ?? '',
    recovering ? 'recovered' : '',
  ];
  const all = text.join('\n').toLowerCase();
  return query
    .toLowerCase()
    .split(/\s+/)
    .every(word => all.includes(word));
}

/** One lock: its row, and below it, if asked for, how that is known. */
class LockRow {
  #details;
  #open = false;
  #button = element('button', {type: 'button', class: 'name', 'aria-expanded': 'false'});
  #file = element('span', {class: 'file'});
  #sign = element('span', {'aria-hidden': 'true'});
  #state = element('span');
  #badge = element('span', {class: 'badge'}, this.#sign, ' ', this.#state);
  #recovering = element('span', {class: 'badge', 'data-state': 'recovering'}, '↻ being recovered');
  #onHold = element('span', {class: 'badge', 'data-state': 'hold'}, '■ on hold');
  #bit = element('td', {role: 'cell', 'data-label': 'Bit'});
  #owner = element('span', {class: 'owner'});
  #purpose = element('span', {class: 'purpose'});
  #age = element('time');
  #waiters = element('td', {role: 'cell', 'data-label': 'Waiters', class: 'number'});

  /** @param {string} name */
  constructor(name) {
    const id = `details-${name}`;
    this.#details = new Details(id, name);
    setText(this.#button, name);
    this.#button.setAttribute('aria-controls', id);
    this.#button.addEventListener('click', () => this.#toggle());
    this.element = element(
      'tr',
      {role: 'row', 'data-lock': name},
      element('th', {role: 'rowheader', scope: 'row'}, this.#button, this.#file),
      element('td', {role: 'cell', 'data-label': 'State'}, this.#badge, this.#recovering, this.#onHold),
      this.#bit,
      element('td', {role: 'cell', 'data-label': 'Owner'}, this.#owner, this.#purpose),
      element('td', {role: 'cell', 'data-label': 'For', class: 'number'}, this.#age),
      this.#waiters,
    );
  }

  get elements() {
    return this.#open ? [this.element, this.#details.element] : [this.element];
  }

  /** @param {Shown} shown */
  update({lock, onHold, now}) {
    setText(this.#file, lock.file);
    this.#updateState(lock, onHold);
    this.#updateOwner(lock, now);
    setText(this.#bit, bitText(lock));
    setAttribute(this.#bit, 'data-hot', lock.hot ? '' : undefined);
    setText(this.#waiters, lock.waiters === 0 ? '–' : String(lock.waiters));
    if (this.#open) this.#details.keepUp(lock);
  }

  /** @param {Lock} lock @param {boolean} onHold */
  #updateState({state, recovering}, onHold) {
    setText(this.#sign, (state && STATES[state]?.sign) ?? '…');
    setText(this.#state, state ?? 'not examined yet');
    setAttribute(this.#badge, 'data-state', state ?? 'none');
    this.#recovering.hidden = !recovering;
    this.#onHold.hidden = !onHold;
  }

  /** Of a lock that is free, the last owner is history. @param {Lock} lock @param {number} now */
  #updateOwner({owner, hot}, now) {
    const own = hot ? owner : null;
    setText(this.#owner, own ? ownerText(own) : '–');
    setText(this.#purpose, own?.purpose ?? '');
    setText(this.#age, own ? duration(now - Date.parse(own.since)) : '–');
    setAttribute(this.#age, 'datetime', own?.since);
    setAttribute(this.#age, 'title', own ? `since ${own.since}` : undefined);
  }

  #toggle() {
    this.#open = !this.#open;
    setAttribute(this.#button, 'aria-expanded', String(this.#open));
    if (this.#open) void this.#details.look();
    document.dispatchEvent(new Event('view-changed'));
  }
}

/** Buttons that show how many locks are in each state, and only these when pressed. */
class StateFilter {
  #counts = new Map(
    ['all', ...Object.keys(STATES)].map(state => [state, element('span', {class: 'count'}, '0')]),
  );
  #buttons = new Map([...this.#counts].map(([state, count]) => [state, this.#button(state, count)]));
  chosen = 'all';

  constructor() {
    byId('states').append(...this.#buttons.values());
    this.#choose('all');
  }

  /** @param {readonly Lock[]} locks */
  count(locks) {
    for (const [state, count] of this.#counts)
      setText(
        count,
        String(state === 'all' ? locks.length : locks.filter(lock => lock.state === state).length),
      );
  }

  /** @param {string} state @param {Element} count */
  #button(state, count) {
    const sign = STATES[state] ? [element('span', {'aria-hidden': 'true'}, STATES[state].sign), ' '] : [];
    const button = element('button', {type: 'button', 'data-state': state}, ...sign, `${state} `, count);
    button.addEventListener('click', () => this.#choose(this.chosen === state ? 'all' : state));
    return button;
  }

  /** @param {string} state */
  #choose(state) {
    this.chosen = state;
    for (const [each, button] of this.#buttons) setAttribute(button, 'aria-pressed', String(each === state));
    document.dispatchEvent(new Event('view-changed'));
  }
}

export class LockTable {
  #rows = new Keyed(name => new LockRow(name));
  #states = new StateFilter();
  #body = byId('locks');
  #input = /** @type {HTMLInputElement} */ (byId('filter'));

  constructor() {
    this.#input.addEventListener('input', () => document.dispatchEvent(new Event('view-changed')));
  }

  /** @param {Model} model @param {Moment} moment */
  show({status, locks, holds}, {now}) {
    const all = [...locks.values()].toSorted(byNeed);
    const found = all.filter(lock => this.#isWanted(lock));
    const onHold = new Set([...holds.values()].map(({lock}) => lock));
    const shown = found.slice(0, MOST_ROWS);
    const views = this.#rows.show(shown.map(lock => [lock.name, {lock, onHold: onHold.has(lock.name), now}]));
    arrange(
      this.#body,
      views.flatMap(({elements}) => elements),
    );
    this.#states.count(all);
    if (status) this.#say(shown.length, found.length, all.length);
  }

  /** @param {Lock} lock */
  #isWanted(lock) {
    const {chosen} = this.#states;
    return (chosen === 'all' || lock.state === chosen) && matches(lock, this.#input.value.trim());
  }

  /** @param {number} shown @param {number} found @param {number} all */
  #say(shown, found, all) {
    const first = shown < found ? `the first ${shown} of ` : '';
    setText(byId('shown'), `${first}${found === all ? all : `${found} of ${all}`} shown`);
    const nothing = byId('no-locks');
    nothing.hidden = found > 0;
    setText(
      nothing,
      all === 0
        ? 'There is no lock yet: one comes into being when it is first opened for its file.'
        : 'No lock fits the filter.',
    );
  }
}
