/** How does a test wait for what no event tells? It looks, and lets its own events go on meanwhile. */
import {setTimeout as pause} from 'node:timers/promises';

/** Resolves when that holds true; the test's own bound is the only one. */
export async function lateThen(holds: () => boolean): Promise<void> {
  while (!holds()) await pause(10);
}
