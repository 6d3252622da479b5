/** `locksmith fleet rollout status`: how far is it? */
import {EXIT, LockError} from '../../../../errors.js';
import type {FleetAccess} from '../../../../fleet/access.js';
import {listRollouts, readRollout} from '../../../../fleet/rollout-view.js';
import type {CommandSpec} from '../../../command.js';
import {follow} from '../../../fleet/follow.js';
import {CONFIG_OPTION, type FleetGiven, STORE_EXITS, withFleet} from '../../../fleet/given.js';
import {rolloutJson, rolloutLines, summaryCells} from '../../../fleet/rollout-lines.js';
import {align, paint, print, printJson} from '../../../output.js';
import {interruption} from '../../../signals.js';

interface StatusGiven extends FleetGiven {
  readonly follow?: true;
}

/** The roll-out of that id, else the active one of that lock, else its last one. */
async function idOf(access: FleetAccess, target: string): Promise<string> {
  const all = await listRollouts(access);
  const found = all.find(({id}) => id === target) ?? all.find(({plan}) => plan?.lock === target);
  if (!found)
    throw new LockError(
      'ERR_UNKNOWN_ROLLOUT',
      `no roll-out has the id ${target}, and none was of a lock ${target}`,
      {
        rollout: target,
      },
    );
  return found.id;
}

async function listActive(access: FleetAccess, {json}: StatusGiven): Promise<number> {
  const active = (await listRollouts(access)).filter(each => each.active);
  if (json) printJson(active);
  else if (active.length === 0) print('no roll-out is under way');
  else {
    const [header = '', ...rows] = align([
      ['ID', 'LOCK', 'PHASE', 'BEGUN', 'WHY'],
      ...active.map(summaryCells),
    ]);
    print([paint(process.stdout, 'bold', header), ...rows].join('\n'));
  }
  return EXIT.done;
}

async function show(
  access: FleetAccess,
  target: string,
  given: StatusGiven,
  signal: AbortSignal,
): Promise<number> {
  const id = await idOf(access, target);
  if (given.follow) return follow(access, id, {...given, signal});
  const view = await readRollout(access, id, {signal});
  if (given.json) printJson(rolloutJson(view));
  else print(rolloutLines(view).join('\n'));
  return EXIT.done;
}

export const statusCommand: CommandSpec<StatusGiven> = {
  name: 'status',
  group: 'Look:',
  summary: 'show how far a roll-out is, on which nodes and why',
  arguments: [['[rollout]', 'its ID, or the LOCK that it is of; by default all that are under way']],
  options: [{flags: '--follow', what: 'go on until it has ended or is paused'}, CONFIG_OPTION],
  examples: [
    ['locksmith fleet rollout status', 'all that are under way'],
    ['locksmith fleet rollout status aim_lock_config', 'the one of that lock, else the last one'],
    ['locksmith fleet rollout status ID --follow', 'as it goes on'],
  ],
  about:
    'With --json and a roll-out: {"id", "plan", "state": {"phase", "cohort", "reason", "named", ...}, "active", "cohorts": [{"name", "upTo", "nodes"}], ' +
    '"nodes": [{"node", "state", "cohort", "sha256", "epoch", "health", "reason", "owner"}], "counts", "history": [{"seq", "event", "cohort", "detail", "by", "at"}], "problems"}. ' +
    'Without: a list of {"id", "plan", "state", "active"}. With --follow, lines: {"change": "event" | "node", ...} and at last {"change": "end", ...}.',
  exits: [
    [0, 'shown; with --follow: it converged'],
    [1, 'with --follow: it was stopped or rolled back'],
    [2, 'no such roll-out'],
    [75, 'with --follow: it is paused'],
    ...STORE_EXITS,
  ],
  async run([target, ...more], given) {
    if (more.length > 0) throw new LockError('ERR_ARGUMENT', 'give one roll-out, or none');
    using interrupted = interruption();
    const {signal} = interrupted;
    return await withFleet(given, signal, access =>
      target === undefined ? listActive(access, given) : show(access, target, given, signal),
    );
  },
};
