/** What comes next in a roll-out, in each phase, for each answer? */
import test, {type ExecutionContext} from 'ava';
import {decide, type NextState} from '../../lib/fleet/decide.js';
import type {Command, NodeReport, Plan, RolloutState} from '../../lib/fleet/documents.js';
import type {Member} from '../../lib/fleet/standing.js';
import {command, FIRST, member, PLAN, rank, ranked, report} from '../helpers/rollout.js';

const [a = '', b = '', c = '', d = ''] = ranked(4);
const EVERYBODY = 'f'.repeat(16);

const preparing: RolloutState = {...FIRST, turn: 1, prepareUpTo: rank(a)};
const applying: RolloutState = {...preparing, phase: 'applying', turn: 2, applyUpTo: rank(a)};
/** The canary has passed. */
const second: RolloutState = {...applying, phase: 'preparing', turn: 3, cohort: 1, prepareUpTo: rank(b)};
const applyingSecond: RolloutState = {...second, phase: 'applying', turn: 4, applyUpTo: rank(b)};
const rollingBack: RolloutState = {...applyingSecond, phase: 'rolling-back', turn: 5, reason: 'why'};
const passed = (node: string) => member(node, report(node, 'APPLIED'));

type Says = NodeReport['state'] | Partial<Member> | Partial<NodeReport> | undefined;

/** Four nodes; of the first of them, this is known. */
function fleet(...said: readonly Says[]): Member[] {
  return [a, b, c, d].map((node, index) => {
    const says = said[index];
    if (says === undefined) return member(node);
    if (typeof says === 'string') return member(node, report(node, says));
    if ('waited' in says || 'silent' in says) return member(node, undefined, says);
    return member(node, report(node, 'APPLIED', says));
  });
}

interface Case {
  readonly title: string;
  readonly state: RolloutState;
  readonly members?: readonly Member[];
  readonly plan?: Partial<Plan>;
  readonly command?: Command;
  /** Of the next state; undefined: it stays. */
  readonly next?: Partial<NextState>;
  readonly events?: readonly string[];
  readonly lookAfter?: number;
}

const refused = (node: string, turn = 99): Member =>
  member(
    node,
    report(node, 'REFUSED_HOT', {
      turn,
      reason: 'lock mismatch: aim_lock_config HOT (DEAD: pid 71)',
      owner: {pid: 71, purpose: 'calibration'},
    }),
  );

const CASES: readonly Case[] = [
  // Preparing.
  {
    title: 'a new roll-out prepares its canary',
    state: FIRST,
    next: {phase: 'preparing', cohort: 0, turn: 1, prepareUpTo: rank(a), applyUpTo: null},
    events: ['preparing'],
  },
  {
    title: 'one whose canary is not there any more is stopped',
    state: FIRST,
    plan: {canary: 5},
    next: {phase: 'stopped', turn: 1, prepareUpTo: null, applyUpTo: null},
    events: ['stopped'],
  },
  {
    title: 'who has not answered has time to',
    state: preparing,
    members: fleet({waited: 1500}),
    lookAfter: 3500,
  },
  {title: 'who validates still has time to', state: preparing, members: fleet('SHADOWED'), lookAfter: 5000},
  {
    title: 'a silent node has as much time',
    state: preparing,
    members: fleet({silent: true}),
    lookAfter: 5000,
  },
  {
    title: 'a cohort that has prepared applies',
    state: preparing,
    members: fleet('PREPARED'),
    next: {phase: 'applying', turn: 2, prepareUpTo: rank(a), applyUpTo: rank(a)},
    events: ['applying'],
  },
  {
    title: 'silence is failure, and where nobody was to apply the roll-out is stopped',
    state: preparing,
    members: fleet({waited: 5000, silent: true}),
    next: {
      phase: 'stopped',
      turn: 2,
      prepareUpTo: null,
      named: [{node: a, state: 'SILENT', reason: 'no answer within 5000 ms; no registration'}],
    },
    events: ['stopped'],
  },
  {
    title: 'so is a node that fails',
    state: preparing,
    members: fleet('FAILED'),
    next: {phase: 'stopped', turn: 2, prepareUpTo: null},
    events: ['stopped'],
  },
  {
    title: 'a node that fails after others have applied rolls back',
    state: second,
    members: fleet('APPLIED', 'FAILED'),
    next: {phase: 'rolling-back', turn: 4, prepareUpTo: rank(b), applyUpTo: rank(a)},
    events: ['rolling-back'],
  },
  {
    title: 'silence of a node that has passed is none',
    state: second,
    members: [{...passed(a), silent: true, waited: 99_999}, member(b)],
    lookAfter: 5000,
  },
  {
    title: 'a lock mismatch pauses, and names node and owner',
    state: preparing,
    members: [refused(a)],
    next: {
      phase: 'paused',
      paused: 'preparing',
      turn: 1,
      reason: `lock mismatch: ${a} REFUSED_HOT (lock mismatch: aim_lock_config HOT (DEAD: pid 71))`,
      named: [{node: a, state: 'REFUSED_HOT', reason: 'lock mismatch: aim_lock_config HOT (DEAD: pid 71)'}],
    },
    events: ['paused'],
  },
  {
    title: 'a refusal of an older order says nothing',
    state: preparing,
    members: [refused(a, 0)],
    lookAfter: 5000,
  },
  {
    title: 'a lock mismatch that may be is left behind',
    state: second,
    plan: {maxFailed: 1},
    members: [passed(a), refused(b)],
    next: {phase: 'applying', turn: 4, applyUpTo: rank(b)},
    events: ['left-behind', 'applying'],
  },
  {
    title: 'when those that were to prepare are taken out of the fleet, the others have not passed by that',
    state: second,
    members: fleet({health: 'inconclusive'}).slice(0, 1),
    next: {phase: 'paused', paused: 'applying'},
    events: ['paused'],
  },
  // Applying.
  {title: 'who soaks has the time to', state: applying, members: fleet({health: 'soaking'}), lookAfter: 6000},
  {title: 'who is prepared is waited for', state: applying, members: fleet('PREPARED'), lookAfter: 6000},
  {
    title: 'when the canary has passed, the next cohort prepares',
    state: applying,
    members: fleet('APPLIED'),
    next: {phase: 'preparing', cohort: 1, turn: 3, prepareUpTo: rank(b), applyUpTo: rank(a)},
    events: ['passed', 'preparing'],
  },
  {
    title: 'and when there is nobody more, it has converged',
    state: applying,
    members: [passed(a)],
    next: {phase: 'converged', turn: 3, prepareUpTo: EVERYBODY, applyUpTo: EVERYBODY},
    events: ['passed', 'converged'],
  },
  ...(
    [
      ['a health that failed', fleet({health: 'failed'})],
      ['another content than the planned', fleet({sha256: '0'.repeat(64)})],
      ['a node that failed', fleet('FAILED')],
      ['a node that was refused', fleet('REFUSED_HOT')],
      ['a node that has gone back by itself', fleet('ROLLED_BACK')],
      ['a node that is silent', fleet({waited: 6000, silent: true})],
      ['a node that does not answer', fleet({waited: 6000})],
      [
        'a node that soaks for ever',
        [{...passed(a), report: report(a, 'APPLIED', {health: 'soaking'}), waited: 6000}],
      ],
    ] as const
  ).map(([title, members]) => ({
    title: `${title} rolls back`,
    state: applying,
    members,
    next: {phase: 'rolling-back' as const, turn: 3, applyUpTo: rank(a)},
    events: ['rolling-back'],
  })),
  {
    title: 'a failure that may be is left behind and named, and it goes on',
    state: applying,
    plan: {maxFailed: 1},
    members: fleet('FAILED'),
    next: {phase: 'preparing', cohort: 1, turn: 3, prepareUpTo: rank(b), named: [{node: a, state: 'FAILED'}]},
    events: ['left-behind', 'passed', 'preparing'],
  },
  {
    title: 'failures of all cohorts so far count',
    state: applyingSecond,
    plan: {maxFailed: 1},
    members: fleet('FAILED', 'FAILED'),
    next: {phase: 'rolling-back', turn: 5},
    events: ['rolling-back'],
  },
  {
    title: 'who was left behind is not waited for once more',
    state: {...applyingSecond, named: [{node: a, state: 'SILENT'}]},
    plan: {maxFailed: 1},
    members: [member(a), passed(b), member(c), member(d)],
    next: {phase: 'preparing', cohort: 2, turn: 5, prepareUpTo: rank(d)},
    events: ['passed', 'preparing'],
  },
  {
    title: 'who was left behind may come late',
    state: {...applyingSecond, named: [{node: a, state: 'SILENT'}]},
    members: [passed(a), passed(b), member(c), member(d)],
    next: {phase: 'preparing', cohort: 2, turn: 5},
    events: ['passed', 'preparing'],
  },
  {
    title: 'a health that nobody can tell pauses',
    state: applying,
    members: fleet({health: 'inconclusive', reason: 'no answer of the exporter'}),
    next: {
      phase: 'paused',
      paused: 'applying',
      turn: 2,
      reason: `health inconclusive: ${a} APPLIED (no answer of the exporter)`,
    },
    events: ['paused'],
  },
  {
    title: 'but not before all have answered, and failures come first',
    state: applyingSecond,
    members: fleet({health: 'inconclusive'}, {health: 'soaking'}),
    lookAfter: 6000,
  },
  {
    title: 'a batch is as many as may be changing',
    state: {...second, prepareUpTo: rank(d)},
    plan: {maxUnavailable: 2},
    members: fleet('APPLIED', 'PREPARED', 'PREPARED', 'PREPARED'),
    next: {phase: 'applying', turn: 4, applyUpTo: rank(c)},
    events: ['applying'],
  },
  {
    title: 'the next batch waits for the one before',
    state: {...applyingSecond, prepareUpTo: rank(d)},
    plan: {maxUnavailable: 1},
    members: fleet('APPLIED', {health: 'soaking'}, 'PREPARED', 'PREPARED'),
    lookAfter: 6000,
  },
  {
    title: 'and comes when that has passed',
    state: {...applyingSecond, prepareUpTo: rank(d)},
    plan: {maxUnavailable: 1},
    members: fleet('APPLIED', 'APPLIED', 'PREPARED', 'PREPARED'),
    next: {phase: 'applying', turn: 5, cohort: 1, applyUpTo: rank(c)},
    events: ['applying'],
  },
  {
    title: 'a node that registers late in a cohort that has passed is waited for',
    state: {...second, applyUpTo: rank(b), prepareUpTo: rank(c)},
    members: [passed(a), member(b), member(c, report(c, 'PREPARED')), member(d)],
    lookAfter: 6000,
  },
  // Rolling back.
  {
    title: 'who has applied is waited for',
    state: rollingBack,
    members: fleet('ROLLED_BACK', 'APPLIED'),
    lookAfter: 5000,
  },
  {
    title: 'when all have gone back, it is rolled back',
    state: rollingBack,
    members: fleet('ROLLED_BACK', 'ROLLED_BACK', 'PREPARED'),
    next: {phase: 'rolled-back', turn: 6, reason: 'why', named: []},
    events: ['rolled-back'],
  },
  {
    title: 'nobody waits for the silent ones; they are named',
    state: rollingBack,
    members: [member(a, report(a, 'ROLLED_BACK')), {...passed(b), silent: true}],
    next: {phase: 'rolled-back', named: [{node: b, state: 'SILENT', reason: 'no registration'}]},
    events: ['rolled-back'],
  },
  {
    title: 'who can not go back is named',
    state: rollingBack,
    members: [
      member(a, report(a, 'FAILED', {reason: 'the disk is full'})),
      member(b, report(b, 'APPLIED'), {waited: 5000}),
    ],
    next: {
      phase: 'rolled-back',
      named: [
        {node: a, state: 'FAILED', reason: 'the disk is full'},
        {node: b, state: 'SILENT', reason: 'no answer within 5000 ms; registered, last said APPLIED'},
      ],
    },
    events: ['rolled-back'],
  },
  {
    title: 'a failure from before the order to roll back is no answer to it',
    state: rollingBack,
    members: [member(a, report(a, 'ROLLED_BACK')), member(b, report(b, 'FAILED', {turn: 4}))],
    lookAfter: 5000,
  },
  // Commands.
  ...(['preparing', 'applying'] as const).map(phase => ({
    title: `a pause while ${phase} orders nothing`,
    state: phase === 'preparing' ? preparing : applying,
    command: command('pause'),
    next: {phase: 'paused' as const, paused: phase, turn: phase === 'preparing' ? 1 : 2, heard: 1},
    events: ['paused'],
  })),
  {
    title: 'what is paused waits for a person',
    state: {...applying, phase: 'paused', paused: 'applying'},
    members: fleet({waited: 1e9}),
  },
  {
    title: 'a promotion goes on at a higher turn',
    state: {
      ...preparing,
      phase: 'paused',
      paused: 'preparing',
      reason: 'x',
      named: [{node: a, state: 'REFUSED_HOT'}],
    },
    members: [refused(a, 1)],
    command: command('promote'),
    next: {phase: 'preparing', paused: undefined, reason: undefined, turn: 2, heard: 1, named: []},
    events: ['promoted'],
  },
  {
    title: 'a promotion accepts what was inconclusive for that cohort',
    state: {...applying, prepareUpTo: rank(b), phase: 'paused', paused: 'applying'},
    members: fleet({health: 'inconclusive'}),
    command: command('promote'),
    next: {phase: 'applying', turn: 3, accepted: rank(b)},
    events: ['promoted'],
  },
  {
    title: 'and nothing that nobody has seen',
    state: {...applying, phase: 'paused', paused: 'applying'},
    members: fleet('PREPARED'),
    command: command('promote'),
    next: {phase: 'applying', turn: 3, accepted: undefined},
    events: ['promoted'],
  },
  {
    title: 'what was accepted has passed',
    state: {...applying, accepted: rank(a)},
    members: fleet({health: 'inconclusive'}),
    next: {phase: 'preparing', cohort: 1},
    events: ['passed', 'preparing'],
  },
  {
    title: 'what comes after it has not',
    state: {...applyingSecond, accepted: rank(a)},
    members: fleet({health: 'inconclusive'}, {health: 'inconclusive'}),
    next: {phase: 'paused', reason: `health inconclusive: ${b} APPLIED`},
    events: ['paused'],
  },
  {
    title: 'an abort before anybody was to apply stops',
    state: preparing,
    command: command('abort'),
    next: {phase: 'stopped', turn: 2, heard: 1, prepareUpTo: null},
    events: ['aborted', 'stopped'],
  },
  ...(['applying', 'paused'] as const).map(phase => ({
    title: `an abort after that rolls back, also when ${phase}`,
    state: {...applying, phase},
    command: command('abort'),
    next: {phase: 'rolling-back' as const, turn: 3, heard: 1, applyUpTo: rank(a), paused: undefined},
    events: ['aborted', 'rolling-back'],
  })),
  ...(['pause', 'promote', 'abort'] as const).map(what => ({
    title: `${what} is ignored while it rolls back`,
    state: rollingBack,
    command: command(what),
    next: {phase: 'rolling-back' as const, turn: 5, heard: 1},
    events: ['ignored'],
  })),
  {
    title: 'nothing is promoted that is not paused',
    state: applying,
    command: command('promote'),
    next: {phase: 'applying', turn: 2, heard: 1},
    events: ['ignored'],
  },
  ...(['converged', 'rolled-back', 'stopped'] as const).flatMap(phase =>
    ([undefined, 'pause', 'promote', 'abort'] as const).map(what => ({
      title: `${phase} is the end${what ? `, whatever is said: ${what}` : ''}`,
      state: {...applying, phase},
      members: fleet('FAILED', 'FAILED'),
      ...(what && {command: command(what)}),
    })),
  ),
];

function check(
  t: ExecutionContext,
  {state, members = fleet(), plan, command: said, ...expected}: Case,
): void {
  const decision = decide({plan: {...PLAN, ...plan}, state, members, command: said});
  const wanted = expected.next;
  if (wanted && decision.next) t.like({...decision.next}, wanted);
  t.is(decision.next === undefined, wanted === undefined);
  t.deepEqual(
    decision.tell.map(({event}) => event),
    expected.events ?? [],
  );
  t.is(decision.lookAfter, expected.lookAfter);
}

for (const each of CASES) test(each.title, t => check(t, each));

test('what people are told says which nodes, how many, and who said it', t => {
  const many = ranked(9).map(node => member(node, report(node, 'FAILED', {reason: 'no space'})));
  const {tell, next} = decide({plan: PLAN, state: {...applying, applyUpTo: EVERYBODY}, members: many});
  t.regex(tell[0]?.detail ?? '', /^9 nodes failed, 0 may: node-\d FAILED \(no space\); .*; and 4 more$/);
  t.is(next?.reason, tell[0]?.detail);
  const aborted = decide({plan: PLAN, state: preparing, members: fleet(), command: command('abort')});
  t.deepEqual(aborted.tell[0], {event: 'aborted', detail: 'abort: because', by: 'desk (uid 0, pid 1)'});
});

test('a state that is written can be read again, however many nodes fail', t => {
  const words = 'x'.repeat(4096);
  const many = ranked(500).map(node => member(node, report(node, 'FAILED', {reason: words})));
  const {next} = decide({plan: PLAN, state: {...applying, applyUpTo: EVERYBODY}, members: many});
  t.is(next?.named.length, 100);
  t.true(JSON.stringify(next).length < 64 * 1024);
});
