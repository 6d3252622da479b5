/** What if a lock object is dropped without a release? It stays locked until the process ends, and this shouts. */

interface Dropped {
  readonly what: string;
  readonly stack: string;
}

const registry = new FinalizationRegistry<Dropped>(({what, stack}) => {
  process.emitWarning(`${what} was dropped without being released; it stays locked until this process ends`, {
    type: 'LocksmithWarning',
    code: 'LOCKSMITH_DROPPED',
    detail: `It was acquired here:\n${stack}`,
  });
});

/** Watches a lock object; `forget` it when it is released. The stack is that of the caller. */
export function shoutIfDropped(lock: object, what: string): void {
  const stack = new Error('acquired').stack?.split('\n').slice(2).join('\n') ?? '';
  registry.register(lock, {what, stack}, lock);
}

/** Stops watching. */
export function forget(lock: object): void {
  registry.unregister(lock);
}
