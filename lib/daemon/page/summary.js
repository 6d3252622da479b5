/** How is the daemon, and does this page still hear from it? */
import {byId, setAttribute, setText} from './dom.js';
import {clock, duration, took} from './words.js';

/** @typedef {import('./model.js').Model} Model */
/** @typedef {import('./model.js').Status} Status */
/** @typedef {import('./main.js').Moment} Moment */

/** States that somebody should look at. */
const TROUBLE = new Set(['DEAD', 'UNKNOWN', 'FROZEN']);

/** @param {Status} status @param {number} now */
function sweepText({sweep}, now) {
  if (!sweep) return 'none yet';
  return `${duration(now - Date.parse(sweep.finished))} ago, ${sweep.locks} locks in ${took(sweep.took)}`;
}

export class StatusLine {
  /** @param {Model} model @param {Moment} moment @param {boolean} isCut */
  show(model, moment, isCut) {
    this.#showConnection(model, moment, isCut);
    this.#showTitle(model, isCut);
    if (model.status) this.#showDaemon(model.status, moment.now);
  }

  /** @param {Model} model @param {Moment} moment @param {boolean} isCut */
  #showConnection({status}, {now}, isCut) {
    const connection = byId('connection');
    const state = isCut ? 'cut' : status ? 'live' : 'none';
    setText(connection, {cut: '✕ cut off', live: '● live', none: '… connecting'}[state]);
    setAttribute(connection, 'data-connection', state);
    const banner = byId('cut-off');
    banner.hidden = !isCut;
    setText(
      banner,
      isCut
        ? `Cut off from the daemon since ${clock(now)}. ${status ? 'What is shown is old: it is as it was then.' : 'Nothing is known yet.'} Trying again.`
        : '',
    );
  }

  /** @param {Model} model @param {boolean} isCut */
  #showTitle({status, locks}, isCut) {
    const trouble = [...locks.values()].filter(({state}) => state !== null && TROUBLE.has(state)).length;
    const sign = isCut ? '✕ ' : trouble > 0 ? `(${trouble}) ` : '';
    const title = `${sign}Locksmith${status ? ` on ${status.node}` : ''}`;
    if (document.title !== title) document.title = title;
  }

  /** @param {Status} status @param {number} now */
  #showDaemon(status, now) {
    setText(byId('node'), `on ${status.node}`);
    setText(byId('daemon'), `pid ${status.pid}, version ${status.version}`);
    setText(byId('since'), `${clock(status.since)} (${duration(now - Date.parse(status.since))})`);
    setText(byId('sweep'), sweepText(status, now));
    this.#showPolicy(status);
  }

  /** @param {Status} status */
  #showPolicy({policy: {read, problem}}) {
    setText(
      byId('policy'),
      problem === null ? `read ${clock(read)}` : `✕ has a fault; in force is that of ${clock(read)}`,
    );
    setAttribute(byId('policy'), 'data-problem', problem === null ? undefined : '');
    const text = byId('policy-problem');
    text.hidden = problem === null;
    setText(text, problem ?? '');
  }
}
