/** What must be true of a fleet, whatever happened to it? Each rule reads what nodes, files and roll-outs left behind, and names what breaks it. */
import type {AuditRecord} from '../../../lib/recovery/audit.js';
import type {Plan, RolloutState} from '../../../lib/fleet/documents.js';
import {hasEnded} from '../../../lib/fleet/rollout-view.js';

/** A content that a file was seen to have. */
export interface Sighting {
  /** Of the file's inode: when it got its name (inode(7), ctime); milliseconds since 1970. */
  readonly at: number;
  readonly sha256: string;
  /** As its stamp says; undefined: it has none. */
  readonly origin: {readonly rollout: string; readonly epoch: number} | undefined;
}

export interface NodePast {
  readonly node: string;
  /** SHA-256 of what it had at first. */
  readonly first: string;
  /** In their order. */
  readonly sightings: readonly Sighting[];
  /** The node's own log, in its order. */
  readonly audit: readonly AuditRecord[];
}

export interface RolloutPast {
  readonly plan: Plan;
  readonly state: RolloutState;
}

export interface FleetPast {
  readonly nodes: readonly NodePast[];
  readonly rollouts: readonly RolloutPast[];
}

type Rule = (past: FleetPast) => string[];

function planOf({rollouts}: FleetPast, rollout: string): Plan | undefined {
  return rollouts.find(({plan}) => plan.id === rollout)?.plan;
}

/** No node ever runs what no roll-out sent, or a mixture. */
const onlyWhatWasSent: Rule = ({nodes, rollouts}) => {
  const sent = new Set(rollouts.map(({plan}) => plan.sha256));
  return nodes.flatMap(({node, first, sightings}) =>
    sightings
      .filter(({sha256}) => sha256 !== first && !sent.has(sha256))
      .map(({sha256}) => `${node} had ${sha256.slice(0, 12)}, which no roll-out sent`),
  );
};

/** What stands in a file is what its stamp says: the content of that roll-out at its epoch, or at the one above what was there before it. */
const stampsAreTrue: Rule = past =>
  past.nodes.flatMap(({node, first, sightings}) =>
    sightings.flatMap(({origin, sha256}) => {
      if (!origin) return sha256 === first ? [] : [`${node} had ${sha256.slice(0, 12)} without a stamp`];
      const plan = planOf(past, origin.rollout);
      if (!plan) return [`${node} had a stamp of ${origin.rollout}, which nobody started`];
      if (origin.epoch === plan.epoch)
        return sha256 === plan.sha256 ? [] : [`${node} had another content than that of ${plan.id}`];
      if (origin.epoch !== plan.epoch + 1)
        return [`${node} had a stamp of epoch ${origin.epoch} of ${plan.id}`];
      const earlier = past.rollouts.filter(before => before.plan.epoch < plan.epoch);
      const known = sha256 === first || earlier.some(before => before.plan.sha256 === sha256);
      return known ? [] : [`${node} was rolled back to what it never had`];
    }),
  );

/** No commit below an epoch that the node has reached. */
const epochsGrow: Rule = ({nodes}) =>
  nodes.flatMap(({node, sightings}) => {
    const epochs = sightings.map(({origin}) => origin?.epoch ?? 0);
    return epochs.flatMap((epoch, index) => {
      const before = Math.max(0, ...epochs.slice(0, index));
      return epoch < before ? [`${node} went from epoch ${before} to ${epoch}`] : [];
    });
  });

/** Milliseconds: the coarse clock of the kernel, at 100 ticks a second, and one for rounding. */
const TICK = 11;

/** A reservation as the node wrote it down before it told of it. */
function reservationsOf(audit: readonly AuditRecord[], rollout: string): {from: number; until: number}[] {
  return audit
    .filter(({event, rollout: of}) => event === 'fleet-prepared' && of === rollout)
    .map(({time, reservation}) => {
      const from = Date.parse(time);
      return {from, until: from + Number(reservation)};
    });
}

/** No content gets its name after the reservation under which it was to. */
const withinReservation: Rule = past =>
  past.nodes.flatMap(({node, sightings, audit}) =>
    sightings.flatMap(({origin, at}) => {
      const plan = origin && planOf(past, origin.rollout);
      if (!plan || origin.epoch !== plan.epoch) return [];
      const reserved = reservationsOf(audit, plan.id);
      // Both clocks are the machine's; the log has whole milliseconds, the kernel's time of an inode lags behind by a tick.
      const fits = reserved.some(({from, until}) => at >= from - TICK && at <= until + TICK);
      return fits
        ? []
        : [`${node} applied ${plan.id} at ${new Date(at).toISOString()} outside of its reservations`];
    }),
  );

/** What a node writes down before it changes its file. */
const INTENTS = new Set(['fleet-applying', 'fleet-rolling-back']);

/** Every change was written down before it was made. */
const writtenDown: Rule = ({nodes}) =>
  nodes.flatMap(({node, sightings, audit}) =>
    sightings.flatMap(({origin}) => {
      if (!origin) return [];
      const intent = audit.some(({rollout, event}) => rollout === origin.rollout && INTENTS.has(event));
      return intent ? [] : [`${node} changed by ${origin.rollout} without a word in its log`];
    }),
  );

/** Every roll-out ends: converged, rolled back, or stopped with a reason. */
const everyoneEnds: Rule = ({rollouts}) =>
  rollouts.flatMap(({plan, state: {phase, reason}}) => {
    if (!hasEnded(phase)) return [`${plan.id} has not ended: ${phase}`];
    return phase === 'converged' || reason ? [] : [`${plan.id} is ${phase}, and nobody knows why`];
  });

/** When nothing disturbs any more, all nodes have what the last roll-out says. */
export function agreement({nodes, rollouts}: FleetPast): string[] {
  const last = rollouts.at(-1);
  if (last?.state.phase !== 'converged') return [`the last roll-out is ${last?.state.phase ?? 'missing'}`];
  return nodes
    .filter(({sightings, first}) => (sightings.at(-1)?.sha256 ?? first) !== last.plan.sha256)
    .map(({node}) => `${node} has not the content of ${last.plan.id}`);
}

export const FLEET_RULES: Readonly<Record<string, Rule>> = {
  onlyWhatWasSent,
  stampsAreTrue,
  epochsGrow,
  withinReservation,
  writtenDown,
  everyoneEnds,
};

/** All that breaks a rule. */
export function judgeFleet(past: FleetPast): string[] {
  return Object.entries(FLEET_RULES).flatMap(([name, rule]) => rule(past).map(what => `${name}: ${what}`));
}
