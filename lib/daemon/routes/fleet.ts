/** How is the fleet, and how far is a roll-out? What the daemon saw last in etcd, and how old that is. */
import {LockError} from '../../errors.js';
import {HEALTH} from '../../fleet/documents.js';
import type {FleetWatch} from '../../fleet/fleet-watch.js';
import {
  type FleetNode,
  hasEnded,
  type RolloutNode,
  type RolloutSummary,
  type RolloutView,
} from '../../fleet/rollout-view.js';
import {API, type FleetAnswer, type FleetNodeAnswer, type RolloutAnswer} from '../api.js';
import type {Parts, Routes} from '../parts.js';
import {answer, FAILURES, ID} from '../schemas.js';

/** One wrong program can make thousands of them. */
const MOST_PROBLEMS = 100;

interface Asked {
  readonly most?: string;
}

const MOST = {
  type: 'object',
  additionalProperties: false,
  properties: {
    most: {
      type: 'string',
      pattern: '^[1-9][0-9]{0,6}$',
      description: 'the longest that any list of nodes, of what has ended and of what has happened is to be',
    },
  },
};

function mostOf({most}: Asked): number {
  return most === undefined ? Number.POSITIVE_INFINITY : Number(most);
}

function fleetOf({fleet}: Parts): FleetWatch {
  if (fleet) return fleet;
  throw new LockError('ERR_UNKNOWN_FLEET', 'this daemon looks at no fleet: it was started without --fleet');
}

/** Those for whom it is so come first; else the order stays. */
function firstIf<T>(items: readonly T[], isFirst: (item: T) => boolean): T[] {
  return [...items.filter(isFirst), ...items.filter(item => !isFirst(item))];
}

function isHot({registration}: FleetNode): boolean {
  return registration !== undefined && registration.hot.length > 0;
}

/** Silent, HOT, or with a registration that can not be read. */
function isInNeed(node: FleetNode): boolean {
  return node.silent || isHot(node) || !node.registration;
}

function toNode({node, silent, registration, known}: FleetNode): FleetNodeAnswer {
  const said = registration ?? known;
  return {
    node,
    silent,
    version: said?.version ?? null,
    labels: said?.labels ?? {},
    locks: registration?.locks.length ?? null,
    hot: registration?.hot ?? [],
    epochs: said?.epochs ?? {},
    since: registration?.since ?? null,
  };
}

function toSummary({id, plan, state, active}: RolloutSummary): FleetAnswer['rollouts'][number] {
  return {id, plan: plan ?? null, state: state ?? null, active};
}

function toFleet(watch: FleetWatch, most: number): FleetAnswer {
  const {leader, nodes, rollouts, holds, problems} = watch.view();
  const active = rollouts.filter(rollout => rollout.active);
  const ended = rollouts.filter(rollout => !rollout.active);
  return {
    fleet: watch.fleet,
    standing: watch.standing,
    leader: leader ?? null,
    counts: {
      nodes: nodes.length,
      silent: nodes.filter(({silent}) => silent).length,
      hot: nodes.filter(isHot).length,
      inNeed: nodes.filter(isInNeed).length,
      ended: ended.length,
      problems: problems.length,
    },
    nodes: firstIf(nodes, isInNeed).slice(0, most).map(toNode),
    rollouts: [...active, ...ended.slice(0, most)].map(toSummary),
    holds: [...holds],
    problems: problems.slice(0, MOST_PROBLEMS),
  };
}

const IN_NEED = new Set<RolloutNode['state']>(['REFUSED_HOT', 'FAILED', 'SILENT', 'ROLLED_BACK']);

function needsAttention({state, health}: RolloutNode): boolean {
  return IN_NEED.has(state) || health === 'failed' || health === 'inconclusive';
}

type CohortAnswer = RolloutAnswer['cohorts'][number];

/** How many nodes of each cohort are how far. */
function countCohorts({cohorts, nodes, counts}: RolloutView): CohortAnswer[] {
  const none = <Key extends string>(keys: readonly Key[]) =>
    Object.fromEntries(keys.map(key => [key, 0])) as Record<Key, number>;
  const states = Object.keys(counts) as (keyof typeof counts)[];
  const counted = cohorts.map(() => ({nodes: 0, counts: none(states), health: none(HEALTH)}));
  for (const {cohort, state, health} of nodes) {
    const one = counted[cohort];
    if (!one) continue;
    one.nodes += 1;
    one.counts[state] += 1;
    if (health) one.health[health] += 1;
  }
  return counted;
}

function toRollout(watch: FleetWatch, id: string, most: number): RolloutAnswer {
  const view = watch.rollout(id);
  const {plan, state, nodes, counts, history, problems} = view;
  return {
    ...toSummary({id, plan, state, active: state !== undefined && !hasEnded(state.phase)}),
    cohorts: countCohorts(view),
    counts,
    nodes: firstIf(nodes, needsAttention)
      .slice(0, most)
      .map(({health, reason, owner, ...node}) => ({
        ...node,
        health: health ?? null,
        reason: reason ?? null,
        owner: owner ?? null,
      })),
    inNeed: nodes.filter(needsAttention).length,
    history: history.slice(-most),
    problems: problems.slice(0, MOST_PROBLEMS),
  };
}

export const fleetRoutes: Routes = (app, parts) => {
  const tags = ['fleet'];

  app.get<{Querystring: Asked}>(
    `${API}/fleet`,
    {
      schema: {
        summary: 'Who is in the fleet, what is rolled out, which holds are in force; as it was seen last',
        tags,
        querystring: MOST,
        response: {200: answer('fleet', '`standing` says whether it is current'), ...FAILURES},
      },
    },
    ({query}) => toFleet(fleetOf(parts), mostOf(query)),
  );

  app.get<{Params: {id: string}; Querystring: Asked}>(
    `${API}/fleet/rollouts/:id`,
    {
      schema: {
        summary: 'How far is a roll-out, and which of its nodes need attention?',
        tags,
        params: ID,
        querystring: MOST,
        response: {200: answer('rollout', 'as it was seen last'), ...FAILURES},
      },
    },
    ({params, query}) => toRollout(fleetOf(parts), params.id, mostOf(query)),
  );
};
