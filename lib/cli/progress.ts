/** What are we waiting for, and how long still? Said on a terminal each second, else once. */
import {paint} from './output.js';
import {showDuration} from './units.js';

/** A wait shorter than this needs no words, in milliseconds. */
const PATIENCE = 1000;

export interface Progress {
  /** What for: `waiting for aim_lock_config`. */
  readonly what: string;
  /** Milliseconds that are left, where there is a bound. */
  readonly remaining?: (() => number) | undefined;
  readonly quiet?: boolean | undefined;
}

function line({what, remaining}: Progress, waited: number): string {
  const left = remaining === undefined ? '' : `, at most ${showDuration(Math.max(0, remaining()))} more`;
  return waited === 0 ? `${what}${left}` : `${what}: ${showDuration(waited)}${left}`;
}

/** Shows a wait from its second second on, until it is disposed. */
export function showProgress(progress: Progress): Disposable {
  if (progress.quiet) return {[Symbol.dispose]() {}};
  const {stderr} = process;
  const start = performance.now();
  let shown = false;
  const timer = setInterval(() => {
    if (stderr.isTTY)
      stderr.write(`\r\u001b[K${paint(stderr, 'dim', line(progress, performance.now() - start))}`);
    else if (!shown) stderr.write(`locksmith: ${line(progress, 0)}\n`);
    shown = true;
  }, PATIENCE).unref();
  return {
    [Symbol.dispose]() {
      clearInterval(timer);
      if (shown && stderr.isTTY) stderr.write('\r\u001b[K');
    },
  };
}
