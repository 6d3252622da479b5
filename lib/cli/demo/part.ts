/** How does a process of the demo speak with the story? Messages over its channel; it ends when the story does. */
import {once} from 'node:events';

/** One thing that a process says, with its facts. */
export interface Line {
  readonly say: string;
  readonly [fact: string]: unknown;
}

/** What the story gave this process to begin with. */
export const given: unknown = JSON.parse(process.argv[2] ?? 'null');

export function say(line: Line): void {
  process.send?.(line);
}

/** Resolves when the story says that word. */
export async function told(word: string): Promise<void> {
  for (;;) {
    const [message] = (await once(process, 'message')) as [unknown];
    if (message === word) return;
  }
}

process.once('disconnect', () => process.exit());
