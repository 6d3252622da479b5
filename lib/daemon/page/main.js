/** What does the page do? It keeps what the daemon tells, and shows it: at each event, and each second for what counts up or down. */
import {Connection} from './connection.js';
import {FleetPanel} from './fleet.js';
import {AuditList, HappenedList, HoldList} from './lists.js';
import {LockTable} from './locks.js';
import {Model} from './model.js';
import {StatusLine} from './summary.js';

/** @typedef {{now: number, ticks: number}} Moment Milliseconds since 1970 by the daemon's clock, and on that of performance.now(). */

const model = new Model();
const views = [
  new StatusLine(),
  new LockTable(),
  new FleetPanel(),
  new HoldList(),
  new HappenedList(),
  new AuditList(),
];

let skew = 0;
/** When the connection was cut off: nothing is known of what came later. @type {Moment | undefined} */
let cut;
let due = false;

/** @returns {Moment} */
function moment() {
  return {now: Date.now() + skew, ticks: performance.now()};
}

function show() {
  due = false;
  const shown = cut ?? moment();
  document.body.classList.toggle('cut-off', cut !== undefined);
  for (const view of views) view.show(model, shown, cut !== undefined);
}

/** All that comes before the next frame is shown at once. A page in the background gets no frames, but its title is read there. */
function showSoon() {
  if (due) return;
  due = true;
  if (document.hidden) setTimeout(show);
  else requestAnimationFrame(show);
}

new Connection({
  snapshot(all, ahead) {
    // Another version has another page.
    if (model.status && model.status.version !== all.status.version) location.reload();
    skew = ahead;
    cut = undefined;
    model.begin(all);
    showSoon();
  },
  told(told) {
    model.note(told);
    showSoon();
  },
  audit(records) {
    model.audit = records;
    showSoon();
  },
  fleet(fleet, rollouts) {
    model.fleet = fleet;
    model.rollouts = rollouts;
    showSoon();
  },
  cut() {
    cut ??= moment();
    showSoon();
  },
}).open();

document.addEventListener('view-changed', showSoon);
// The frame that was awaited may not come any more.
document.addEventListener('visibilitychange', show);
setInterval(showSoon, 1000);
