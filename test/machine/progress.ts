/** What is going on? Somebody waits in front of stderr; stdout has results only. */

const seconds = (since: number) => `${((performance.now() - since) / 1000).toFixed(1)} s`;

export function note(text: string): void {
  process.stderr.write(`vm: ${text}\n`);
}

/** Says what is done, does it, and says how long it took. */
export async function step<T>(what: string, work: () => Promise<T>): Promise<T> {
  const start = performance.now();
  note(`${what} ...`);
  try {
    return await work();
  } finally {
    note(`${what}: ${seconds(start)}`);
  }
}
