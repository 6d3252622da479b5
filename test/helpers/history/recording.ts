/** How is a history written? Each Node process below is told by its environment. */
import {chmodSync, writeFileSync} from 'node:fs';

/** Makes an empty history, and gives the environment of those who are to write it, whoever they run as. */
export function recording(path: string): {readonly LOCKSMITH_HISTORY: string; readonly NODE_OPTIONS: string} {
  writeFileSync(path, '');
  chmodSync(path, 0o666);
  const recorder = new URL('./recorder.js', import.meta.url);
  const before = process.env['NODE_OPTIONS'] ?? '';
  return {LOCKSMITH_HISTORY: path, NODE_OPTIONS: `${before} --import=${recorder.href}`.trim()};
}
