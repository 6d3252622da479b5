/** Which holds are in force, what happens just now, and what is on record? */
import {arrange, byId, element, Keyed, setText} from './dom.js';
import {auditText, clock, duration, eventText} from './words.js';

/** @typedef {import('./model.js').Model} Model */
/** @typedef {import('./model.js').TimedHold} TimedHold */
/** @typedef {import('./model.js').Happened} Happened */
/** @typedef {import('./model.js').AuditRecord} AuditRecord */
/** @typedef {import('./main.js').Moment} Moment */

/** Signs beside the colours. @type {Readonly<Record<string, string>>} */
const SIGNS = {
  'owner-died': '✕',
  orphan: '✕',
  recovering: '↻',
  recovered: '✓',
  'recovery-refused': '!',
  'hold-granted': '■',
  'hold-ended': '▷',
  trouble: '!',
  policy: '!',
  'fleet-standing': '!',
};

/**
 * Shows views in a list, or says that there is nothing.
 * @param {string} id
 * @param {readonly {element: Element}[]} views
 */
function fill(id, views) {
  arrange(
    byId(id),
    views.map(view => view.element),
  );
  byId(id).hidden = views.length === 0;
  byId(`no-${id}`).hidden = views.length > 0;
}

class HoldItem {
  #lock = element('strong');
  #left = element('span', {class: 'left'});
  #bar = /** @type {HTMLProgressElement} */ (element('progress', {max: '1'}));
  #who = element('span', {class: 'who'});

  constructor() {
    const first = element('span', {class: 'line'}, this.#lock, this.#left);
    this.element = element('li', {class: 'hold'}, first, this.#bar, this.#who);
  }

  /** @param {{hold: TimedHold, moment: Moment}} shown */
  update({hold, moment: {now, ticks}}) {
    const left = Math.max(0, hold.ends - ticks);
    const whole = now - Date.parse(hold.since) + left;
    setText(this.#lock, hold.lock);
    setText(this.#left, `ends in ${duration(left)}`);
    this.#bar.value = Math.min(1, left / whole);
    this.#bar.setAttribute('aria-label', `what is left of the hold on ${hold.lock}`);
    const why = hold.reason === '' ? '' : `: ${hold.reason}`;
    setText(this.#who, `pid ${hold.by.pid}, uid ${hold.by.uid}, since ${clock(hold.since)}${why}`);
  }
}

export class HoldList {
  #items = new Keyed(() => new HoldItem());

  /** @param {Model} model @param {Moment} moment */
  show({holds}, moment) {
    fill('holds', this.#items.show([...holds.values()].map(hold => [hold.id, {hold, moment}])));
  }
}

class HappenedItem {
  element = element('li');
  #shown = false;

  /** What happened does not change. @param {Happened} happened */
  update({at, told}) {
    if (this.#shown) return;
    this.#shown = true;
    const sign = element('span', {class: 'sign', 'aria-hidden': 'true'}, SIGNS[told.event] ?? '·');
    const time = element('time', {datetime: new Date(at).toISOString()}, clock(at));
    const lock = told.lock ? [element('strong', {}, told.lock), ' '] : [];
    this.element.dataset['event'] = told.event;
    this.element.append(time, sign, element('span', {}, ...lock, eventText(told) ?? told.event));
  }
}

export class HappenedList {
  #items = new Keyed(() => new HappenedItem());

  /** @param {Model} model */
  show({happened}) {
    fill('happened', this.#items.show(happened.map(each => [each.id, each])));
  }
}

class AuditItem {
  element = element('li');
  #shown = false;

  /** A record does not change. @param {AuditRecord} record */
  update(record) {
    if (this.#shown) return;
    this.#shown = true;
    const {seq, time, event, lock, by} = record;
    const first = element(
      'span',
      {},
      element('strong', {}, lock),
      ` ${event} `,
      element('span', {class: 'seq'}, `#${seq}`),
    );
    const who = element(
      'span',
      {class: 'who'},
      `pid ${by.pid} (uid ${by.uid}) on ${by.node}. ${auditText(record)}`,
    );
    this.element.append(element('time', {datetime: time}, clock(time)), element('span', {}, first, who));
  }
}

export class AuditList {
  #items = new Keyed(() => new AuditItem());

  /** @param {Model} model */
  show({audit}) {
    fill(
      'audit',
      this.#items.show(audit.toReversed().map(record => [`${record.seq} ${record.time}`, record])),
    );
  }
}
