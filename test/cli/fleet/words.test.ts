/** Are probes, bounds and labels read as they are typed, and is a roll-out shown as it is? */
import {InvalidArgumentError} from 'commander';
import test from 'ava';
import type {NodeReport, NodeState, Plan, RolloutState} from '../../../lib/fleet/documents.js';
import {NODE_STATES} from '../../../lib/fleet/documents.js';
import type {RolloutNode, RolloutView} from '../../../lib/fleet/rollout-view.js';
import {boundOf, parseBound, parseCount, parseSteps} from '../../../lib/cli/fleet/bounds.js';
import {parseLabel} from '../../../lib/cli/fleet/given.js';
import {parseProbe, probeText, withinEach} from '../../../lib/cli/fleet/health.js';
import {changesOf, convergedText, rolloutJson, rolloutLines} from '../../../lib/cli/fleet/rollout-lines.js';
import {proposalLines} from '../../../lib/cli/fleet/proposal-lines.js';
import {ownerText} from '../../../lib/cli/fleet/words.js';

test('a probe is a command, a URL, or a figure and its bound', t => {
  const url = 'http://127.0.0.1:9100/metrics';
  const probes = [
    ['/usr/bin/aim-check --fast', {kind: 'command', command: '/usr/bin/aim-check --fast'}],
    ['test 1 -lt 2 # is < well', {kind: 'command', command: 'test 1 -lt 2 # is < well'}],
    ['https://localhost/health?a=b', {kind: 'http', url: 'https://localhost/health?a=b'}],
    [`${url}#errors<0.5`, {kind: 'metric', url, metric: 'errors', compare: '<', threshold: 0.5}],
    [`${url}#up == 1`, {kind: 'metric', url, metric: 'up', compare: '==', threshold: 1}],
    [
      `${url}#lag{queue="a<b",kind="x=1"}>=-1e3`,
      {kind: 'metric', url, metric: 'lag{queue="a<b",kind="x=1"}', compare: '>=', threshold: -1000},
    ],
  ] as const;
  for (const [text, expected] of probes) t.deepEqual(parseProbe(text), [expected], text);
  t.deepEqual(
    withinEach(parseProbe('b', parseProbe('a')), 5000),
    ['a', 'b'].map(command => ({kind: 'command', command, within: 5000})),
  );
  for (const text of ['', `${url}#errors<many`, `${url}#errors`, 'http://'])
    t.throws(() => parseProbe(text), {instanceOf: InvalidArgumentError}, text);
});

test('a probe is shown as it was typed', t => {
  for (const text of ['a b', 'http://a/b', 'http://a/b#c{d="e"}>=5'])
    t.deepEqual(withinEach(parseProbe(text), 1).map(probeText), [text]);
});

test('steps ascend to 100 percent', t => {
  t.deepEqual(parseSteps('10%,50%,100%'), [10, 50, 100]);
  t.deepEqual(parseSteps('0.5%,100%'), [0.5, 100]);
  for (const text of ['', '10%', '50%,10%,100%', '10,100', '0%,100%', '101%', '10%,10%,100%', '10%,100%,'])
    t.throws(() => parseSteps(text), {instanceOf: InvalidArgumentError}, text);
});

test('a bound is a number of nodes or a part of them, one at least', t => {
  t.is(boundOf(parseBound('5'), 1000), 5);
  t.is(boundOf(parseBound('10%'), 1000), 100);
  t.is(boundOf(parseBound('10%'), 19), 1);
  t.is(boundOf(parseBound('1%'), 3), 1);
  for (const text of ['0', '0%', '101%', '-1', 'a', '5 nodes'])
    t.throws(() => parseBound(text), {instanceOf: InvalidArgumentError}, text);
  t.is(parseCount('0'), 0);
  t.throws(() => parseCount('-1'), {instanceOf: InvalidArgumentError});
});

test('a label is a name and a value; several are all demanded', t => {
  t.deepEqual(parseLabel('rack=4=b', parseLabel('site=oslo')), {site: 'oslo', rack: '4=b'});
  for (const text of ['site', '=oslo', 'a b=c', ''])
    t.throws(() => parseLabel(text), {instanceOf: InvalidArgumentError}, text);
});

test('an owner is shown on one line, whatever he calls himself', t => {
  t.is(ownerText({pid: 4, node: 'n', purpose: 'a\nb'}), 'pid 4 on n, for "a\\nb"');
  t.is(ownerText({}), 'somebody');
});

const BY = {node: 'desk', uid: 0, pid: 7};
const AT = '2026-01-01T12:00:00.000Z';

const PLAN: Plan = {
  v: 1,
  kind: 'plan',
  id: 'r1',
  fleet: 'default',
  lock: 'aim_lock_config',
  epoch: 10,
  sha256: 'a'.repeat(64),
  bytes: 9,
  where: {},
  canary: 1,
  steps: [50, 100],
  soak: 0,
  prepareWithin: 1,
  applyWithin: 1,
  reservation: 1,
  spread: 0,
  maxUnavailable: null,
  maxFailed: 0,
  health: [],
  reason: 'CR 1234',
  by: BY,
  at: AT,
};

const STATE: RolloutState = {
  v: 1,
  rollout: 'r1',
  phase: 'applying',
  cohort: 1,
  turn: 2,
  prepareUpTo: null,
  applyUpTo: null,
  heard: 0,
  named: [],
  since: '2026-01-01T12:00:04.200Z',
};

function node(name: string, cohort: number, state: NodeState, more: Partial<NodeReport> = {}): RolloutNode {
  return {
    node: name,
    state,
    cohort,
    sha256: null,
    epoch: 0,
    health: more.health,
    reason: more.reason,
    owner: more.owner,
  };
}

function view(nodes: readonly RolloutNode[], state: Partial<RolloutState> = {}): RolloutView {
  const cohorts = [0, 1, 2].map(index => ({
    upTo: '0'.repeat(16),
    nodes: nodes.filter(({cohort}) => cohort === index).map(each => each.node),
  }));
  const counts = Object.fromEntries(
    [...NODE_STATES, 'SILENT'].map(each => [each, 0]),
  ) as RolloutView['counts'];
  return {
    id: 'r1',
    plan: PLAN,
    state: {...STATE, ...state},
    cohorts,
    nodes,
    counts,
    history: [],
    problems: [],
  };
}

const HOT = {reason: 'lock mismatch: aim_lock_config HOT', owner: {pid: 42, node: 'n2', purpose: 'nightly'}};

const NODES = [
  node('n1', 0, 'APPLIED', {health: 'passed'}),
  node('n2', 1, 'REFUSED_HOT', HOT),
  node('n3', 2, 'PENDING'),
  node('n4', 2, 'SILENT'),
];

test('a roll-out shows how far each cohort is, and who is not well, why, and what to do about it', t => {
  const text = rolloutLines(view(NODES)).join('\n');
  t.regex(text, /^aim_lock_config {2}r1 {2}applying$/m);
  t.regex(text, /^ {2}canary +█{20} {2}1\/1 {2}1 APPLIED passed$/m);
  t.regex(text, /^> to 50 % +░{20} {2}0\/1 {2}1 REFUSED_HOT$/m);
  t.regex(text, /^ {2}to 100 % +░{20} {2}0\/2 {2}1 PENDING, 1 SILENT$/m);
  t.regex(
    text,
    /^ {2}n2 {2}REFUSED_HOT {2}lock mismatch: aim_lock_config HOT: pid 42 on n2, for "nightly"$/m,
  );
  t.regex(text, /^ {4}-> on n2: locksmith explain aim_lock_config, then locksmith recover aim_lock_config$/m);
  t.regex(text, /^ {4}-> on n4: is its agent running/m);
  t.false(text.includes('promote'));
});

test('one that is paused says how to go on', t => {
  const text = rolloutLines(view(NODES, {phase: 'paused', reason: 'n2 was refused'})).join('\n');
  t.regex(text, /paused: n2 was refused/);
  t.regex(text, /next: locksmith fleet rollout promote r1 --reason/);
  t.regex(text, /locksmith fleet rollout abort r1 --reason/);
});

test('only what changed is told, events before nodes', t => {
  const before = view(NODES);
  t.deepEqual(
    changesOf(undefined, before).map(({text}) => text),
    [
      'canary  n1  APPLIED passed',
      'to 50 %  n2  REFUSED_HOT  lock mismatch: aim_lock_config HOT: pid 42 on n2, for "nightly"',
      'to 100 %  n4  SILENT',
    ],
  );
  t.deepEqual(changesOf(before, before), []);
  const event = {v: 1, seq: 3, event: 'promoted', cohort: 1, detail: 'by\nhand', by: 'desk', at: AT} as const;
  const after = {
    ...view([...NODES.slice(0, 1), node('n2', 1, 'PREPARED'), ...NODES.slice(2)]),
    history: [event],
  };
  t.deepEqual(
    changesOf(before, after).map(({text}) => text),
    ['promoted: to 50 %: by\\x0ahand', 'to 50 %  n2  PREPARED'],
  );
  t.like(changesOf(before, after)[1]?.json, {change: 'node', node: 'n2', state: 'PREPARED'});
});

test('without a plan or a state it is shown all the same', t => {
  const broken: RolloutView = {
    ...view([]),
    plan: undefined,
    state: undefined,
    cohorts: [],
    problems: ['rollouts/r1/plan is not what Locksmith writes there'],
  };
  const text = rolloutLines(broken).join('\n');
  t.regex(text, /an unknown lock {2}r1 {2}in an unknown phase/);
  t.regex(text, /^Problems\n {2}rollouts\/r1\/plan/m);
  t.like(rolloutJson(broken), {plan: null, state: null, active: false});
});

test('the end says on how many nodes, after which time, and with which content', t => {
  const all = [
    node('n1', 0, 'APPLIED', {health: 'passed'}),
    node('n2', 1, 'APPLIED'),
    node('n3', 2, 'FAILED'),
  ];
  t.is(
    convergedText(view(all, {phase: 'converged'})),
    `ALL CLEAR: aim_lock_config converged on 3 nodes, 1 of them without success after 4.2 s: sha256 ${PLAN.sha256}`,
  );
  t.like(rolloutJson(view(all, {phase: 'converged'})), {active: false});
  t.like(rolloutJson(view(all)), {active: true});
});

test('who is to approve sees the content, the nodes and the probes', t => {
  const health = withinEach(parseProbe('rm -rf /'), 1);
  const text = proposalLines({
    id: 'p1',
    document: {...PLAN, where: {site: 'oslo'}, health},
    signers: ['alice'],
    needed: 2,
  }).join('\n');
  for (const part of [
    'p1',
    'r1 of aim_lock_config',
    PLAN.sha256,
    'site=oslo',
    'rm -rf /',
    'CR 1234',
    'alice: 1 of 2',
  ])
    t.true(text.includes(part), part);
});
