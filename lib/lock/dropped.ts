/** What if a lock object is dropped without a release? It stays locked until the process ends, and this shouts. */

interface Dropped {
  readonly what: string;
  readonly stack: string | undefined;
}

interface Watched {
  readonly lock: object;
  readonly describe: () => string;
  readonly stack: string | undefined;
}

/** Of so many acquisitions of a process the stack is kept, then of one in as many: it costs more than all the rest of a lock. */
const KEPT = 1000;

const registry = new FinalizationRegistry<Dropped>(({what, stack}) => {
  process.emitWarning(`${what} was dropped without being released; it stays locked until this process ends`, {
    type: 'LocksmithWarning',
    code: 'LOCKSMITH_DROPPED',
    detail: `It was acquired ${stack === undefined ? 'at a place that was not noted' : `here:\n${stack}`}`,
  });
});

let count = 0;
/** Most locks are released before the next one is made, or before the event loop turns; telling the garbage collector of them would be in vain. */
let youngest: Watched | undefined;
let turning = false;

/** As text: what V8 keeps before it is one would keep everything on the stack alive, the lock too. */
function callerStack(): string {
  return new Error('acquired').stack?.split('\n').slice(3).join('\n') ?? '';
}

function register(): void {
  if (youngest)
    registry.register(youngest.lock, {what: youngest.describe(), stack: youngest.stack}, youngest.lock);
  youngest = undefined;
}

function registerLater(): void {
  if (turning) return;
  turning = true;
  setImmediate(() => {
    turning = false;
    register();
  }).unref();
}

/** Watches a lock object; `forget` it when it is released. The stack is that of the caller. */
export function shoutIfDropped(lock: object, describe: () => string): void {
  register();
  count++;
  const stack = count <= KEPT || count % KEPT === 0 ? callerStack() : undefined;
  youngest = {lock, describe, stack};
  registerLater();
}

/** Stops watching. */
export function forget(lock: object): void {
  if (youngest?.lock === lock) youngest = undefined;
  else registry.unregister(lock);
}
