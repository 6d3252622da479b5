/** Does a roll-out stay within its bounds, and end, whatever its nodes, operators and clocks do? Random walks; LOCKSMITH_SEED repeats one. */
import test, {type ExecutionContext} from 'ava';
import {decide} from '../../lib/fleet/decide.js';
import {
  type Command,
  HEALTH,
  NODE_STATES,
  type NodeReport,
  type Plan,
  type RolloutState,
  rolloutState,
} from '../../lib/fleet/documents.js';
import type {Member} from '../../lib/fleet/standing.js';
import {hasEnded} from '../../lib/fleet/rollout-view.js';
import {AT, command, FIRST, HASH, PLAN, rank, ranked} from '../helpers/rollout.js';

const WALKS = 400;
const seed = Number(process.env['LOCKSMITH_SEED'] ?? Date.now() % 1_000_000);

/** Park and Miller's generator. */
class Dice {
  #state: number;

  constructor(start: number) {
    this.#state = 1 + (start % 2_147_483_646);
  }

  below(count: number): number {
    this.#state = (this.#state * 48_271) % 2_147_483_647;
    return this.#state % count;
  }

  of<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }

  chance(oneOf: number): boolean {
    return this.below(oneOf) === 0;
  }
}

interface Body {
  readonly node: string;
  /** Always does what it is told. */
  readonly good: boolean;
  report: NodeReport | undefined;
  silent: boolean;
  waited: number;
}

/** A fleet, its roll-out, and what has happened to them. */
class Walk {
  readonly dice: Dice;
  readonly plan: Plan;
  readonly bodies: Body[];
  state: RolloutState = FIRST;
  commands: Command[] = [];
  readonly #waiting: string[];

  constructor(start: number) {
    this.dice = new Dice(start);
    const names = ranked(2 + this.dice.below(14));
    const late = this.dice.below(Math.min(3, names.length - 1));
    this.#waiting = names.filter((_, index) => index % 3 === 1).slice(0, late);
    this.bodies = names.filter(name => !this.#waiting.includes(name)).map(node => this.#body(node));
    this.plan = {
      ...PLAN,
      canary: 1 + this.dice.below(Math.min(3, this.bodies.length)),
      steps: this.dice.of([[100], [50, 100], [10, 30, 60, 100]]),
      maxUnavailable: this.dice.of([null, 1, 2, 5]),
      maxFailed: this.dice.of([0, 0, 1, 3]),
    };
  }

  get members(): Member[] {
    return this.bodies
      .map(({node, report, silent, waited}) => ({node, rank: rank(node), report, silent, waited}))
      .toSorted((a, b) => (a.rank < b.rank ? -1 : 1));
  }

  /** Something happens. */
  happen(): void {
    const what = this.dice.below(20);
    if (what === 0)
      this.commands.push(command(this.dice.of(['pause', 'promote', 'promote', 'abort']), this.#nextSeq()));
    else if (what === 1) this.#join();
    else if (what < 5) this.pass(this.dice.below(3000));
    else this.#answer(this.dice.of(this.bodies));
  }

  /** Time passes. */
  pass(milliseconds: number): void {
    for (const body of this.bodies) body.waited += milliseconds;
  }

  promote(): void {
    this.commands.push(command('promote', this.#nextSeq()));
  }

  #nextSeq(): number {
    return this.state.heard + this.commands.length + 1;
  }

  #body(node: string): Body {
    return {node, good: !this.dice.chance(6), report: undefined, silent: false, waited: 0};
  }

  #join(): void {
    const node = this.#waiting.pop();
    if (node !== undefined) this.bodies.push(this.#body(node));
  }

  #answer(body: Body): void {
    if (!body.good) body.silent = this.dice.chance(3);
    if (body.silent) return;
    const report = body.good ? this.#asOrdered(body) : this.#anything();
    if (report)
      body.report = {
        v: 1,
        node: body.node,
        rollout: 'r1',
        turn: this.state.turn,
        epoch: 0,
        sha256: null,
        at: AT,
        ...report,
      };
  }

  #asOrdered({node, report}: Body): (Partial<NodeReport> & Pick<NodeReport, 'state'>) | undefined {
    const {phase, applyUpTo, prepareUpTo} = this.state;
    const isUpTo = (upTo: string | null) => upTo !== null && rank(node) <= upTo;
    if (phase === 'rolling-back') return isUpTo(applyUpTo) ? {state: 'ROLLED_BACK'} : undefined;
    if (isUpTo(applyUpTo))
      return {
        state: 'APPLIED',
        sha256: HASH,
        epoch: 2,
        health: report?.state === 'APPLIED' ? 'passed' : 'soaking',
      };
    return isUpTo(prepareUpTo) ? {state: 'PREPARED'} : undefined;
  }

  #anything(): Partial<NodeReport> & Pick<NodeReport, 'state'> {
    const state = this.dice.of(NODE_STATES);
    return state === 'APPLIED'
      ? {state, sha256: this.dice.chance(5) ? null : HASH, health: this.dice.of(HEALTH)}
      : {state, reason: 'because'};
  }
}

const upTo = (own: string | null) => own ?? '';

type How = 'changing' | 'unclear' | 'settled';

/** Told apart from what is tested: of a node that was ordered to apply. */
function howIs({node, report, rank: own}: Member, {named, accepted}: RolloutState, plan: Plan): How {
  if (report?.state === 'FAILED' || report?.state === 'ROLLED_BACK') return 'settled';
  if (report?.state !== 'APPLIED') return named.some(other => other.node === node) ? 'settled' : 'changing';
  if (report.sha256 !== plan.sha256) return 'settled';
  if (report.health === 'inconclusive') return own <= upTo(accepted ?? null) ? 'settled' : 'unclear';
  return report.health === 'soaking' && !named.some(other => other.node === node) ? 'changing' : 'settled';
}

/** Of all that had been ordered to apply before; those named by now were left behind. */
function those(how: How, {members, state, plan}: Walk, before: RolloutState): string[] {
  return members
    .filter(({rank: own}) => own <= upTo(before.applyUpTo))
    .filter(member => howIs(member, state, plan) === how)
    .map(({node}) => node);
}

const BACK = ['rolling-back', 'rolled-back'];

function checkStep(t: ExecutionContext, walk: Walk, before: RolloutState): void {
  const {state, plan} = walk;
  const where = JSON.stringify({before, state, plan});
  rolloutState.parse(state);
  t.true(!hasEnded(before.phase), `an end is final: ${where}`);
  t.true(!BACK.includes(before.phase) || BACK.includes(state.phase), `the epoch never falls: ${where}`);
  t.true(upTo(state.applyUpTo) <= upTo(state.prepareUpTo), `nobody applies unprepared: ${where}`);
  t.true(state.turn === before.turn || state.turn === before.turn + 1, where);
  t.true(state.heard >= before.heard && state.cohort >= before.cohort, where);
  const isNew = (key: 'prepareUpTo' | 'applyUpTo') => state[key] !== before[key];
  if (isNew('prepareUpTo') || isNew('applyUpTo')) t.is(state.turn, before.turn + 1, where);
  if (state.phase === 'stopped') t.is(before.applyUpTo, null, where);
  else checkOrder(t, walk, before, where);
}

function checkOrder(t: ExecutionContext, walk: Walk, before: RolloutState, where: string): void {
  const {state, plan, members} = walk;
  t.true(upTo(state.applyUpTo) >= upTo(before.applyUpTo), where);
  t.true(upTo(state.prepareUpTo) >= upTo(before.prepareUpTo), where);
  if (state.cohort === before.cohort && state.applyUpTo === before.applyUpTo) return;
  t.deepEqual(those('changing', walk, before), [], `others are changing still: ${where}`);
  if (state.cohort > before.cohort || state.phase === 'converged') {
    t.deepEqual(those('unclear', walk, before), [], `nobody has accepted these: ${where}`);
    t.true(upTo(before.applyUpTo) >= upTo(before.prepareUpTo), `a cohort was left out: ${where}`);
  } else {
    const ordered = members.filter(
      ({rank: own}) => own > upTo(before.applyUpTo) && own <= upTo(state.applyUpTo),
    );
    t.true(ordered.length <= (plan.maxUnavailable ?? ordered.length), `too many at a time: ${where}`);
  }
}

/** Decides until nothing is to be done. */
function settle(t: ExecutionContext, walk: Walk): void {
  for (let steps = 0; steps < 100; steps += 1) {
    const {plan, members, state} = walk;
    const {next} = decide({plan, state, members, command: walk.commands[0]});
    if (!next) return;
    walk.state = {...next, since: AT};
    if (next.turn !== state.turn) for (const body of walk.bodies) body.waited = 0;
    walk.commands = walk.commands.filter(({seq}) => seq > next.heard);
    checkStep(t, walk, state);
  }
  t.fail('it never comes to rest');
}

function walkOnce(t: ExecutionContext, start: number): RolloutState['phase'] {
  const walk = new Walk(start);
  settle(t, walk);
  for (let events = walk.dice.below(400); events > 0 && !hasEnded(walk.state.phase); events -= 1) {
    walk.happen();
    settle(t, walk);
  }
  // From here on operators say go on, and time passes: that is enough.
  for (let rounds = 0; rounds < 200 && !hasEnded(walk.state.phase); rounds += 1) {
    if (walk.state.phase === 'paused') walk.promote();
    walk.pass(7000);
    settle(t, walk);
  }
  t.true(hasEnded(walk.state.phase), `walk ${start} has not ended: ${JSON.stringify(walk.state)}`);
  return walk.state.phase;
}

test(`${WALKS} random walks stay within their bounds, and end in every way there is`, t => {
  t.log(`LOCKSMITH_SEED=${seed}`);
  const ends = new Set<string>();
  for (let index = 0; index < WALKS; index += 1) ends.add(walkOnce(t, seed + index * 7919));
  t.deepEqual([...ends].toSorted(), ['converged', 'rolled-back', 'stopped']);
});
