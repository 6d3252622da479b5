/** Is the addon one with sanitizers in it, and what does a program need that loads it? */

/** The addon has sanitizers in it (npm run test:sanitized), which themselves can't do without /proc. */
export const instrumented = process.env['ASAN_OPTIONS'] !== undefined;

/** What a program with such an addon needs of the environment, however bare that is to be. */
export function sanitizers(): Record<string, string> {
  const names = ['LD_PRELOAD', 'ASAN_OPTIONS', 'UBSAN_OPTIONS'];
  return Object.fromEntries(
    names.flatMap(name => (process.env[name] === undefined ? [] : [[name, process.env[name]]])),
  );
}
