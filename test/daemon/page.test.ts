/** Does the page show what happens to locks, at once, as texts, to everybody, and say when it no longer knows? In a real browser, with real owners. */
import {writeFileSync} from 'node:fs';
import {join} from 'node:path';
import test, {type ExecutionContext, type ImplementationFn} from 'ava';
import {actor} from '../helpers/actor.js';
import {closeBrowser, inspect, type Look, look, noChromium, type Sight} from '../helpers/browser.js';
import {type Bench, bench} from '../helpers/cli.js';
import {testWith} from '../helpers/here.js';
import {askSocket, endDaemon, pageDaemon, writePolicy} from '../helpers/page-daemon.js';

test.after.always(() => closeBrowser());

const ROW = '[data-lock="aim_lock_config"]';
const AUTOMATIC = 'locks:\n  aim_lock_config:\n    recover: automatic\n';

function testPage(title: string, run: ImplementationFn<[]>): void {
  testWith(noChromium, title, run, test.serial);
}

/** A configuration more. */
function another(made: Bench, name: string): Bench {
  const file = join(made.directory, 'etc', `${name}.conf`);
  writeFileSync(file, 'old\n');
  return {...made, file, name};
}

function clean(t: ExecutionContext, {complaints}: Sight): void {
  t.deepEqual(complaints, []);
}

testPage('a lock that is taken appears as ALIVE with its owner, who is seen to stay', async t => {
  const made = bench(t);
  const sight = await look(t, (await pageDaemon(made)).url);
  await sight.shows('#no-locks', 'There is no lock yet');
  const owner = await actor(t, made);
  await owner.do('acquire', {purpose: 'nightly tuning'});
  await sight.shows(ROW, 'ALIVE');
  const row = await sight.text(ROW);
  for (const text of [`pid ${owner.pid} on `, 'nightly tuning', made.file, 'HOT'])
    t.true(row.includes(text), text);
  t.true((await sight.text('#happened')).includes(`aim_lock_config is ALIVE: pid ${owner.pid}`));
  const age = await sight.text(`${ROW} time`);
  t.regex(age, /^\d+ s$/);
  await sight.lacks(`${ROW} time`, age);
  await owner.do('release');
  await sight.shows(ROW, 'FREE');
  await sight.lacks(ROW, `pid ${owner.pid}`);
  t.true((await sight.text(ROW)).includes('clear'));
  clean(t, sight);
});

testPage('what users wrote is text: it becomes no element and runs nothing', async t => {
  const made = bench(t);
  const sight = await look(t, (await pageDaemon(made)).url);
  const purpose = '<img src=x onerror="alert(1)"><b>';
  await (await actor(t, made)).do('acquire', {purpose});
  await sight.shows(ROW, purpose);
  await sight.page.click(`${ROW} .name`);
  await sight.shows('.details', 'Evidence');
  t.is(await sight.evaluate('document.querySelectorAll("img, b").length'), 0);
  clean(t, sight);
});

testPage('the browser refuses markup and scripts that are not in our files, whoever makes them', async t => {
  const sight = await look(t, (await pageDaemon(bench(t))).url);
  const attempts = [
    `document.body.innerHTML = '<i>'`,
    `document.body.setAttribute('onclick', 'document.title = "ran"')`,
    `document.createElement('script').text = 'document.title = "ran"'`,
    `document.createElement('script').src = 'data:text/javascript,0'`,
  ];
  for (const attempt of attempts)
    await t.throwsAsync(sight.evaluate(attempt), {message: /requires 'Trusted/}, attempt);
  await sight.evaluate(
    `new Promise(resolve => {
      document.addEventListener('securitypolicyviolation', resolve, {once: true});
      document.body.append(Object.assign(new Image(), {src: 'http://127.0.0.1:9/x.png'}));
    })`,
  );
  t.pass();
});

testPage('an owner that is killed is DEAD at once, then recovered as soon as the policy says so', async t => {
  const made = bench(t);
  writePolicy(made, 'locks: {}\n');
  const daemon = await pageDaemon(made);
  const sight = await look(t, daemon.url);
  const owner = await actor(t, made);
  await owner.do('acquire');
  await sight.shows(ROW, 'ALIVE');
  await owner.kill();
  await sight.shows(ROW, 'DEAD');
  await sight.shows('#happened [data-event="owner-died"]', `aim_lock_config owner pid ${owner.pid}`);
  await sight.shows('#happened', 'locksmith recover aim_lock_config');
  t.regex(await sight.page.title(), /^\(1\) Locksmith on /);

  writePolicy(made, 'locks: [no');
  daemon.started.child.kill('SIGHUP');
  await sight.shows('#policy-problem', 'locks.yaml');
  await sight.shows('#policy', 'has a fault');
  t.true((await sight.text(ROW)).includes('DEAD'));

  writePolicy(made, AUTOMATIC);
  daemon.started.child.kill('SIGHUP');
  await sight.shows(ROW, 'FREE');
  await sight.lacks('#policy-problem');
  await sight.shows('#happened [data-event="recovered"]', 'ALL CLEAR');
  await sight.shows('#audit', 'aim_lock_config all-clear');
  t.true((await sight.text('#audit')).includes('the daemon met the orphan'));
  await sight.lacks('.badge', 'being recovered');
  clean(t, sight);
});

testPage('a hold counts down and goes, by its release and by itself', async t => {
  const made = bench(t);
  const sight = await look(t, (await pageDaemon(made)).url);
  await (await actor(t, made)).do('update', {content: 'new\n'});
  await sight.shows(ROW, 'FREE');
  const hold = (bound: number) =>
    askSocket<{id: string}>(t, made, '/v1/holds', {
      method: 'POST',
      body: {lock: made.name, for: bound, reason: 'disk <swap>'},
    });
  const {body} = await hold(60_000);
  await sight.shows('#holds', 'disk <swap>');
  await sight.shows(ROW, 'on hold');
  const left = await sight.text('#holds .left');
  t.regex(left, /^ends in (5\d s|1 min 0 s)$/);
  await sight.lacks('#holds .left', left);
  await askSocket(t, made, `/v1/holds/${body.id}`, {method: 'DELETE'});
  await sight.lacks('#holds li');
  await sight.shows('#no-holds');
  await sight.lacks(ROW, 'on hold');
  await hold(1500);
  await sight.shows('#holds li');
  await sight.lacks('#holds li');
  await sight.shows('#happened', 'hold ended: deadline');
  clean(t, sight);
});

testPage('a page that was opened late shows what was before it', async t => {
  const made = bench(t);
  const {url} = await pageDaemon(made);
  const owner = await actor(t, made);
  await owner.do('acquire');
  const sight = await look(t, url);
  await sight.shows(ROW, 'ALIVE');
  clean(t, sight);
});

testPage('a page in the background says in its title that somebody is needed', async t => {
  const made = bench(t);
  const {url} = await pageDaemon(made);
  const sight = await look(t, url);
  await look(t, url);
  t.true(await sight.evaluate('document.hidden'));
  const owner = await actor(t, made);
  await owner.do('acquire');
  await owner.kill();
  await sight.shows('title', '(1) Locksmith on ');
});

testPage('who waits is seen with the next sweep, which tells nobody by itself', async t => {
  const made = bench(t);
  const sight = await look(t, (await pageDaemon(made, {sweep: '300ms'})).url);
  await (await actor(t, made)).do('acquire');
  await sight.shows(ROW, 'ALIVE');
  (await actor(t, made)).start('acquire');
  await sight.shows(`${ROW} [data-label="Waiters"]`, '1');
  clean(t, sight);
});

testPage('a daemon that ends cuts the page off, which says so, and goes on with the next one', async t => {
  const made = bench(t);
  const first = await pageDaemon(made);
  const sight = await look(t, first.url);
  const owner = await actor(t, made);
  await owner.do('acquire');
  await sight.shows(ROW, 'ALIVE');
  clean(t, sight);
  await endDaemon(first);
  await sight.shows('#cut-off', 'What is shown is old');
  await sight.shows('#connection', 'cut off');
  t.true(await sight.evaluate('document.body.classList.contains("cut-off")'));
  const age = await sight.text(`${ROW} time`);
  await owner.do('release');
  await actor(t, another(made, 'feeder')).then(other => other.do('acquire'));
  // Nothing counts on as if it were known: a second and more later, it is the same.
  await sight.evaluate('new Promise(resolve => setTimeout(resolve, 1500))');
  t.is(await sight.text(`${ROW} time`), age);
  const next = await pageDaemon(made, {address: new URL(first.url).host});
  await sight.shows('#connection', 'live');
  await sight.lacks('#cut-off');
  await sight.shows(ROW, 'FREE');
  await sight.shows('[data-lock="feeder"]', 'ALIVE');
  await sight.shows('#daemon', `pid ${next.started.pid}`);
  t.false(await sight.evaluate('document.body.classList.contains("cut-off")'));
  t.deepEqual(
    sight.complaints.filter(text => !text.includes('net::ERR_')),
    [],
  );
});

testPage('the filter finds by name, state and purpose; keys are enough for all', async t => {
  const made = bench(t);
  await (await actor(t, another(made, 'feeder'))).do('acquire', {purpose: 'weekly'});
  await (await actor(t, made)).do('update', {content: 'new\n'});
  const sight = await look(t, (await pageDaemon(made)).url);
  const {keyboard} = sight.page;
  await sight.shows(ROW, 'FREE');
  await sight.page.focus('#filter');
  for (const [query, count] of [
    ['feed', 1],
    ['alive', 1],
    ['WEEKLY hot', 1],
    ['config', 1],
    ['nothing of that', 0],
  ] as const) {
    await keyboard.type(query);
    await sight.shows('#shown', count === 1 ? '1 of 2 shown' : '0 of 2 shown');
    await sight.page.$eval('#filter', input => ((input as unknown as {value: string}).value = ''));
    await keyboard.type(' ');
    await sight.shows('#shown', '2 shown');
    await keyboard.press('Backspace');
  }
  await sight.page.focus('#states [data-state="FREE"]');
  await keyboard.press('Enter');
  await sight.lacks('[data-lock="feeder"]');
  await sight.shows(ROW);
  await keyboard.press('Enter');
  await sight.shows('[data-lock="feeder"]');
  await sight.page.focus(`${ROW} .name`);
  await keyboard.press('Enter');
  await sight.shows('.details', 'Evidence');
  t.is(await sight.evaluate('document.activeElement.innerText'), made.name);
  await keyboard.press('Space');
  await sight.lacks('.details');
  clean(t, sight);
});

/** A lock of each state, a hold, records, and the details of a lock. */
async function everything(t: ExecutionContext): Promise<{readonly url: string; readonly made: Bench}> {
  const made = bench(t);
  writePolicy(made, AUTOMATIC);
  const owners = await Promise.all(['feeder', 'valves', 'gate'].map(name => actor(t, another(made, name))));
  for (const owner of owners) await owner.do('acquire', {purpose: 'nightly tuning of everything'});
  await owners[1]?.kill();
  owners[2]?.stop();
  const orphan = await actor(t, made);
  await orphan.do('acquire');
  await orphan.kill();
  const {url} = await pageDaemon(made);
  await askSocket(t, made, '/v1/holds', {method: 'POST', body: {lock: made.name, for: 60_000}});
  return {url, made};
}

/** Everything at that size and in those colours, through the eyes of axe. */
async function inspectAll(t: ExecutionContext, url: string, options: Look): Promise<void> {
  const sight = await look(t, url, {...options, bypassCSP: true});
  for (const [lock, state] of [
    ['valves', 'DEAD'],
    ['gate', 'FROZEN'],
    ['feeder', 'ALIVE'],
    ['aim_lock_config', 'on hold'],
  ])
    await sight.shows(`[data-lock="${lock}"]`, state);
  await sight.shows('#audit', 'all-clear');
  await sight.page.click('[data-lock="valves"] .name');
  await sight.shows('.details', 'locksmith recover valves');
  await inspect(t, sight, options);
  clean(t, sight);
}

testPage('everybody can read it: light and dark, wide and narrow', async t => {
  const {url} = await everything(t);
  for (const width of [1280, 320])
    for (const scheme of ['light', 'dark'] as const) await inspectAll(t, url, {width, scheme});
  const [light, dark] = await Promise.all(
    (['light', 'dark'] as const).map(async scheme =>
      (await look(t, url, {scheme})).evaluate('getComputedStyle(document.body).backgroundColor'),
    ),
  );
  t.not(light, dark);
});
