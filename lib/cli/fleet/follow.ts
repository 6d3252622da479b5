/** How does one watch a roll-out, to its end or until it is paused? */
import {EXIT, LockError} from '../../errors.js';
import type {FleetAccess} from '../../fleet/access.js';
import {followRollout, hasEnded, type RolloutView} from '../../fleet/rollout-view.js';
import type {Given} from '../command.js';
import {note, oneLine, paint, print, printJson} from '../output.js';
import {Screen} from '../screen.js';
import {changesOf, convergedText, namedLines, nextLines, rolloutJson, rolloutLines} from './rollout-lines.js';

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

/** Shows each view as it comes; the last one is shown at the latest when it is disposed. */
interface Shower extends Disposable {
  show(view: RolloutView): void;
}

function showChanges(json: Given['json']): Shower {
  let before: RolloutView | undefined;
  return {
    show(view) {
      for (const change of changesOf(before, view)) {
        if (json) printJson(change.json);
        else print(`${(change.at ?? new Date().toISOString()).slice(11, 23)}  ${change.text}`);
      }
      before = view;
    },
    [Symbol.dispose]: () => undefined,
  };
}

/** Milliseconds from one drawing to the next: thousands of nodes say something every moment. */
const CALM = 100;

/** A roll-out on the terminal. */
class Drawn implements Shower {
  readonly #screen = new Screen();
  #waiting: RolloutView | undefined;
  #timer: NodeJS.Timeout | undefined;

  show(view: RolloutView): void {
    this.#waiting = view;
    this.#timer ??= setTimeout(() => this.#draw(), CALM);
  }

  #draw(): void {
    this.#timer = undefined;
    if (this.#waiting) this.#screen.draw(rolloutLines(this.#waiting));
    this.#waiting = undefined;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#draw();
    this.#screen[Symbol.dispose]();
  }
}

function showerFor({json}: Given): Shower {
  return process.stdout.isTTY && !json ? new Drawn() : showChanges(json);
}

async function lastView(access: FleetAccess, id: string, following: Following): Promise<RolloutView> {
  const {signal, heard = 0} = following;
  using shower = showerFor(following);
  let last: RolloutView | undefined;
  for await (const view of followRollout(access, id, {signal})) {
    shower.show(view);
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
  const why = state?.reason ?? 'for no reason that is known';
  return new LockError(
    'ERR_ROLLOUT_ENDED',
    [`roll-out ${id} of ${plan?.lock ?? 'a lock'} ${how}: ${why}`, ...(state ? namedLines(state) : [])].join(
      '\n',
    ),
    {
      rollout: id,
      ...(plan && {lock: plan.lock, epoch: plan.epoch}),
      phase: state?.phase,
      named: state?.named ?? [],
    },
  );
}

function sayPaused(view: RolloutView): void {
  const {id, plan, state} = view;
  const headline = `PAUSED: roll-out ${id} of ${plan?.lock}: ${state?.reason ?? 'for no reason that is known'}`;
  note(
    [
      paint(process.stderr, 'yellow', oneLine(headline)),
      ...(state ? namedLines(state) : []),
      ...nextLines(view),
    ].join('\n'),
  );
}

/** What it came to. Returns the exit status; throws ERR_ROLLOUT_ENDED when it did not converge. */
function tellEnd(view: RolloutView, {json}: Given): number {
  if (json) printJson({change: 'end', ...rolloutJson(view)});
  switch (view.state?.phase) {
    case 'converged':
      if (!json) print(paint(process.stdout, 'green', convergedText(view)));
      return EXIT.done;
    case 'paused':
      if (!json) sayPaused(view);
      return EXIT.tryAgain;
    default:
      throw endedBadly(view);
  }
}

/** Shows a roll-out until it has ended or is paused. Returns the exit status; rejects with ERR_ROLLOUT_ENDED, and with signal.reason. */
export async function follow(access: FleetAccess, id: string, following: Following): Promise<number> {
  return tellEnd(await lastView(access, id, following), following);
}
