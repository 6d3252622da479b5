/** How is it told that something could not be looked at? As evidence, and as the command that would see it. */
import type {Suspect} from '../os/hiding-places.js';
import type {Gap} from '../os/visibility.js';
import type {Evidence} from './incarnation.js';

/** One fact for each thing that was not seen. */
export function gapEvidence(gaps: readonly Gap[]): Evidence[] {
  return gaps.map(({what, why}) => ({
    looked: 'all processes',
    saw: `${what} can not be seen: ${why}`,
    follows: 'somebody there may hold it who is not listed',
  }));
}

/** `pid 12 may: it has the file mapped`. */
export function suspectText({pid, because}: Suspect): string {
  return `${pid === null ? 'the kernel' : `pid ${pid}`} may: ${because}`;
}

/** What would make the answer complete; nothing where nobody can see more. */
export function seeMore(gaps: readonly Gap[], target: string): string[] {
  const advice: [Gap['visibleTo'], string][] = [
    ['root', `see more as root: sudo locksmith explain ${target}`],
    ['host', `see more outside this container: locksmith explain FILE, on the host`],
  ];
  return advice.filter(([to]) => gaps.some(({visibleTo}) => visibleTo === to)).map(([, text]) => text);
}
