/** How is it known in which state a lock is? What was looked at, what was seen, what follows, and what to do next. */
import {element, setText} from './dom.js';

/** @typedef {import('./model.js').Lock} Lock */
/** @typedef {import('./model.js').Verdict} Verdict */

/** @param {Verdict} verdict @returns {[string, string][]} */
function factsOf({file, epoch, owner, bit, holders, complete, missing}) {
  return [
    ['file', file],
    [
      'owner',
      owner
        ? `pid ${owner.pid} on ${owner.node} (${owner.exe}, uid ${owner.uid}), since ${owner.since}`
        : 'none on record',
    ],
    ['epoch', String(epoch ?? 'unreadable')],
    ['bit', `${bit.value ?? 'unreadable'} (${bit.kind}: ${bit.path})`],
    ['holders', holders.map(({pid}) => `pid ${pid}`).join(', ') || 'none'],
    [
      'complete',
      complete
        ? 'yes, all that matters could be looked at'
        : `no: ${missing.map(({what, why}) => `${what} (${why})`).join('; ')}`,
    ],
  ];
}

/** @param {Verdict['evidence'][number]} evidence */
function evidenceItem({looked, saw, follows}) {
  return element(
    'li',
    {},
    element('span', {class: 'looked'}, looked),
    element('span', {class: 'saw'}, saw),
    element('span', {class: 'follows'}, `→ ${follows}`),
  );
}

/** @param {Verdict} verdict */
function contentOf(verdict) {
  const facts = factsOf(verdict).map(([label, text]) =>
    element('div', {}, element('dt', {}, label), element('dd', {}, text)),
  );
  const next = verdict.next.map(step => element('li', {}, element('code', {}, step)));
  return [
    element('dl', {class: 'facts'}, ...facts),
    element('h3', {}, 'Evidence'),
    element('ol', {class: 'evidence'}, ...verdict.evidence.map(evidenceItem)),
    ...(next.length > 0 ? [element('h3', {}, 'Next'), element('ul', {class: 'next'}, ...next)] : []),
  ];
}

/** The row below that of a lock. */
export class Details {
  #name;
  #cell;
  /** State and epoch of the lock when it was looked at last. */
  #seen = '';
  #looking = false;

  /** @param {string} id @param {string} name */
  constructor(id, name) {
    this.#name = name;
    this.#cell = element('td', {role: 'cell', colspan: '6'});
    this.element = element('tr', {role: 'row', class: 'details', id}, this.#cell);
  }

  /** Looks again when the lock is in another state than the one that is explained here. @param {Lock} lock */
  keepUp({state, epoch}) {
    const seen = `${state} ${epoch}`;
    if (state === null || seen === this.#seen) return;
    this.#seen = seen;
    void this.look();
  }

  async look() {
    if (this.#looking) return;
    this.#looking = true;
    try {
      this.#cell.replaceChildren(...contentOf(await this.#ask()));
    } catch (error) {
      setText(this.#cell, `It could not be looked at: ${/** @type {Error} */ (error).message}`);
    } finally {
      this.#looking = false;
    }
  }

  /** @returns {Promise<Verdict>} */
  async #ask() {
    const answer = await fetch(`/v1/locks/${encodeURIComponent(this.#name)}`);
    const body = await answer.json();
    if (!answer.ok) throw new Error(body.error.message);
    return body;
  }
}
