/** Is what the demo says true? Every claim is checked before it is told. */
import {isDeepStrictEqual} from 'node:util';

/** The incident went another way than told. */
export class StoryBroken extends Error {
  override readonly name = 'StoryBroken';
}

/** Throws StoryBroken unless both are the same. */
export function expectSame(claim: string, seen: unknown, told: unknown): void {
  if (!isDeepStrictEqual(seen, told))
    throw new StoryBroken(`${claim}: expected ${JSON.stringify(told)}, saw ${JSON.stringify(seen)}`);
}

/** Throws StoryBroken unless it holds. */
export function expectThat(claim: string, holds: boolean): void {
  if (!holds) throw new StoryBroken(`expected that ${claim}`);
}
