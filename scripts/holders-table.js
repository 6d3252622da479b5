// What do lslocks, fuser, lsof and Locksmith say in each situation? Makes them all and writes the answers into docs/who-holds.md.
import {execFileSync, spawnSync} from 'node:child_process';
import {readFileSync, statSync, writeFileSync} from 'node:fs';
import {release} from 'node:os';
import {SITUATIONS} from '../dist/test/situations/index.js';
import {ascending, observe} from '../dist/test/situations/observe.js';
import {missingFor, seesEverything} from '../dist/test/situations/situation.js';
import {onStage} from '../dist/test/situations/stage.js';

const page = new URL('../docs/who-holds.md', import.meta.url);
const BEGIN = '<!-- npm run docs:holders writes what follows -->';

/** A path as an argument, also where it is not UTF-8: then a shell makes it of octal numbers. */
function withPath(command, file) {
  if (typeof file === 'string') return [...command, file];
  const octal = [...file].map(byte => `\\${byte.toString(8).padStart(3, '0')}`).join('');
  return ['sh', '-c', `exec "$@" "$(printf '${octal}')"`, 'sh', ...command];
}

/** Runs a tool where the observer stands. Undefined: it gave no answer in 5 seconds, or in a minute where nothing hangs. */
function ask({as = [], apart = false}, command) {
  const [file, ...args] = [...as, 'timeout', '--signal=KILL', apart ? '5' : '60', ...command];
  const {stdout, status, signal} = spawnSync(file, args, {encoding: 'utf8', maxBuffer: 1 << 30});
  return status === 137 || status === 124 || signal !== null ? undefined : stdout;
}

const count = (number, word) => `${number} ${word}${number === 1 ? '' : 's'}`;

function sameSet(a, b) {
  return JSON.stringify(ascending(a)) === JSON.stringify(ascending(b));
}

/** Who was named, by the parts that they play. */
function nameAll(pids, {truth, extras = {}}) {
  const found = truth.holders.filter(pid => pids.includes(pid)).length;
  const roles = new Map([
    ...(truth.suspects ?? []).map(({pid}) => [pid, 'who may have it']),
    ...(truth.waiters ?? []).map(pid => [pid, 'who waits']),
    ...Object.entries(extras).map(([role, pid]) => [pid, role]),
    [-1, 'pid -1'],
  ]);
  const others = ascending(pids).filter(pid => !truth.holders.includes(pid));
  const names = new Set(others.map(pid => roles.get(pid) ?? 'somebody else'));
  const holders =
    found === truth.holders.length
      ? count(found, 'holder')
      : `${found} of ${count(truth.holders.length, 'holder')}`;
  return [...(found > 0 ? [holders] : []), ...names].join(' and ');
}

/** Whether they are right about the holders. */
function judge(pids, scene) {
  const {truth} = scene;
  if (pids.length === 0) return truth.state === 'FREE' ? 'right' : 'nothing';
  return sameSet(pids, truth.holders) ? 'right' : `names ${nameAll(pids, scene)}`;
}

/** Whether a path leads to a file, perhaps by another mount than the one that we named. */
function leadsTo(path, {dev, ino}) {
  const found = typeof path === 'string' ? statSync(path, {bigint: true, throwIfNoEntry: false}) : undefined;
  return found?.dev === dev && found.ino === ino;
}

/** The tools; each gives what it says about a scene, in a few words. */
const TOOLS = {
  Locksmith: async scene => {
    const {state, holders, suspects} = await observe(scene);
    const {truth} = scene;
    if (state === truth.state && sameSet(holders, truth.holders)) return 'right';
    // Of the sockets of strangers nobody here knows anything.
    const suspected = suspects.filter(({place}) => truth.suspects?.some(each => each.place === place));
    const pids = suspected.map(({pid}) => pid);
    const parts = [
      ...(holders.length > 0 ? [`names ${nameAll(holders, scene)}`] : []),
      ...(pids.length > 0 ? [`suspects ${nameAll(pids, scene)}`] : []),
    ];
    return [state, ...parts].join(', ');
  },
  lslocks(scene) {
    const said = ask(scene, ['lslocks', '--json', '--notruncate', '--output', 'PID,INODE,MODE,PATH']);
    if (said === undefined) return 'hangs';
    const file = statSync(scene.file, {bigint: true});
    const rows = (said.trim() ? JSON.parse(said).locks : []).filter(
      row => String(row.inode) === String(file.ino),
    );
    const holders = rows.filter(({mode}) => !mode.endsWith('*'));
    const verdict = judge(
      holders.map(({pid}) => pid ?? -1),
      scene,
    );
    const nameless = holders.some(({path}) => !leadsTo(path, file));
    return `${verdict}${nameless ? '; not the path' : ''}`;
  },
  fuser(scene) {
    const said = ask(scene, withPath(['fuser'], scene.file));
    return said === undefined ? 'hangs' : judge((said.match(/\d+/g) ?? []).map(Number), scene);
  },
  lsof(scene) {
    const said = ask(scene, withPath(['lsof', '-w', '-F', 'pfl', '--'], scene.file));
    if (said === undefined) return 'hangs';
    const holders = [];
    const openers = [];
    for (const line of said.split('\n')) {
      if (line.startsWith('p')) openers.push(Number(line.slice(1)));
      if (/^l[rRwWuUxX]/.test(line)) holders.push(openers.at(-1));
    }
    if (holders.length > 0 || openers.length === 0 || scene.truth.state === 'FREE')
      return judge(holders, scene);
    return `no lock, though open by ${nameAll(openers, scene)}`;
  },
};

/** For people, where a lock is that has no descriptor. */
const PLACES = {
  socket: "in a socket's queue",
  mapping: 'in a mapping',
  io_uring: 'in an io_uring',
  loop: 'in a loop device',
};

function describeTruth({state, holders, waiters = [], suspects = []}) {
  const places = new Set(suspects.map(({place}) => place));
  return [
    state,
    ...(holders.length > 0 ? [count(holders.length, 'holder')] : []),
    ...(waiters.length > 0 ? [count(waiters.length, 'waiter')] : []),
    ...[...places].map(place => PLACES[place]),
  ].join(', ');
}

const right = Object.fromEntries(Object.keys(TOOLS).map(name => [name, 0]));
let made = 0;

async function answer(stage, situation) {
  const scene = await situation.make(stage);
  const cells = [];
  for (const [name, tool] of Object.entries(TOOLS)) {
    const cell = await Promise.resolve(scene)
      .then(tool)
      .catch(error => `fails: ${error.code ?? error.message}`);
    if (cell === 'right') right[name]++;
    cells.push(cell);
  }
  made++;
  return [describeTruth(scene.truth), ...cells];
}

async function rowOf(situation) {
  const missing = missingFor(situation);
  const cells = missing
    ? [`not made here: needs ${missing}`, '', '', '', '']
    : await onStage(stage => answer(stage, situation));
  return [`**${situation.title}**: ${situation.why}`, ...cells];
}

const line = cells => `| ${cells.join(' | ')} |`;
const columns = ['situation', 'truth', ...Object.keys(TOOLS)];
const output = [BEGIN];
for (const [heading, situations] of Object.entries(SITUATIONS)) {
  output.push('', `## ${heading}`, '', line(columns), line(columns.map(() => '---')));
  for (const situation of situations) {
    output.push(line(await rowOf(situation)));
  }
}

/** The first version number that a tool prints about itself, on whatever it prints that to. */
function version(command, option) {
  const {stdout, stderr} = spawnSync(command, [option], {encoding: 'utf8'});
  return /\d+\.\d[\d.]*/.exec(stdout + stderr)?.[0];
}

const sums = Object.entries(right).map(([name, number]) => `${name} ${number}`);
output.push(
  '',
  `Right in ${made} situations: ${sums.join(', ')}.`,
  '',
  `Made on ${execFileSync('date', ['+%F'], {encoding: 'utf8'}).trim()} with Linux ${release()},` +
    ` lslocks ${version('lslocks', '-V')} (util-linux), fuser ${version('fuser', '-V')} (psmisc), lsof ${version('lsof', '-v')}.`,
  '',
);
if (!seesEverything())
  output.push(
    'On this machine root may not look into pid 1, which has a capability that root has not. So Locksmith could exclude nobody, and called UNKNOWN what it names elsewhere: the one process that has a file mapped or registered.',
    '',
  );
const [introduction] = readFileSync(page, 'utf8').split(BEGIN);
writeFileSync(page, introduction + output.join('\n'));
