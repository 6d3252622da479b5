/** What do Ctrl-C and its kin do? They end a wait, never a step that must not be left half done. */
import {constants} from 'node:os';

export const ENDING = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Exit status of what a signal ended, as shells have it. */
export function signalStatus(signal: NodeJS.Signals): number {
  return 128 + constants.signals[signal];
}

/** The reason of a wait that a signal ended. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
  readonly signal: NodeJS.Signals;

  constructor(signal: NodeJS.Signals) {
    super(`ended by ${signal}`);
    this.signal = signal;
  }
}

/** Calls back for signals instead of ending the process, until it is disposed. */
export function onSignals(callback: (signal: NodeJS.Signals) => void): Disposable {
  for (const signal of ENDING) process.on(signal, callback);
  return {
    [Symbol.dispose]() {
      for (const signal of ENDING) process.off(signal, callback);
    },
  };
}

/** An AbortSignal that the first such signal aborts, with an Interrupted. */
export function interruption(): Disposable & {readonly signal: AbortSignal} {
  const controller = new AbortController();
  const listening = onSignals(signal => controller.abort(new Interrupted(signal)));
  return {signal: controller.signal, [Symbol.dispose]: () => listening[Symbol.dispose]()};
}
