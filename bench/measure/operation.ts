/** What is measured of a subject that lives in this runtime? One operation on a file, made ready in a process of its own. */

import {dirname, join} from 'node:path';

export type Operation =
  | {readonly kind: 'sync'; readonly run: () => void}
  | {readonly kind: 'promise'; readonly run: () => Promise<unknown>};

/** By subject: makes the operation on a path ready. */
export type Operations = Readonly<Record<string, (path: string) => Operation | Promise<Operation>>>;

/** Roots of a configuration lock, beside its file. */
export function rootsBeside(path: string): {run: string; state: string; bits: string} {
  const place = dirname(path);
  return {run: join(place, 'run'), state: join(place, 'state'), bits: join(place, 'bits')};
}

export function sync(run: () => void): Operation {
  return {kind: 'sync', run};
}

export function promise(run: () => Promise<unknown>): Operation {
  return {kind: 'promise', run};
}
