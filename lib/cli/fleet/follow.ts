/** How does one watch a roll-out, to its end or until it is paused? */
import {EXIT, LockError} from '../../errors.js';
import type {FleetAccess} from '../../fleet/access.js';
import {followRollout, hasEnded, type RolloutView} from '../../fleet/rollout-view.js';
import type {Given} from '../command.js';
import {note, paint, print, printJson} from '../output.js';
import {Screen} from '../screen.js';
import {changesOf, convergedText, nextLines, rolloutJson, rolloutLines} from './rollout-lines.js';

/** What is followed, and how it is shown. */
export interface Following extends Given {
  readonly signal: AbortSignal;
  /** Number of a command that must have been heard: a pause before it is no end. */
  readonly heard?: number | undefined;
}

/** It has come to its end, or waits for people. */
function hasCome({state}: RolloutView, heard: number): boolean {
  if (!state || state.heard < heard) return false;
  return hasEnded(state.phase) || state.phase === 'paused';
}

/** Shows each view as it comes. */
type Show = (view: RolloutView) => void;

function showChanges(json: Given['json']): Show {
  let before: RolloutView | undefined;
  return view => {
    for (const change of changesOf(before, view)) {
      if (json) printJson(change.json);
      else print(`${new Date().toISOString().slice(11, 23)}  ${change.text}`);
    }
    before = view;
  };
}

function shower(screen: Screen, {json}: Given): Show {
  return process.stdout.isTTY && !json ? view => screen.draw(rolloutLines(view)) : showChanges(json);
}

async function lastView(access: FleetAccess, id: string, following: Following): Promise<RolloutView> {
  const {signal, heard = 0} = following;
  using screen = new Screen();
  const show = shower(screen, following);
  let last: RolloutView | undefined;
  for await (const view of followRollout(access, id, {signal})) {
    show(view);
    last = view;
    if (hasCome(view, heard)) break;
  }
  signal.throwIfAborted();
  if (!last) throw new LockError('ERR_UNKNOWN_ROLLOUT', `no roll-out has the id ${id}`, {rollout: id});
  return last;
}

/** The end of a roll-out that did not converge. */
function endedBadly({id, plan, state}: RolloutView): LockError {
  const how = state?.phase === 'rolled-back' ? 'was rolled back' : 'was stopped';
  const nodes = state?.named.map(
    ({node, state: its, reason}) => `\n  ${node}: ${its}${reason === undefined ? '' : `, ${reason}`}`,
  );
  return new LockError(
    'ERR_ROLLOUT_ENDED',
    `roll-out ${id} of ${plan?.lock ?? 'a lock'} ${how}: ${state?.reason ?? 'for no reason that is known'}${nodes?.join('') ?? ''}`,
    {
      rollout: id,
      ...(plan && {lock: plan.lock, epoch: plan.epoch}),
      phase: state?.phase,
      named: state?.named ?? [],
    },
  );
}

/** What it came to. Returns the exit status; throws ERR_ROLLOUT_ENDED when it did not converge. */
export function tellEnd(view: RolloutView, {json}: Given): number {
  const phase = view.state?.phase;
  if (json) printJson({change: 'end', ...rolloutJson(view)});
  if (phase === 'converged') {
    if (!json) print(paint(process.stdout, 'green', convergedText(view)));
    return EXIT.done;
  }
  if (phase !== 'paused') throw endedBadly(view);
  const {id, plan, state} = view;
  if (!json) {
    note(paint(process.stderr, 'yellow', `PAUSED: roll-out ${id} of ${plan?.lock}: ${state?.reason ?? ''}`));
    for (const {node, state: its, reason} of state?.named ?? [])
      note(`  ${node}: ${its}${reason === undefined ? '' : `, ${reason}`}`);
    note(nextLines(view).join('\n'));
  }
  return EXIT.tryAgain;
}

/** Shows a roll-out until it has ended or is paused. Returns the exit status; rejects with ERR_ROLLOUT_ENDED, and with signal.reason. */
export async function follow(access: FleetAccess, id: string, following: Following): Promise<number> {
  return tellEnd(await lastView(access, id, following), following);
}
