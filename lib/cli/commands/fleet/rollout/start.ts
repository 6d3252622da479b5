/** `locksmith fleet rollout start`: how does a new content set out for all nodes? */
import {readFileSync} from 'node:fs';
import {buffer} from 'node:stream/consumers';
import {EXIT, LockError} from '../../../../errors.js';
import type {FleetAccess} from '../../../../fleet/access.js';
import {gatherApprovals} from '../../../../fleet/approval.js';
import {matches} from '../../../../fleet/cohort.js';
import type {Plan} from '../../../../fleet/documents.js';
import {readFleet} from '../../../../fleet/rollout-view.js';
import {type RolloutRequest, startRollout} from '../../../../fleet/start-rollout.js';
import {nameOf} from '../../../../lock/layout.js';
import type {CommandSpec} from '../../../command.js';
import {sayWaiting} from '../../../fleet/approvals.js';
import {type Bound, boundOf, parseBound, parseCount, parseSteps} from '../../../fleet/bounds.js';
import {sayDetached} from '../../../fleet/detach.js';
import {
  CONFIG_OPTION,
  type FleetGiven,
  onlyOne,
  REASON_OPTION,
  STORE_EXITS,
  WHERE_OPTION,
  withFleet,
} from '../../../fleet/given.js';
import {parseProbe, withinEach} from '../../../fleet/health.js';
import {seeThrough} from '../../../fleet/see-through.js';
import {labelsOf} from '../../../fleet/words.js';
import {print, printJson, remark} from '../../../output.js';
import {POLICY_OPTIONS, type PolicyGiven, policyFor} from '../../../policy.js';
import {interruption} from '../../../signals.js';
import {parseDuration} from '../../../units.js';

interface StartGiven extends FleetGiven, PolicyGiven {
  readonly lock?: string;
  readonly canary?: number;
  readonly steps: readonly number[];
  readonly soak: number;
  readonly health?: ReturnType<typeof parseProbe>;
  readonly healthWithin: number;
  /** Milliseconds. */
  readonly spread?: number;
  readonly maxUnavailable?: Bound;
  readonly maxFailed: number;
  readonly where?: Readonly<Record<string, string>>;
  readonly prepareWithin: number;
  readonly applyWithin: number;
  readonly reason: string;
  readonly detach?: true;
}

async function readContent(file: string): Promise<Buffer> {
  if (file !== '-') return readFileSync(file);
  if (process.stdin.isTTY) throw new LockError('ERR_ARGUMENT', 'give the new content on stdin, or a FILE');
  return buffer(process.stdin);
}

function lockOf(file: string, {lock}: StartGiven): string {
  if (lock !== undefined) return lock;
  if (file === '-') throw new LockError('ERR_ARGUMENT', 'stdin has no name: say which lock, --lock NAME');
  return nameOf(file);
}

async function countMatching(access: FleetAccess, {where = {}}: StartGiven): Promise<number> {
  const {nodes} = await readFleet(access);
  return nodes.filter(node => matches({labels: labelsOf(node)}, where)).length;
}

/** How many nodes may be changing at a time; null: a whole cohort. */
async function unavailable(access: FleetAccess, given: StartGiven): Promise<number | null> {
  const {maxUnavailable} = given;
  if (!maxUnavailable) return null;
  return maxUnavailable.nodes ?? boundOf(maxUnavailable, await countMatching(access, given));
}

/** Unless somebody says so: all of a fleet that is smaller. */
const CANARY = 3;

async function canaryOf(
  access: FleetAccess,
  given: StartGiven,
  byPolicy: number | undefined,
): Promise<number> {
  const said = given.canary ?? byPolicy;
  return said ?? Math.max(1, Math.min(CANARY, await countMatching(access, given)));
}

async function toRequest(
  access: FleetAccess,
  {file, content}: {readonly file: string; readonly content: Buffer},
  given: StartGiven,
): Promise<RolloutRequest> {
  const lock = lockOf(file, given);
  const {settings} = (await policyFor(given)).of(lock);
  const {steps, soak, prepareWithin, applyWithin, maxFailed, reason} = given;
  return {
    lock,
    content,
    where: given.where ?? {},
    canary: await canaryOf(access, given, settings.canary),
    steps,
    soak,
    prepareWithin,
    applyWithin,
    // Prepared early and applied late, a node still has its word.
    reservation: prepareWithin + applyWithin,
    spread: given.spread,
    maxUnavailable: await unavailable(access, given),
    maxFailed,
    health: withinEach(given.health ?? [], given.healthWithin),
    reason,
  };
}

async function begin(
  access: FleetAccess,
  request: RolloutRequest,
  given: StartGiven,
  signal: AbortSignal,
): Promise<Plan> {
  const onWaiting = sayWaiting(given);
  const {plan, pruned} = await startRollout(access, request, {
    signal,
    approve: envelope => gatherApprovals(access, envelope, 'plan', {signal, onWaiting}),
  });
  const {id, lock, epoch, sha256} = plan;
  const {removed, problem} = pruned;
  if (given.json) printJson({change: 'started', id, lock, epoch, sha256, removed});
  else print(`roll-out ${id} of ${lock}: ${plan.bytes} bytes, sha256 ${sha256}, epoch ${epoch}`);
  if (problem !== undefined)
    remark(
      `nothing was removed of earlier roll-outs of ${lock}, the next start tries it again: ${problem}`,
      given.json,
    );
  return plan;
}

export const startCommand: CommandSpec<StartGiven> = {
  name: 'start',
  group: 'Use:',
  summary: 'begin a roll-out, and show how it goes',
  arguments: [['<file>', 'the new content; - is stdin']],
  options: [
    {
      flags: '--lock <name>',
      what: 'the lock that it is for; by default the name of the FILE without its extension',
    },
    {
      flags: '--canary <nodes>',
      what: 'so many nodes first; by default as the policy says, else 3',
      parse: parseCount,
    },
    {
      flags: '--steps <percentages>',
      what: 'of all nodes, one step after the other',
      parse: parseSteps,
      fallback: [10, 50, 100],
      shown: '10%,50%,100%',
    },
    {
      flags: '--soak <duration>',
      what: 'how long the health of a cohort is watched before the next one begins',
      parse: parseDuration,
      fallback: 30_000,
      shown: '30s',
    },
    {
      flags: '--health <probe>',
      what: 'what must be well on each node: a shell COMMAND, a URL, or METRIC-URL#NAME<NUMBER; may be repeated',
      parse: parseProbe,
    },
    {
      flags: '--health-within <duration>',
      what: 'how long one look of a probe may take',
      parse: parseDuration,
      fallback: 10_000,
      shown: '10s',
    },
    {
      flags: '--spread <duration>',
      what: 'nodes take each step within so long of one another; by default 1ms for each node',
      parse: parseDuration,
    },
    {
      flags: '--max-unavailable <nodes>',
      what: 'so many, or such a part (10%), may be changing at a time; by default a whole cohort',
      parse: parseBound,
    },
    {
      flags: '--max-failed <nodes>',
      what: 'so many may fail without stopping it',
      parse: parseCount,
      fallback: 0,
    },
    WHERE_OPTION,
    {
      flags: '--prepare-within <duration>',
      what: 'how long a cohort has to prepare',
      parse: parseDuration,
      fallback: 30_000,
      shown: '30s',
    },
    {
      flags: '--apply-within <duration>',
      what: 'how long a cohort has to apply',
      parse: parseDuration,
      fallback: 30_000,
      shown: '30s',
    },
    REASON_OPTION,
    {flags: '--detach', what: 'begin it and leave it to those who drive'},
    CONFIG_OPTION,
    ...POLICY_OPTIONS,
  ],
  examples: [
    [
      'locksmith fleet rollout start aim_lock_config.conf --canary 3 --reason "CR 1234"',
      'three nodes, then 10 %, 50 %, all',
    ],
    [
      'locksmith fleet rollout start aim_lock_config.conf --health \'http://127.0.0.1:9100/metrics#errors<0.5\' --soak 2m --reason "CR 1234"',
      'each node looks at its own figures',
    ],
    [
      'generate | locksmith fleet rollout start - --lock aim_lock_config --detach --reason nightly',
      'from a script',
    ],
  ],
  about:
    'etcd keeps the last 20 roll-outs of a lock; what it has of older ones that have ended is removed. ' +
    'It drives while it shows; when this shell dies or Ctrl-C ends it, the roll-out goes on with any `locksmith fleet agent --drive`. ' +
    'A node whose lock is HOT pauses it, and is named with the owner: repair that there, then promote. A node that fails, or whose probes do, stops it: what was applied is put back. ' +
    'On a terminal it is drawn in place, else there is one line for each change. ' +
    'With --json, lines: {"change": "started", "id", "lock", "epoch", "sha256", "removed"}, then as `rollout status --follow`.',
  exits: [
    [0, 'ALL CLEAR: every node has it; with --detach: it has begun'],
    [1, 'it was stopped or rolled back'],
    [75, 'it is paused: promote or abort it'],
    [75, 'another roll-out of that lock is under way'],
    [2, 'no node matches, fewer than the canary needs, or the content is too large'],
    ...STORE_EXITS,
    ['128+N', 'signal N: it goes on without us, and is said by whom'],
  ],
  async run(files, given) {
    const file = onlyOne(files, 'FILE');
    const content = await readContent(file);
    using interrupted = interruption();
    const {signal} = interrupted;
    return await withFleet(given, signal, async access => {
      const {id} = await begin(access, await toRequest(access, {file, content}, given), given, signal);
      if (!given.detach) return await seeThrough(access, id, {...given, signal});
      await sayDetached(access, id, given);
      return EXIT.done;
    });
  },
};
