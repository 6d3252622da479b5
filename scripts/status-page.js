// Shows the status page of a machine with trouble in a real browser, as root on a system of its own, and writes its pictures into docs/.
import {mkdirSync, writeFileSync} from 'node:fs';
import {fileURLToPath} from 'node:url';
import {enterFreshSystem} from './fresh-system.js';

const docs = name => fileURLToPath(new URL(`../docs/${name}`, import.meta.url));

enterFreshSystem(import.meta.url);

const {system} = await import('../dist/lib/os/system.js');
const {resolveRoots} = await import('../dist/lib/lock/layout.js');
const {createLogger} = await import('../dist/lib/daemon/log.js');
const {Daemon} = await import('../dist/lib/daemon/daemon.js');
const {version} = await import('../dist/lib/cli/version.js');
const {actor} = await import('../dist/test/helpers/actor.js');
const {closeBrowser, look} = await import('../dist/test/helpers/browser.js');
const {askSocket} = await import('../dist/test/helpers/page-daemon.js');

const ends = [];
const t = {teardown: end => ends.unshift(end)};
const roots = resolveRoots(system());
mkdirSync('/etc/aim');
mkdirSync('/etc/locksmith', {recursive: true});
writeFileSync('/etc/locksmith/aim.yaml', 'locks:\n  aim_lock_config:\n    recover: automatic\n');

/** Somebody who works on a file. */
async function owner(name) {
  const file = `/etc/aim/${name}.conf`;
  writeFileSync(file, 'gain = 7\n');
  return actor(t, {file, roots});
}

const logger = createLogger({});
logger.level = 'error';
const daemon = await Daemon.start({system: system(), roots, version: version(), logger, page: '127.0.0.1:0'});
t.teardown(() => daemon.end());
/** @type {[scheme: string, sight: Sight][]} */
const sights = [];
for (const scheme of ['light', 'dark'])
  sights.push({scheme, sight: await look(t, daemon.url, {scheme, height: 860})});

const [feeder, valves, gains, exports, main] = await Promise.all(
  ['feeder', 'valves', 'gains', 'exports', 'aim_lock_config'].map(owner),
);
await exports.do('update', {content: 'gain = 9\n'});
await feeder.do('acquire', {purpose: 'calibration of line 3'});
await gains.do('acquire', {purpose: 'imports from the night shift'});
gains.stop();
await main.do('acquire', {purpose: 'nightly tuning'});
for (const {sight} of sights) await sight.shows('[data-lock="aim_lock_config"]', 'ALIVE');
await main.kill();
for (const {sight} of sights) await sight.shows('#audit', 'all-clear');
await valves.do('acquire', {purpose: 'new valve on line 2'});
for (const {sight} of sights) await sight.shows('[data-lock="valves"]', 'ALIVE');
await valves.kill();
await askSocket(t, {roots}, '/v1/locks/gains');
await askSocket(t, {roots}, '/v1/holds', {
  method: 'POST',
  body: {lock: 'exports', for: 90_000, reason: 'disk is replaced'},
});
for (const {scheme, sight} of sights) {
  for (const [lock, state] of [
    ['valves', 'DEAD'],
    ['gains', 'FROZEN'],
    ['exports', 'on hold'],
  ])
    await sight.shows(`[data-lock="${lock}"]`, state);
  await sight.page.bringToFront();
  await sight.page.click('[data-lock="valves"] .name');
  await sight.shows('.details', 'locksmith recover valves');
  await sight.page.screenshot({path: docs(`status-page-${scheme}.png`)});
}
for (const end of ends) await end();
await closeBrowser();
