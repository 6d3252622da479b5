/** What are we waiting for, and how long still? Said on a terminal each second, else once. */
import {clearStatus, note, showStatus} from './output.js';
import {showDuration} from './units.js';

/** A wait shorter than this needs no words, in milliseconds. */
const PATIENCE = 1000;

export interface Progress {
  /** What for, `waiting for aim_lock_config` say; undefined while there is nothing to wait for. */
  readonly what: () => string | undefined;
  /** Milliseconds that are left, where there is a bound. */
  readonly remaining?: (() => number) | undefined;
  readonly quiet?: boolean | undefined;
}

function leftText(remaining: Progress['remaining']): string {
  return remaining === undefined ? '' : `, at most ${showDuration(Math.max(0, remaining()))} more`;
}

/** Shows a wait from its second second on, until it is disposed. */
export function showProgress({what, remaining, quiet = false}: Progress): Disposable {
  const start = performance.now();
  const told = new Set<string>();
  const tell = (awaited: string) => {
    if (process.stderr.isTTY)
      showStatus(`${awaited}: ${showDuration(performance.now() - start)}${leftText(remaining)}`);
    else if (!told.has(awaited)) note(`locksmith: ${awaited}${leftText(remaining)}`);
    told.add(awaited);
  };
  const tick = () => {
    const awaited = quiet ? undefined : what();
    if (awaited !== undefined) tell(awaited);
  };
  const timer = setInterval(tick, PATIENCE).unref();
  return {
    [Symbol.dispose]() {
      clearInterval(timer);
      clearStatus();
    },
  };
}
