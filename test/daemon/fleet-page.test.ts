/** Does the page show how a roll-out moves through the fleet, who needs somebody and what to do, to everybody? In a real browser, with a real etcd, and a fleet that the test plays. */
import test, {type ExecutionContext, type ImplementationFn} from 'ava';
import {closeBrowser, inspect, type Look, look, noChromium, type Sight} from '../helpers/browser.js';
import {type Bench, bench} from '../helpers/cli.js';
import {testWith} from '../helpers/here.js';
import {pageDaemon} from '../helpers/page-daemon.js';
import {LOCK, PlayedFleet} from '../helpers/played-fleet.js';

test.after.always(() => closeBrowser());

const CARD = '[data-rollout="r-1"]';
const cohort = (place: number) => `${CARD} .cohort:nth-child(${place})`;

function testPage(title: string, run: ImplementationFn<[]>): void {
  testWith(noChromium, title, run, test.serial);
}

interface Stage {
  readonly made: Bench;
  readonly fleet: PlayedFleet;
  readonly names: readonly string[];
  readonly open: (options?: Look) => Promise<Sight>;
}

/** A fleet of six, which a daemon with a page looks at. */
async function stage(t: ExecutionContext): Promise<Stage> {
  const made = bench(t);
  const fleet = await PlayedFleet.start(t);
  const names = Array.from({length: 6}, (_, index) => `node-${index}`);
  await fleet.nodes(names);
  await fleet.lead();
  const {url} = await pageDaemon(made, {options: ['--fleet', fleet.file(made.directory)]});
  return {made, fleet, names, open: options => look(t, url, options)};
}

function clean(t: ExecutionContext, {complaints}: Sight): void {
  t.deepEqual(complaints, []);
}

testPage('without a fleet there is nothing of one on the page', async t => {
  const sight = await look(t, (await pageDaemon(bench(t))).url);
  await sight.shows('#no-locks');
  for (const selector of ['#fleet', '#fleet-head', '#to-fleet']) await sight.lacks(selector);
  t.false((await sight.text('main')).includes('roll-out'));
  clean(t, sight);
});

testPage('a roll-out moves from the canary to its end before the eyes of whoever looks', async t => {
  const {fleet, names, open} = await stage(t);
  const sight = await open();
  await sight.shows('#fleet-standing', 'current');
  await sight.shows('#no-rollouts', 'No roll-out is under way');
  await sight.shows('#fleet-nodes-count', '6 nodes: 6 UP, 0 SILENT; 0 with locks that are HOT');

  await fleet.plan('r-1', {canary: 1, steps: [50, 100], reason: 'CR 1234'});
  await fleet.state('r-1', 'preparing');
  await sight.shows(`${CARD} [data-phase]`, 'preparing');
  await sight.shows('#fleet-line', `test: ${LOCK} preparing`);
  const card = await sight.text(CARD);
  for (const text of [
    LOCK,
    'r-1',
    'CR 1234',
    'pid 4242 (uid 0) on desk',
    'epoch 7',
    'canary',
    'to 50 %',
    'to 100 %',
  ])
    t.true(card.includes(text), `${text} in ${card}`);
  await sight.shows(cohort(1), '1 PENDING');
  await sight.shows(`${cohort(1)}[aria-current="step"]`, 'canary');
  await sight.shows(`${CARD} .steps`, 'locksmith fleet rollout pause r-1 --reason');

  for (const state of ['SHADOWED', 'PREPARED'] as const) {
    for (const node of names) await fleet.report('r-1', node, state);
    await sight.shows(cohort(3), `3 ${state}`);
  }
  await fleet.state('r-1', 'applying', {cohort: 1});
  for (const node of names) await fleet.report('r-1', node, 'APPLIED', {health: 'soaking', epoch: 7});
  await sight.shows(cohort(2), 'health: 2 soaking');
  await sight.shows(`${cohort(2)}[aria-current="step"]`, '2 APPLIED');
  await sight.shows(`${cohort(2)} .segment[data-node-state="APPLIED"]`, 'A 2');
  await sight.lacks(`${CARD} .segment[data-node-state="PENDING"]`);

  for (const node of names) await fleet.report('r-1', node, 'APPLIED', {health: 'passed', epoch: 7});
  await fleet.tell('r-1', 'converged', {detail: 'every node'});
  await fleet.state('r-1', 'converged', {cohort: 2});
  await sight.shows(`${CARD} [data-phase]`, 'converged');
  await sight.shows(`${CARD} .history`, 'converged: every node');
  await sight.shows(cohort(3), 'health: 3 passed');
  await sight.shows('#no-rollouts');
  await sight.lacks(`${CARD} .steps`);
  clean(t, sight);
});

testPage('a refusal is shown with its owner, as text, and with what to do about it', async t => {
  const {fleet, open} = await stage(t);
  const sight = await open();
  await fleet.plan('r-1', {canary: 1});
  await fleet.state('r-1', 'preparing');
  await sight.shows(CARD);
  await sight.lacks(`${CARD} [data-node]`);
  const owner = {pid: 77, node: 'node-3', purpose: '<b>tuning</b>'};
  await fleet.report('r-1', 'node-3', 'REFUSED_HOT', {reason: `lock mismatch: ${LOCK} HOT`, owner});
  await fleet.report('r-1', 'node-4', 'FAILED', {reason: 'its validator ended with status 1'});
  await fleet.silence('node-5');
  await fleet.state('r-1', 'paused', {paused: 'preparing', reason: 'lock mismatch: node-3'});
  await sight.shows('[data-node="node-3"]', 'REFUSED_HOT');
  await sight.shows(
    '[data-node="node-3"]',
    `lock mismatch: ${LOCK} HOT: pid 77 on node-3, for "<b>tuning</b>"`,
  );
  await sight.shows('[data-node="node-4"]', 'its validator ended with status 1');
  await sight.shows('[data-node="node-5"]', 'SILENT');
  await sight.shows('[data-fleet-node="node-5"]', 'nobody knows');
  await sight.shows(`${CARD} .alarm`, 'lock mismatch: node-3');
  const steps = await sight.text(`${CARD} .steps`);
  for (const text of [
    `locksmith explain ${LOCK}`,
    'on node-3: who has it',
    'locksmith fleet rollout promote r-1',
    'locksmith fleet rollout abort r-1',
  ])
    t.true(steps.includes(text), `${text} in ${steps}`);
  t.is(await sight.evaluate('document.querySelectorAll("#fleet b").length'), 0);

  // Whoever had it lets it go, and all goes on.
  await fleet.report('r-1', 'node-3', 'PREPARED');
  await fleet.state('r-1', 'preparing');
  await sight.lacks('[data-node="node-3"]');
  await sight.lacks(`${CARD} .alarm`);
  clean(t, sight);
});

testPage('holds of the fleet, who is HOT, what ended and what is invalid are shown', async t => {
  const {fleet, open} = await stage(t);
  const sight = await open();
  await sight.shows('#no-fleet-holds');
  await fleet.hold('hold-1', {reason: 'disk <swap>', where: {site: 'oslo'}});
  await sight.shows('#fleet-holds', 'disk <swap>');
  await sight.shows('#fleet-holds', 'on site=oslo, for pid 4242 (uid 0) on desk');
  const left = await sight.text('#fleet-holds .left');
  t.regex(left, /^ends in about 9 min \d+ s$/);
  await sight.lacks('#fleet-holds .left', left);
  await fleet.write({delete: 'now/holds/hold-1'});
  await sight.lacks('#fleet-holds li');
  await fleet.nodes(['node-2'], {
    hot: [{lock: LOCK, state: 'DEAD', summary: 'its owner is dead', owner: null}],
  });
  await sight.shows('[data-fleet-node="node-2"]', `${LOCK} DEAD: its owner is dead`);
  await fleet.plan('r-0', {at: '2020-01-01T00:00:00.000Z'});
  await fleet.state('r-0', 'rolled-back', {reason: 'two nodes failed', since: '2020-01-01T00:00:00.000Z'});
  await sight.shows('#fleet-ended summary', '1 roll-out ended');
  await sight.page.focus('#fleet-ended summary');
  await sight.page.keyboard.press('Enter');
  await sight.shows('#ended', 'two nodes failed');
  await fleet.write({put: 'nodes/node-1', value: '{"<i>"'});
  await sight.shows('#fleet-problems', 'nodes/node-1');
  clean(t, sight);
});

testPage(
  'when etcd goes away, the page says since when what it shows is old, and goes on with it',
  async t => {
    const {fleet, open} = await stage(t);
    const sight = await open();
    await sight.shows('#fleet-standing', 'current');
    await fleet.etcd.members[0]?.kill();
    await sight.shows('#fleet-standing', 'old');
    await sight.shows('#fleet-old', 'What is shown is as it was then');
    await sight.shows('#fleet-nodes-count', '6 nodes');
    await sight.shows('#connection', 'live');
    await fleet.etcd.start();
    await sight.shows('#fleet-standing', 'current');
    await sight.lacks('#fleet-old');
    await sight.shows('#happened', 'What is known of the fleet is current');
    clean(t, sight);
  },
);

testPage('of thousands of nodes, those that need somebody are listed, two hundred at most', async t => {
  const {fleet, open} = await stage(t);
  const names = Array.from({length: 2000}, (_, index) => `host-${index}`);
  await fleet.nodes(names);
  await fleet.known(names.slice(0, 250).map(name => `gone-${name}`));
  await fleet.plan('r-1', {canary: 5, steps: [1, 10, 50, 100]});
  await fleet.state('r-1', 'preparing');
  const sight = await open();
  await sight.shows('#fleet-nodes-count', '2256 nodes: 2006 UP, 250 SILENT');
  await sight.shows('#fleet-nodes-more', 'and 50 more');
  await sight.shows(CARD, 'and 50 more');
  t.is(await sight.evaluate(`document.querySelectorAll('${CARD} [data-node]').length`), 200);
  t.is(await sight.evaluate(`document.querySelectorAll('[data-fleet-node]').length`), 200);
  for (const name of names.slice(0, 10)) await fleet.report('r-1', name, 'FAILED', {reason: 'no room'});
  await sight.shows(CARD, 'and 60 more');
  clean(t, sight);
});

testPage('everybody can read the fleet: light and dark, wide and narrow', async t => {
  const {fleet, names, open} = await stage(t);
  await fleet.plan('r-1', {canary: 1, steps: [50, 100]});
  const states = ['SHADOWED', 'PREPARED', 'APPLIED', 'REFUSED_HOT', 'FAILED', 'ROLLED_BACK'] as const;
  for (const [place, state] of states.entries())
    await fleet.report('r-1', names[place] ?? '', state, {
      reason: `lock mismatch: ${LOCK} HOT`,
      owner: {pid: 77, node: 'node-3', purpose: 'nightly tuning of everything'},
      health: 'soaking',
    });
  await fleet.known(['node-6']);
  await fleet.nodes(['node-7']);
  await fleet.hold('hold-1');
  await fleet.tell('r-1', 'paused', {cohort: 0, detail: 'lock mismatch'});
  await fleet.state('r-1', 'paused', {reason: 'lock mismatch: node-3'});
  for (const phase of ['converged', 'stopped', 'rolling-back', 'applying'] as const) {
    await fleet.plan(`r-${phase}`);
    await fleet.state(`r-${phase}`, phase, {reason: 'so it is'});
  }
  await fleet.plan('r-0');
  await fleet.state('r-0', 'stopped', {since: '2020-01-01T00:00:00.000Z', reason: 'no room'});
  await fleet.write({put: 'nodes/node-8', value: '7'});
  for (const width of [1280, 320])
    for (const scheme of ['light', 'dark'] as const) {
      const sight = await open({width, scheme, bypassCSP: true});
      for (const state of [...states, 'SILENT', 'PENDING']) await sight.shows('#rollouts', state);
      for (const phase of ['paused', 'converged', 'stopped', 'rolling-back'])
        await sight.shows('#rollouts .badge', phase);
      await sight.shows('#fleet-holds', LOCK);
      await sight.page.click('#fleet-ended summary');
      await sight.shows('#ended', 'no room');
      await inspect(t, sight, {width, scheme});
      clean(t, sight);
    }
});
